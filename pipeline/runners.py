"""Beam's runners: which one flags name, where its workers are, and how it fails."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    PipelineOptions,
    PortableOptions,
    StandardOptions,
)
from apache_beam.runners.runner import PipelineRunner

from transforms.errors import ActivationError, ConfigurationError

LOCAL_RUNNERS = ("directrunner", "direct", "fnapirunner")
"""All run on FnApiRunner: what DirectRunner picks depends on the user's network."""
_OURS = re.compile(r"transforms\.errors\.\w+: (.*)")


def runner_name(options: PipelineOptions) -> str:
    """The runner's name without its module, in small letters; empty where none is named."""
    named = options.view_as(StandardOptions).runner or ""
    return named.rpartition(".")[2].lower()


def other_runner(beam_flags: Sequence[str]) -> str | None:
    """The runner that flags name, where it is not one of this machine's own."""
    if not any(flag.startswith("--runner") for flag in beam_flags):
        return None
    named = PipelineOptions(list(beam_flags)).view_as(StandardOptions).runner
    return None if named is None or named.lower() in LOCAL_RUNNERS else named


def is_dataflow(options: PipelineOptions) -> bool:
    """Whether a pipeline runs on Dataflow, which reads and writes Pub/Sub by itself."""
    return names_dataflow(runner_name(options))


def names_dataflow(runner: str) -> bool:
    """Whether a runner's name, with or without its module, is Dataflow's."""
    return runner.rpartition(".")[2].lower() in ("dataflow", "dataflowrunner")


def has_workers_here(options: PipelineOptions) -> bool:
    """Whether the job's workers are threads of this process, as where people try it out."""
    environment = options.view_as(PortableOptions).environment_type
    if environment:
        return environment.upper() == "LOOPBACK"
    master = options.view_as(FlinkRunnerOptions).flink_master
    name = runner_name(options)
    return "prism" in name or ("flink" in name and master in ("[auto]", "[local]"))


def new_pipeline(
    options: PipelineOptions, runner: PipelineRunner | str | None = None
) -> beam.Pipeline:
    """A pipeline on a runner, by default the one that the options name.

    Raises:
      ConfigurationError: there is no such runner, or it lacks something.
    """
    try:
        return beam.Pipeline(runner=runner, options=options)
    except (ValueError, ImportError) as problem:
        raise ConfigurationError(f"this runner cannot be used: {problem}") from problem


@contextlib.contextmanager
def failing_as_ours(unharmed: str) -> Iterator[None]:
    """Tells in a sentence why a runner failed, which tells it as the worker's whole traceback.

    Args:
      unharmed: where what was not delivered still is.

    Raises:
      ActivationError: the runner failed.
    """
    try:
        yield
    except RuntimeError as problem:
        text = str(problem).strip()
        ours = _OURS.findall(text)
        why = ours[-1] if ours else text.splitlines()[-1] if text else "for no reason that it told"
        raise ActivationError(f"the job failed: {why}; {unharmed}") from problem
