"""What it would take to deliver the changes in files: prospects, requests, hours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from rich.console import Console
from rich.markup import escape

from pipeline.console.formatting import print_rows, tell_unmapped
from pipeline.destination.file import Destination
from pipeline.destination.stage_config import budget_of, plan_of
from pipeline.io.files import blocks, expand
from pipeline.io.headers import check_headers
from pipeline.preflight.live_checks import Setups, check_value
from pipeline.summary import with_unmapped
from transforms import mapping as mapping_rules
from transforms.budget.forecast import hours
from transforms.elements import Change, is_known
from transforms.formats.csv_rows import Columns
from transforms.stages.parse import parse


@dataclass(slots=True)
class Estimate:
    """What some files hold, as a destination maps it.

    Attributes:
      files: as they were found.
      records: lines, rows and documents.
      unreadable: parts of them that would be dead letters.
      unmapped: memberships of no audience here.
      segments: of those, how often each came.
      unmapped_segments: of those, the most frequent, as a summary names them.
      changes: of fields.
      refused: changes among them whose value the field would not take.
      refusals: why, for the first of each field, by its name.
      prospects: whose fields they are, by the name of the user who writes them.
    """

    files: list[str]
    records: int = 0
    unreadable: int = 0
    unmapped: int = 0
    segments: Counter[str] = field(default_factory=Counter)
    unmapped_segments: Sequence[Mapping[str, Any]] = ()
    changes: int = 0
    refused: int = 0
    refusals: dict[str, str] = field(default_factory=dict)
    prospects: dict[str, set[int]] = field(default_factory=dict)

    @property
    def requests(self) -> int:
        """One a prospect, since its changes go together."""
        return sum(map(len, self.prospects.values()))

    def tell(self, console: Console, destination: Destination) -> None:
        """Prints what it would take."""
        takes = hours_of(destination, self)
        rows = [
            (name, f"{len(prospects):,}", _spelled(takes[name]))
            for name, prospects in self.prospects.items()
        ]
        if len(rows) > 1:
            rows.append(("all", f"{self.requests:,}", _spelled(max(takes.values()))))
        title = (
            f"in {self.records:,} records: {self.changes:,} changes,"
            f" {self.unmapped:,} memberships unmapped, {self.unreadable:,} unreadable"
        )
        print_rows(console, title, rows, ("user", "prospects, one request each", "takes"))
        tell_unmapped(console, self.unmapped_segments)
        if self.refused:
            console.print(
                f"  {self.refused:,} of the changes would be dead letters, since their field"
                " cannot hold the value:"
            )
        for refusal in self.refusals.values():
            console.print(f"    {escape(refusal)}")

    def as_json(self, destination: Destination) -> dict[str, object]:
        """The same for a program."""
        takes = hours_of(destination, self)
        return {
            "files": self.files,
            "records": self.records,
            "unreadable": self.unreadable,
            "unmapped": self.unmapped,
            "unmapped_segments": self.unmapped_segments,
            "changes": self.changes,
            "refused": self.refused,
            "refusals": self.refusals,
            "prospects": self.requests,
            "requests": self.requests,
            "hours": max(takes.values()),
            "users": [
                {
                    "name": name,
                    "prospects": len(prospects),
                    "requests": len(prospects),
                    "hours": takes[name],
                }
                for name, prospects in self.prospects.items()
            ],
        }


def estimate(
    destination: Destination,
    files: Sequence[str],
    setups: Setups | None = None,
    columns: Columns = (),
) -> Estimate:
    """Reads files and counts what would be sent; of the changes it holds only whose they are.

    Args:
      destination: that maps them.
      files: paths and globs.
      setups: of the custom fields, where they are known.
      columns: names for the columns of tables, in place of the destination's.

    Raises:
      ConfigurationError: a file is not there.
      ActivationError: one cannot be read to its end.
    """
    plan = plan_of(destination)
    mapping = mapping_rules.Mapping(plan)
    paths = expand(files)
    columns = tuple({**dict(destination.columns.pairs), **dict(columns)}.items())
    check_headers(paths, columns, destination.identity.match)
    found = Estimate(paths, prospects={user.name: set() for user in destination.users})
    for path in found.files:
        for block in blocks(path, 0, columns=columns):
            parsed = parse(block, plan.identity, plan.sources, 0, rules=plan.reading)
            mapped = mapping.map(parsed.memberships, parsed.attributes)
            found.records += parsed.arrivals
            found.unreadable += len(parsed.dead_letters)
            found.unmapped += mapped.unmapped
            found.segments.update(mapped.segments)
            changes = [change for change in mapped.changes if not is_known(change)]
            found.changes += len(changes) + len(mapped.misfits)
            found.refused += len(mapped.misfits)
            for misfit in mapped.misfits:
                found.refusals.setdefault(misfit.change.field, misfit.detail)
            _count(found, changes, setups or {})
    found.unmapped_segments = with_unmapped({}, found.segments, mapping).get(
        "unmapped_segments", []
    )
    return found


def _count(found: Estimate, changes: Iterable[Change], setups: Setups) -> None:
    for change in changes:
        # What an audience writes is known beforehand, and was checked with its field.
        setup = setups.get(change.field) if change.segment is None else None
        refusal = check_value(setup, orjson.loads(change.value)) if setup else None
        if refusal:
            found.refused += 1
            found.refusals.setdefault(change.field, refusal)
        else:
            found.prospects[change.user].add(change.outreach_id)


def hours_of(destination: Destination, found: Estimate) -> dict[str, float]:
    """The hours that each user's part takes, by the user's name; they go side by side."""
    return {
        user.name: hours(len(found.prospects[user.name]), budget_of(user))
        for user in destination.users
    }


def _spelled(hours: float) -> str:
    return f"{hours:,.1f} hours" if hours else "no more than one budget"
