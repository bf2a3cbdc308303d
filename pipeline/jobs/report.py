"""What a finished run tells a person, on standard error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.console.exit_status import DEAD_LETTERS, DONE, FAILED, WRONG
from pipeline.console.formatting import tell_unmapped
from pipeline.io.targets import prepare
from transforms.elements import OUTCOMES
from transforms.errors import ConfigurationError

MEANINGS = {
    "delivered": "written to Outreach",
    "unchanged": "held that value already",
    "superseded": "a newer change took their place",
    "rejected": "refused for good",
    "deferred": "left when the job was asked to stop",
}


class ReportRequest(Protocol):
    """What a command was asked to write; None for nothing."""

    @property
    def receipts(self) -> str | None:
        """Path or topic."""

    @property
    def dead_letters(self) -> str | None:
        """Path or topic."""


_OF_RECORDS = {
    "unreadable": "dead letters of records that could not be read",
    "unmapped": "in segments of no audience here",
    "excluded": "changes that a condition of the destination keeps out",
    "skewed": "times in the future; they count as those of arrival",
}
"""The counts of records that the report explains, where they are not 0."""


def report(console: Console, finished: RunResult, asked: ReportRequest) -> None:
    """Prints the outcomes, the reasons of dead letters, and where everything was put."""
    summary = finished.summary
    table = Table(box=None, show_header=False, padding=(0, 2))
    table.add_column(justify="right")
    table.add_column()
    table.add_column(style="dim")
    table.add_row(f"{summary['records']:,}", "records", "")
    for name in filter(summary.get, _OF_RECORDS):
        table.add_row(f"{summary[name]:,}", name, _OF_RECORDS[name])
    table.add_row(f"{summary['changes']:,}", "changes", "")
    for outcome in OUTCOMES:
        if summary[outcome]:
            meaning = "would be written" if _rehearsed(finished, outcome) else MEANINGS[outcome]
            table.add_row(f"{summary[outcome]:,}", outcome, meaning)
    table.add_row(f"{summary['requests']:,}", "requests", _pace(finished))
    console.print(table)
    if not summary["records"] and not summary["changes"]:
        console.print("  There was nothing to read: the input is empty.")
    tell_unmapped(console, summary.get("unmapped_segments", ()))
    _print_outputs(console, finished, asked)
    if (page := getattr(asked, "report", None)) is not None:
        console.print(f"  report: {escape(page)}")
    _print_obstacles(console, finished)
    if finished.kept:
        were = "would not be" if summary.get("dry_run") else "were not"
        console.print(f"  {finished.kept:,} changes {were} sent; {_place(finished)}")
    if finished.again is not None:
        console.print(f"  To go on: {escape(finished.again)}")


def _print_outputs(console: Console, finished: RunResult, asked: ReportRequest) -> None:
    for reason, count in finished.reasons.items():
        console.print(f"  {count:,} dead letter{'s' * (count != 1)}: {escape(reason)}")
    if finished.reasons and asked.dead_letters is None:
        console.print("  They were not written: --dead_letters PATH keeps them, to be replayed.")
    for name, target in (("receipts", asked.receipts), ("dead letters", asked.dead_letters)):
        if target is not None:
            earlier = finished.earlier.get(target)
            put = f" (earlier ones: {escape(earlier)})" if earlier else ""
            console.print(f"  {name}: {escape(target)}{put}")


def _print_obstacles(console: Console, finished: RunResult) -> None:
    for word, texts in (("paused", finished.problems), ("held", finished.held)):
        for text in texts:
            console.print(f"[bold red]{word}[/] {escape(text)}")


def _place(finished: RunResult) -> str:
    if finished.ledger is None:
        return (
            "they are in the input: mend this and replay it again."
            " What was delivered will not be harmed by it."
        )
    wait = "would wait" if finished.summary.get("dry_run") else "wait"
    return f"they {wait} in {escape(finished.ledger)}."


def _rehearsed(finished: RunResult, outcome: str) -> bool:
    return outcome == "delivered" and bool(finished.summary.get("dry_run"))


def _pace(finished: RunResult) -> str:
    summary = finished.summary
    throttled = f", {summary['throttled']:,} of them answered 429" if summary["throttled"] else ""
    if finished.resumed:
        return f"since it was begun, {summary['seconds']:,.1f} s of it in this run{throttled}"
    return f"in {summary['seconds']:,.1f} s{throttled}"


def write_summary(path: str, text: str) -> None:
    """Writes the summary to a file; an earlier one is put aside.

    Raises:
      ConfigurationError: the file cannot be written.
    """
    prepare(path, "summary")
    try:
        Path(path).write_text(text + "\n", encoding="utf-8")
    except OSError as problem:
        raise ConfigurationError(f"{path} cannot be written: {problem.strerror}") from problem


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended.

    Attributes:
      summary: what the user reads.
      reasons: how many dead letters there are, by reason.
      kept: changes that have no outcome yet.
      problems: why they were kept, one a paused user.
      earlier: output files that were put aside, by the name of what took their place.
      ledger: where what is kept waits; None where it is in the input.
      held: what a person is asked about audiences that empty too fast.
      interrupted: it was asked to stop before it was done.
      resumed: the summary is of earlier processes too, apart from its seconds.
      again: the command that goes on with what was left, where a ledger holds it.
    """

    summary: Mapping[str, Any]
    reasons: Mapping[str, int]
    kept: int
    problems: Sequence[str]
    earlier: Mapping[str, str]
    ledger: str | None = None
    held: Sequence[str] = ()
    interrupted: bool = False
    resumed: bool = False
    again: str | None = None

    @property
    def exit_status(self) -> int:
        """Exit status of the command that ran it; see `pipeline.console.exit_status`."""
        if self.interrupted:
            return FAILED
        if self.kept:
            outcomes = ("delivered", "unchanged", "rejected")
            nothing_sent = self.problems and not any(self.summary[each] for each in outcomes)
            return WRONG if nothing_sent else FAILED
        return DEAD_LETTERS if self.reasons else DONE
