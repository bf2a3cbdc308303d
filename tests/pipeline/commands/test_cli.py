"""The command line as a whole; each command has tests of its own."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from pipeline.cli import COMMANDS, cli
from tests.support.processes.program import environment

SLOW = ("aiohttp", "apache_beam", "pydantic", "rich")


def test_help_lists_each_command_with_what_it_does() -> None:
    said = CliRunner().invoke(cli, ["--help"])
    assert said.exit_code == 0
    text = " ".join(said.output.split())
    for name, later in COMMANDS.items():
        assert f"{name} {later.help}" in text


@pytest.mark.real
def test_listing_the_commands_imports_none_of_what_they_need() -> None:
    script = (
        "import sys; from pipeline.cli import cli; cli(['--help'], standalone_mode=False);"
        f"print('imported', [name for name in {SLOW} if name in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env=environment(),
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert ended.stdout.decode().splitlines()[-1] == "imported []"


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_where_the_list_says_and_has_that_name(name: str) -> None:
    said = CliRunner().invoke(cli, [name, "--help"])
    assert said.exit_code == 0, said.output
    assert said.output.startswith(f"Usage: cli {name} [OPTIONS]")


def test_a_slip_in_a_command_is_refused_with_the_nearest_one() -> None:
    said = CliRunner().invoke(cli, ["validat"])
    assert said.exit_code == 2
    assert "No such command 'validat'. Did you mean 'validate'?" in said.output
    assert "There are clear, connect, " in CliRunner().invoke(cli, ["what-is-this"]).output
