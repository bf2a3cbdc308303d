"""No text from outside is interpreted, wherever it is printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.markup import escape

from pipeline.commands.validate import validate_command
from pipeline.console.screen import Screen, visible

ODD = "a :x: [red]b[/] [link=x]c \\ seg:a:z"


@pytest.mark.parametrize("text", [":x:", "segment:a:", "[red]", "[/]", "[bold]x[/bold]", ODD])
def test_text_from_outside_is_printed_as_it_is(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Screen(stderr=True).print(f"[bold]said[/] {escape(text)}")

    assert capsys.readouterr().err == f"said {text}\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x07bell\r", "\\x07bell\\r"),
        ("\x9b2J", "\\x9b2J"),
        ("abc\u202ecba", "abc\\u202ecba"),
        ("tab\tand line\n", "tab\tand line\n"),
        ("für 東京", "für 東京"),
    ],
)
def test_a_control_character_is_shown_and_not_obeyed(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_validate_prints_names_of_audiences_and_paths_as_they_are(tmp_path: Path) -> None:
    name = ":x: [red]"
    document = {
        "name": name,
        "users": [{"name": "ops:a:", "auth": {"type": "bearer", "token_env": "PATH"}}],
        "audiences": [{"segment": "segment:a:", "name": name, "mapping_id": 4}],
    }
    path = tmp_path / "d:x:[red].yaml"
    path.write_text(json.dumps(document))

    ended = CliRunner().invoke(validate_command, ["--destination", str(path)])

    assert ended.exit_code == 0, ended.output
    assert name in ended.output
    assert "segment:a:" in ended.output
    assert "ops:a:" in ended.output

    ended = CliRunner().invoke(validate_command, ["--destination", f"{path}.gone"])
    assert "d:x:[red].yaml.gone" in ended.output
