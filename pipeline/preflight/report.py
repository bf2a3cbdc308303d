"""What ``validate`` has to say about a destination file, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rich.console import Console
from rich.markup import escape

from pipeline.console.formatting import print_rows
from pipeline.destination.file import Destination, DestinationError
from pipeline.destination.keys.mapping import Audience, Values
from pipeline.destination.keys.sections import BearerAuth, OAuth, User
from pipeline.destination.yaml_reader import Problem, spell
from pipeline.preflight.lint import requests_per_hour
from transforms.errors import ConfigurationError
from transforms.outreach.auth.secret_source import SecretSource

if TYPE_CHECKING:
    from pipeline.preflight.estimate import Estimate
    from pipeline.preflight.live_checks import LiveFindings


@dataclass(slots=True)
class PreflightReport:
    """What there is to say about a destination file.

    Attributes:
      destination: None where the file could not be used.
      errors: what must be mended.
      warnings: what may well be meant so.
      notes: what could not be told.
      live: what Outreach said; None where it was not asked.
      estimate: what some input would take; None where there is none.
    """

    destination: Destination | None = None
    errors: list[ConfigurationError] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    live: LiveFindings | None = None
    estimate: Estimate | None = None


def tell(console: Console, verdict: PreflightReport) -> None:
    """Prints what the file will do, then notes and warnings, then the errors."""
    destination = verdict.destination
    if destination is not None:
        _describe(console, destination)
        if verdict.live is not None:
            verdict.live.tell(console)
        if verdict.estimate is not None:
            verdict.estimate.tell(console, destination)
        for style, kind, found in (
            ("cyan", "note", verdict.notes),
            ("yellow", "warning", verdict.warnings),
        ):
            for each in found:
                where = destination.where(*each.path)
                console.print(f"[{style}]{kind}[/] {escape(f'{where}: {each.text}')}")
    for error in verdict.errors:
        for line in str(error).splitlines():
            console.print(f"[bold red]error[/] {escape(line)}")
    if not verdict.errors:
        asked = "nothing was sent"
        if verdict.live is not None:
            asked = f"{verdict.live.requests:,} requests were spent, and nothing was written"
        console.print(f"[green]ready[/] to be used; {asked}")


def as_json(path: str, verdict: PreflightReport) -> dict[str, object]:
    """The same for a program; parts that were not asked for are left out."""
    errors: list[dict[str, object]] = []
    for error in verdict.errors:
        if isinstance(error, DestinationError):
            errors += map(_entry, error.problems)
        else:
            errors.append({"line": None, "key": "", "text": str(error)})
    said: dict[str, object] = {
        "destination": path,
        "ok": not verdict.errors,
        "errors": errors,
        "warnings": [_entry(warning) for warning in verdict.warnings],
    }
    if verdict.live is not None:
        said["notes"] = [_entry(note) for note in verdict.notes]
        said["live"] = verdict.live.as_json()
    if verdict.estimate is not None and verdict.destination is not None:
        said["estimate"] = verdict.estimate.as_json(verdict.destination)
    return said


def _entry(problem: Problem) -> dict[str, object]:
    return {"line": problem.line, "key": spell(problem.path), "text": problem.text}


def _describe(console: Console, destination: Destination) -> None:
    console.print(f"[bold]{escape(destination.name)}[/] to {escape(destination.outreach.base_url)}")
    print_rows(
        console, "audiences", [row for each in destination.audiences for row in _audience(each)]
    )
    print_rows(
        console, "attributes", [(each.source, each.target) for each in destination.attributes]
    )
    print_rows(console, "users", [_user(each) for each in destination.users])
    total = sum(map(requests_per_hour, destination.users))
    console.print(f"  at most {total:,.0f} requests an hour, each for one prospect")
    webhook = destination.alerts.webhook
    if webhook is not None:
        console.print(f"  alerts go to {escape(urlsplit(webhook).netloc)}")


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
        case BearerAuth(token_env=name, token_file=file):
            source = f"token from {SecretSource(name, file)}"
        case OAuth(client_secret_env=name, client_secret_file=file, token_store=store):
            source = f"secret from {SecretSource(name, file)}, tokens from {store}"
        case s2s:
            source = f"private key from {s2s.private_key_file}"
    return user.name, f"{requests_per_hour(user):,.0f} an hour", source
