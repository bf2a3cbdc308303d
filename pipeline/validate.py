"""The ``validate`` command: is this destination file right, and what will it do?"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.destination import (
    Destination,
    DestinationError,
    destination_schema,
    load_destination,
)
from pipeline.destination_keys import BearerAuth, OAuth, User
from pipeline.destination_mapping import Audience, Values
from pipeline.options import flag
from pipeline.suspicions import requests_per_hour, suspicions
from pipeline.yaml_lines import Problem, spell
from transforms.errors import ConfigurationError

WRONG = 2
"""Exit status of a destination file or credentials that cannot be used."""


@dataclass(slots=True)
class Verdict:
    """What there is to say about a destination file.

    Attributes:
      destination: None where the file could not be used.
      errors: what must be mended.
      warnings: what may well be meant so.
    """

    destination: Destination | None = None
    errors: list[ConfigurationError] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


@click.command("validate")
@flag("destination", metavar="PATH", help="The destination file (YAML).")
@flag("schema", is_flag=True, help="Print the file's JSON Schema, for editors, and end.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON too.")
def validate_command(destination: str | None, schema: bool, as_json: bool) -> None:
    """Checks a destination file, and says what it will write where.

    Credentials are looked for where the file says they are, but not used: nothing is sent.
    """
    if schema:
        click.echo(json.dumps(destination_schema(), indent=2, ensure_ascii=False))
        return
    if destination is None:
        raise click.UsageError("Missing option '--destination'.")
    verdict = examine(destination)
    tell(Console(stderr=True, highlight=False, soft_wrap=True), verdict)
    if as_json:
        click.echo(json.dumps(_as_json(destination, verdict), ensure_ascii=False))
    if verdict.errors:
        raise SystemExit(WRONG)


def examine(path: str) -> Verdict:
    """Reads the destination file and looks for its credentials; sends nothing."""
    verdict = Verdict()
    try:
        verdict.destination = load_destination(path)
        verdict.warnings = suspicions(verdict.destination)
        verdict.destination.secrets(os.environ)
    except ConfigurationError as error:
        verdict.errors.append(error)
    return verdict


def tell(console: Console, verdict: Verdict) -> None:
    """Prints what the file will do, then the warnings, then the errors."""
    if verdict.destination is not None:
        _describe(console, verdict.destination)
        for warning in verdict.warnings:
            where = verdict.destination.where(*warning.path)
            console.print(f"[yellow]warning[/] {escape(f'{where}: {warning.text}')}")
    for error in verdict.errors:
        for line in str(error).splitlines():
            console.print(f"[bold red]error[/] {escape(line)}")
    if not verdict.errors:
        console.print("[green]ready[/] to be used; nothing was sent")


def _describe(console: Console, destination: Destination) -> None:
    console.print(f"[bold]{escape(destination.name)}[/] to {escape(destination.outreach.base_url)}")
    _print_rows(
        console, "audiences", [row for each in destination.audiences for row in _audience(each)]
    )
    _print_rows(
        console, "attributes", [(each.source, each.target) for each in destination.attributes]
    )
    _print_rows(console, "users", [_user(each) for each in destination.users])
    total = sum(map(requests_per_hour, destination.users))
    console.print(f"  at most {total:,.0f} requests an hour, each for one prospect")
    webhook = destination.alerts.webhook
    if webhook is not None:
        console.print(f"  alerts go to {escape(urlsplit(webhook).netloc)}")


def _print_rows(console: Console, title: str, rows: Sequence[tuple[str, ...]]) -> None:
    if not rows:
        return
    table = Table(box=None, show_header=False, padding=(0, 2))
    for column in zip(*rows, strict=True):
        # Ids stay in one piece; sentences and names may be broken.
        table.add_column(overflow="fold", min_width=max(len(cell.split(" ")[0]) for cell in column))
    for row in rows:
        table.add_row(*map(escape, row))
    console.print(title)
    console.print(table)


def _audience(audience: Audience) -> Iterator[tuple[str, ...]]:
    segment = audience.segment
    if audience.namespace is not None:
        segment = f"{audience.namespace}/{segment}"
    yield audience.name, audience.field, segment
    if audience.values != Values():
        written = ((s, "cleared" if value is None else value) for s, value in audience.values)
        yield "", "", ", ".join(f"{status}: {value}" for status, value in written)


def _user(user: User) -> tuple[str, ...]:
    match user.auth:
        case BearerAuth(token_env=name):
            source = f"token from the environment variable {name}"
        case OAuth(client_secret_env=name, token_store=store):
            source = f"secret from the environment variable {name}, tokens from {store}"
        case s2s:
            source = f"private key from {s2s.private_key_file}"
    return user.name, f"{requests_per_hour(user):,.0f} an hour", source


def _as_json(path: str, verdict: Verdict) -> dict[str, object]:
    errors: list[dict[str, object]] = []
    for error in verdict.errors:
        if isinstance(error, DestinationError):
            errors += map(_entry, error.problems)
        else:
            errors.append({"line": None, "key": "", "text": str(error)})
    return {
        "destination": path,
        "ok": not verdict.errors,
        "errors": errors,
        "warnings": [_entry(warning) for warning in verdict.warnings],
    }


def _entry(problem: Problem) -> dict[str, object]:
    return {"line": problem.line, "key": spell(problem.path), "text": problem.text}
