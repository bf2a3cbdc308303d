"""Command-line flags: ours in both spellings, and everything else for Beam."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple

import click


class Later(NamedTuple):
    """A command that is imported when it is run.

    Attributes:
      place: module and attribute, such as ``pipeline.commands.replay:replay_command``.
      help: one line of what it does.
    """

    place: str
    help: str


class CommandGroup(click.Group):
    """A group that imports only the command that is run, and none to list them.

    Args:
      later: its commands, by name.
      attributes: as of `click.Group`.
    """

    def __init__(
        self,
        *,
        later: Mapping[str, Later],
        **attributes: Any,  # noqa: ANN401 - as `click.Group` has them
    ) -> None:
        super().__init__(**attributes)
        self._later = dict(sorted(later.items()))

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the alphabet."""
        del ctx
        return list(self._later)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports a command; None if there is none of that name."""
        del ctx
        later = self._later.get(cmd_name)
        if later is None:
            return None
        module, _, attribute = later.place.partition(":")
        found = getattr(import_module(module), attribute)
        assert isinstance(found, click.Command)  # noqa: S101 - a slip of ours, not of the user's
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds the command that the first argument names."""
        if args and args[0] not in self._later and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], self._later, n=1)
            instead = (
                f"Did you mean {near[0]!r}?" if near else f"There are {', '.join(self._later)}."
            )
            ctx.fail(f"No such command {args[0]!r}. {instead}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the commands from what is known of them beforehand."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, later.help) for name, later in self._later.items()])


def flag(
    name: str,
    *declarations: str,
    **attributes: Any,  # noqa: ANN401 - as `click.option` has them
) -> Callable[[Any], Any]:
    """A click option spelled with underscores, as Beam's are, and with dashes as well.

    Args:
      name: with underscores and without the leading dashes.
      declarations: further spellings, such as ``-d``.
      attributes: as of `click.option`.
    """
    return click.option(*spellings(name), *declarations, name, **attributes)


def spellings(name: str) -> list[str]:
    """Returns the spellings of a flag: with underscores, and with dashes where that differs."""
    return list(dict.fromkeys([f"--{name}", f"--{name.replace('_', '-')}"]))


class BeamCommand(click.Command):
    """A command that hands the flags it does not know to Beam, in ``ctx.obj``.

    A flag that neither this command nor any of Beam's option classes knows is refused, for Beam
    ignores what it does not know. After ``--`` all flags go to Beam: a runner may have its own.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Sets the flags for Beam apart, then parses the others."""
        ours, beam = self._split(ctx, args)
        ctx.obj = beam
        return super().parse_args(ctx, ours)

    def _split(self, ctx: click.Context, args: Sequence[str]) -> tuple[list[str], list[str]]:
        takes_value = {
            spelling: not (parameter.is_flag or parameter.count)
            for parameter in self.get_params(ctx)
            if isinstance(parameter, click.Option)
            for spelling in (*parameter.opts, *parameter.secondary_opts)
        }
        ours: list[str] = []
        beam: list[str] = []
        rest = list(args)
        while rest:
            word = rest.pop(0)
            name, is_joined, _ = word.partition("=")
            if word == "--":
                beam += [each for each in rest if each.startswith("--")]
                ours += [word, *(each for each in rest if not each.startswith("--"))]
                break
            if not word.startswith("--"):
                ours.append(word)
            elif name in takes_value:
                ours.append(word)
                if takes_value[name] and not is_joined and rest:
                    ours.append(rest.pop(0))
            else:
                beam.append(word)
                takes = self._beam_takes_value(ctx, name, takes_value)
                if takes and not is_joined and rest and not rest[0].startswith("--"):
                    beam[-1] += f"={rest.pop(0)}"
        return ours, beam

    @staticmethod
    def _beam_takes_value(ctx: click.Context, name: str, ours: dict[str, bool]) -> bool:
        """Whether Beam's flag takes a value; fails for one that Beam does not know."""
        known = beam_flags()
        if name in known:
            return known[name]
        near = difflib.get_close_matches(name, [*ours, *known], n=1)
        instead = f"did you mean {near[0]}?" if near else "see --help."
        raise click.UsageError(
            f"No such flag: {name}; {instead} Neither this command nor Beam knows it. Write it"
            " after `--` if it is a runner's own.",
            ctx=ctx,
        )


def beam_flags() -> dict[str, bool]:
    """The flags that Beam itself knows, and whether each takes a value."""
    from pipeline.console import logs  # noqa: PLC0415 - slow to import, rarely needed
    from pipeline.console.screen import Screen  # noqa: PLC0415 - as above

    # Beam logs while it is imported.
    logs.configure(Screen(stderr=True))
    from apache_beam.options.pipeline_options import PipelineOptions  # noqa: PLC0415 - slow

    parser = argparse.ArgumentParser(add_help=False, conflict_handler="resolve")
    for options in PipelineOptions.__subclasses__():
        add = getattr(options, "_add_argparse_args", None)
        if add is not None:
            add(parser)
    return {
        spelling: action.nargs != 0
        for action in parser._actions  # noqa: SLF001 - argparse has no public list
        for spelling in action.option_strings
    }


class ProspectId(click.IntRange):
    """A positive integer, as Outreach numbers its prospects."""

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as click has it
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> int:
        """The number; fails for what is none, and says what one is."""
        try:
            return int(super().convert(value, param, ctx))
        except click.BadParameter:
            self.fail(f"{value!r} is no OutreachId, which is a positive whole number", param, ctx)


PROSPECT = ProspectId(min=1, max=2**63 - 1)
