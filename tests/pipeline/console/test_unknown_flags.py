"""A flag that nobody knows is refused, and the nearest one named."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from pipeline.commands.replay import replay_command


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["--mirored", "s1"], "No such flag: --mirored"),
        (["--reciepts", "x"], "did you mean --receipts?"),
        (["--foo", "3"], "No such flag: --foo"),
        (["--runer=PrismRunner"], "did you mean --runner?"),
    ],
)
def test_a_flag_that_neither_we_nor_beam_know_is_refused(words: list[str], near: str) -> None:
    ended = CliRunner().invoke(replay_command, ["in.jsonl", "--destination=d.yaml", *words])

    assert ended.exit_code == 2
    assert near in ended.output


def test_what_stands_behind_two_dashes_is_left_to_the_runner() -> None:
    context = replay_command.make_context(
        "replay", ["--destination=d.yaml", "in.jsonl", "--", "--foo=3"]
    )

    assert context.obj == ["--foo=3"]
    assert context.params["files"] == ("in.jsonl",)
