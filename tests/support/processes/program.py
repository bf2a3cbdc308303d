"""Runs the program as its user does, and reads what it wrote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TOKEN = "tok-9f3c1b7e5d"
ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended, and what it left."""

    status: int
    stdout: str
    stderr: str
    folder: Path

    @property
    def summary(self) -> dict[str, Any]:
        return json.loads(self.stdout.splitlines()[-1])

    @property
    def receipts(self) -> list[dict[str, Any]]:
        return json_lines(self.folder / "receipts.jsonl")

    @property
    def dead_letters(self) -> list[dict[str, Any]]:
        return json_lines(self.folder / "dead_letters.jsonl")


def json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pipeline", *arguments]


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OUTREACH")}
    return {**kept, "OUTREACH_TOKEN": TOKEN, "PYTHONPATH": str(ROOT), **more}


def run(
    folder: Path, *arguments: str, given: bytes = b"", variables: Mapping[str, str] | None = None
) -> Ended:
    """Runs the program in a folder, to its end."""
    ended = subprocess.run(
        command(*arguments),
        cwd=folder,
        env=environment() if variables is None else dict(variables),
        input=given,
        capture_output=True,
        timeout=100,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout.decode(), ended.stderr.decode(), folder)


def replay(folder: Path, *files: str, given: bytes = b"", more: Sequence[str] = ()) -> Ended:
    """Replays files of a folder to the destination in it, with receipts and dead letters."""
    return run(
        folder,
        "replay",
        *files,
        "--destination=destination.yaml",
        "--receipts=receipts.jsonl",
        "--dead_letters=dead_letters.jsonl",
        *more,
        given=given,
    )


def write_lines(path: Path, lines: Sequence[str]) -> None:
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def write_destination(
    folder: Path,
    url: str,
    audiences: Mapping[str, int],
    *,
    budget: Mapping[str, float] | None = None,
    **more: object,
) -> None:
    """Writes `destination.yaml` (JSON is YAML); `audiences` is segment to field number."""
    user: dict[str, object] = {
        "name": "ops",
        "auth": {"type": "bearer", "token_env": "OUTREACH_TOKEN"},
    }
    if budget is not None:
        user["budget"] = dict(budget)
    content = {
        "name": "test",
        "outreach": {"base_url": url},
        "users": [user],
        "audiences": [
            {"segment": segment, "name": segment, "mapping_id": number}
            for segment, number in audiences.items()
        ],
        **more,
    }
    (folder / "destination.yaml").write_text(json.dumps(content, indent=1), encoding="utf-8")
