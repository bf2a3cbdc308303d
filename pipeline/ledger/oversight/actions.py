"""Actions from the operator's page: recorded here, and carried out by the job."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

from transforms.times import format_time

_PAUSED: Final = "paused_at"
_SHOWN: Final = 20


def note(connection: sqlite3.Connection, action: str, detail: str, now: int) -> None:
    """Writes down what was done, within the caller's transaction; `now` in microseconds."""
    connection.execute(
        "INSERT INTO actions (at, action, detail) VALUES (?, ?, ?)", (now, action, detail)
    )


def noted(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    """The latest actions, newest first."""
    return [
        {"at": format_time(at), "action": action, "detail": detail}
        for at, action, detail in connection.execute(
            "SELECT at, action, detail FROM actions ORDER BY id DESC LIMIT ?", (_SHOWN,)
        )
    ]


def pause(connection: sqlite3.Connection, now: int) -> None:
    """Has a job send nothing more until it is resumed, within the caller's transaction."""
    connection.execute(
        "INSERT OR IGNORE INTO meta (name, value) VALUES (?, ?)", (_PAUSED, str(now))
    )


def resume(connection: sqlite3.Connection) -> None:
    """Has a job send again, within the caller's transaction."""
    connection.execute("DELETE FROM meta WHERE name = ?", (_PAUSED,))


def paused_at(connection: sqlite3.Connection) -> int | None:
    """Since when a job is to send nothing, in microseconds since the epoch; None where it may."""
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (_PAUSED,)).fetchone()
    return None if row is None else int(row[0])
