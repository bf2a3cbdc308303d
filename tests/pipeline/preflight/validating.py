"""`validate` run as the command line does, against a sandbox that it must leave as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipeline.commands.validate import validate_command
from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from pipeline.sandbox.custom_fields import parse_field

SECRET = "s3cr3t-of-the-application"
OPS, ANN = "tok-of-ops-1f0c", "tok-of-ann-77b2"
INTENT = "custom4:label=Enterprise intent,type=picklist,values=realized|existing|exited"
AUDIENCE = {"segment": "aaaa-1111", "name": "Enterprise intent", "mapping_id": 4}


@contextmanager
def outreach(*fields: str, violations: Sequence[str] = (), **options: Any) -> Iterator[Sandbox]:
    """A sandbox, which at the end is as it was."""
    given = {"tokens": {OPS: "ops", ANN: "ann"}, "prospects": 3, **options}
    setups = tuple(map(parse_field, fields or (INTENT,)))
    with running_sandbox(SandboxOptions(fields=setups, **given)) as sandbox:
        yield sandbox
        assert [each.kind for each in sandbox.violations()] == list(violations)
        assert all(not attributes for attributes in sandbox.prospects().values())


@dataclass(frozen=True, slots=True)
class Said:
    status: object
    found: Mapping[str, Any]
    err: str

    def texts(self, kind: str) -> list[str]:
        return [f"{each['key']}: {each['text']}" for each in self.found[kind]]


class Validate:
    """Runs the command as the command line does, in a folder of its own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.path = folder / "destination.yaml"
        self._capsys = capsys

    def write(
        self,
        url: str,
        audiences: Sequence[Mapping[str, object]] = (AUDIENCE,),
        *,
        users: Sequence[Mapping[str, object]] = (),
        **more: object,
    ) -> None:
        content = {
            "name": "test",
            "outreach": {"base_url": url},
            "users": users or [user("ops")],
            "audiences": audiences,
            **more,
        }
        self.path.write_text(json.dumps(content, indent=1), encoding="utf-8")

    def __call__(self, *flags: str) -> Said:
        with pytest.raises(SystemExit) as ended:
            validate_command.main(["--destination", str(self.path), "--json", *flags])
        captured = self._capsys.readouterr()
        for secret in (OPS, ANN, SECRET):
            assert secret not in captured.out + captured.err
        return Said(ended.value.code, json.loads(captured.out), captured.err)


def user(name: str, **more: object) -> dict[str, object]:
    return {"name": name, "auth": {"type": "bearer", "token_env": f"{name.upper()}_TOKEN"}, **more}


def rows(said: Said) -> list[str]:
    return [" ".join(line.split()) for line in said.err.splitlines()]
