"""Which alerts there are, and which of them were told, over restarts."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Final, NamedTuple

from transforms.times import format_time

_KEPT: Final = 1_000
"""Alerts that are over and remembered."""
_SHOWN: Final = 20


class Condition(NamedTuple):
    """Something that needs a person.

    Attributes:
      kind: one of `pipeline.monitoring.alert_rules.KINDS`.
      subject: which user or audience; empty where it is the job.
      text: what is wrong and what mends it, for people; without secrets.
    """

    kind: str
    subject: str
    text: str

    @property
    def key(self) -> tuple[str, str]:
        """Identifies the alert, whatever its wording."""
        return self.kind, self.subject


class Telling(NamedTuple):
    """A message to send: that an alert has begun, or that it is over.

    Attributes:
      condition: what it is.
      since: when it was found, in microseconds since the epoch.
      over_at: when it was over; None where it is not.
    """

    condition: Condition
    since: int
    over_at: int | None


def open_keys(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    """The alerts that are not over."""
    return set(connection.execute("SELECT kind, subject FROM alerts WHERE over_at IS NULL"))


def note_found(connection: sqlite3.Connection, found: Iterable[Condition], now: int) -> None:
    """Notes what is wrong, within the caller's transaction; `now` in microseconds.

    What is wrong again before anybody was told that it was over, was not over.
    """
    connection.executemany(
        "INSERT INTO alerts (kind, subject, text, since) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (kind, subject) DO UPDATE SET over_at = NULL",
        ((*each, now) for each in found),
    )


def note_over(connection: sqlite3.Connection, keys: Iterable[tuple[str, str]], now: int) -> None:
    """Notes what is over, within the caller's transaction; `now` in microseconds."""
    connection.executemany(
        "UPDATE alerts SET over_at = ? WHERE kind = ? AND subject = ? AND over_at IS NULL",
        ((now, *key) for key in keys),
    )


def to_tell(connection: sqlite3.Connection) -> list[Telling]:
    """Returns the messages that were not sent yet, oldest first."""
    return [
        Telling(Condition(kind, subject, text), since, over_at)
        for kind, subject, text, since, over_at in connection.execute(
            "SELECT kind, subject, text, since, over_at FROM alerts"
            " WHERE told_at IS NULL OR over_at IS NOT NULL ORDER BY since"
        )
    ]


def note_told(connection: sqlite3.Connection, telling: Telling, now: int) -> None:
    """Notes that somebody was told, within the caller's transaction; `now` in microseconds."""
    if telling.over_at is None:
        connection.execute(
            "UPDATE alerts SET told_at = ? WHERE kind = ? AND subject = ?",
            (now, *telling.condition.key),
        )
        return
    connection.execute(
        "INSERT INTO past_alerts (kind, subject, text, since, over_at) VALUES (?, ?, ?, ?, ?)",
        (*telling.condition, telling.since, telling.over_at),
    )
    connection.execute(
        "DELETE FROM past_alerts WHERE id <= (SELECT max(id) FROM past_alerts) - ?", (_KEPT,)
    )
    connection.execute(
        "DELETE FROM alerts WHERE kind = ? AND subject = ? AND over_at IS NOT NULL",
        telling.condition.key,
    )
    # It began again while its end was told: that is to be told anew.
    connection.execute(
        "UPDATE alerts SET told_at = NULL WHERE kind = ? AND subject = ?", telling.condition.key
    )


def read_past_alerts(connection: sqlite3.Connection) -> list[dict[str, str]]:
    """The latest alerts that are over, newest first."""
    return [
        {
            "kind": kind,
            "subject": subject,
            "text": text,
            "since": format_time(since),
            "over_at": format_time(over_at),
        }
        for kind, subject, text, since, over_at in connection.execute(
            "SELECT kind, subject, text, since, over_at FROM past_alerts ORDER BY id DESC LIMIT ?",
            (_SHOWN,),
        )
    ]


def drop_untold(connection: sqlite3.Connection, keys: Iterable[tuple[str, str]]) -> None:
    """Drops what was over before anybody was told of it, within the caller's transaction."""
    connection.executemany(
        "DELETE FROM alerts WHERE kind = ? AND subject = ? AND told_at IS NULL"
        " AND over_at IS NOT NULL",
        keys,
    )
