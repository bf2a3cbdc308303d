"""What a ledger's receipts and dead letters come to, for a report."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import orjson

from pipeline.ledger import guard, kinds
from pipeline.ledger.queries.freshness import Freshness, freshness_since
from pipeline.ledger.queries.savings import Savings, read_savings
from pipeline.ledger.queries.spending import Spending, read_spending
from transforms.elements import OUTCOMES

BUCKETS: Final = 60
"""Spans into which the time of a report is divided."""
_LAST: Final = 1_000
_UNMAPPED_SHOWN: Final = 10


class AudienceActivity(NamedTuple):
    """What became of one audience's changes, or of an attribute's.

    Attributes:
      name: for people.
      segment: None for profile attributes.
      field: that was written.
      outcomes: changes by outcome; 0 where there were none.
      waiting: changes that wait.
      members: prospects that Outreach was last given as members; 0 for an attribute.
    """

    name: str
    segment: str | None
    field: str
    outcomes: Mapping[str, int]
    waiting: int
    members: int


class Refusals(NamedTuple):
    """Dead letters of one reason.

    Attributes:
      stage: ``parse`` or ``deliver``.
      reason: a code.
      letters: how many.
      example: the detail of one of them.
      source: where that came from.
    """

    stage: str
    reason: str
    letters: int
    example: str
    source: str


class Activity(NamedTuple):
    """What a report is made of.

    Attributes:
      began: of the first receipt, in microseconds since the epoch; None where there is none.
      ended: of the last one.
      audiences: by field.
      refusals: the most frequent first.
      outcomes: changes by outcome, in spans of equal length from `began` to `ended`.
      mapping: name, segment and field of each audience.
      delays: freshness of all changes; None where nothing was delivered.
      freshness: of each audience, by segment.
      spending: each user's requests meanwhile.
      savings: changes that took no request of their own.
      unmapped: segments of no audience that came most often ever, and how often.
    """

    began: int | None
    ended: int | None
    audiences: Sequence[AudienceActivity]
    refusals: Sequence[Refusals]
    outcomes: Sequence[Mapping[str, int]]
    mapping: Sequence[tuple[str, str, str]]
    delays: Freshness | None = None
    freshness: Mapping[str, Freshness] = MappingProxyType({})
    spending: Sequence[Spending] = ()
    savings: Savings | None = None
    unmapped: Sequence[tuple[str, int]] = ()


def last_receipt(connection: sqlite3.Connection) -> int:
    """The id of the newest receipt; 0 where there is none."""
    (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM receipts").fetchone()
    return int(last)


def read_waiting_prospects(connection: sqlite3.Connection) -> dict[str, int]:
    """How many prospects have something to be sent, by user."""
    return dict(connection.execute("SELECT user, count(*) FROM queue GROUP BY user"))


def read_activity(
    connection: sqlite3.Connection,
    after_receipt: int = 0,
    after_letter: int = 0,
    *,
    for_report: bool = True,
) -> Activity:
    """Reads all of it.

    Args:
      connection: to a ledger.
      after_receipt: only receipts with a greater id.
      after_letter: only dead letters with a greater id.
      for_report: False leaves out all from `delays` on: to count that takes longer.
    """
    mapping = sorted(
        connection.execute("SELECT name, segment, field FROM audiences").fetchall(),
        key=lambda each: _in_order(each[2]),
    )
    began, ended = connection.execute(
        "SELECT min(recorded_at), max(recorded_at) FROM receipts WHERE id > ?", (after_receipt,)
    ).fetchone()
    found = Activity(
        began,
        ended,
        _audiences(connection, after_receipt, mapping),
        read_refusals(connection, after_letter),
        [] if began is None else _outcomes(connection, after_receipt, began, ended),
        mapping,
    )
    if not for_report or began is None:
        return found
    delays, freshness = freshness_since(connection, after_receipt)
    return found._replace(
        delays=delays,
        freshness=freshness,
        spending=read_spending(connection, began / 1e6, ended / 1e6, BUCKETS),
        savings=read_savings(connection, after_receipt, began),
        unmapped=_unmapped(connection),
    )


def _audiences(
    connection: sqlite3.Connection, after: int, mapping: Sequence[tuple[str, str, str]]
) -> list[AudienceActivity]:
    names = {(segment, field): name for name, segment, field in mapping}
    found: dict[tuple[str | None, str], dict[str, int]] = {
        key: dict.fromkeys(OUTCOMES, 0) for key in names
    }
    for (segment, field, outcome), count in kinds.counts(connection, after):
        of = found.setdefault((segment or None, field), dict.fromkeys(OUTCOMES, 0))
        of[outcome] = count
    waiting = {
        (segment, field): count
        for segment, field, count in connection.execute(
            "SELECT segment, field, count(*) FROM waiting GROUP BY 1, 2"
        )
    }
    members = {
        (segment, field): count
        for segment, field, count in connection.execute(
            "SELECT segment, field, count(*) FROM known"
            f" WHERE segment NOT NULL AND origin {guard.A_MEMBER} GROUP BY 1, 2"
        )
    }
    return [
        AudienceActivity(
            names.get((segment or "", field)) or (segment or "profile attribute"),
            segment,
            field,
            outcomes,
            waiting.get((segment, field), 0),
            members.get((segment or "", field), 0),
        )
        for (segment, field), outcomes in sorted(
            found.items(), key=lambda each: _in_order(each[0][1])
        )
    ]


def _in_order(field: str) -> tuple[int, str]:
    """Audiences' fields by their numbers, then the others by name."""
    number = field.removeprefix("custom")
    return (int(number), "") if number.isdecimal() else (_LAST, field)


def read_refusals(connection: sqlite3.Connection, after: int = 0) -> list[Refusals]:
    """Dead letters by reason, the most frequent first; of those with a greater id."""
    found: list[Refusals] = []
    for stage, reason, count, line in connection.execute(
        "SELECT stage, reason, count(*), min(line) FROM dead_letters WHERE id > ?"
        " GROUP BY 1, 2 ORDER BY 3 DESC",
        (after,),
    ):
        letter: dict[str, Any] = orjson.loads(line)
        detail, source = str(letter.get("detail", "")), str(letter.get("source", ""))
        found.append(Refusals(stage, reason, count, detail, source))
    return found


def _outcomes(
    connection: sqlite3.Connection, after: int, began: int, ended: int
) -> list[Mapping[str, int]]:
    width = max(1, (ended - began) // BUCKETS + 1)
    spans: list[dict[str, int]] = [dict.fromkeys(OUTCOMES, 0) for _ in range(BUCKETS)]
    for span, outcome, count in connection.execute(
        "SELECT min((recorded_at - ?) / ?, ?), outcome, count(*) FROM receipts WHERE id > ?"
        " GROUP BY 1, 2",
        (began, width, BUCKETS - 1, after),
    ):
        spans[span][outcome] = count
    return list(spans)


def _unmapped(connection: sqlite3.Connection) -> list[tuple[str, int]]:
    return connection.execute(
        "SELECT substr(name, 10), count FROM totals WHERE name LIKE 'unmapped/%'"
        " ORDER BY count DESC, name LIMIT ?",
        (_UNMAPPED_SHOWN,),
    ).fetchall()
