"""How things stand, as JSON: what `status --json` prints, key by key in `docs/ledger.md`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pipeline.ledger.inbox import BACKFILL, LIVE
from pipeline.ledger.queries.snapshot import Standing, User
from transforms.clock import micros
from transforms.times import format_time


class Seen(NamedTuple):
    """A look at a ledger, and at its file.

    Attributes:
      standing: what is in it.
      ledger: its path.
      process: that works on it; None where none does, 0 where it is not known which.
      bytes: of the file.
      log_bytes: of the write-ahead log beside it.
    """

    standing: Standing
    ledger: str
    process: int | None
    bytes: int
    log_bytes: int


def as_json(seen: Seen) -> dict[str, Any]:
    """One object; every time is RFC 3339 or null."""
    standing = seen.standing
    held = {each.segment for each in standing.held if each.released_at is None}
    return {
        "ledger": seen.ledger,
        "at": time_or_null(standing.at),
        "process": seen.process,
        "waiting": {
            "changes": standing.changes,
            "prospects": sum(user.prospects for user in standing.users),
            "oldest_at": time_or_null(standing.oldest_at),
            "empty_at": time_or_null(standing.empty_at),
            "audiences": [
                {
                    "segment": each.segment,
                    "name": standing.audience(each.segment),
                    "user": each.user,
                    "changes": each.changes,
                    "oldest_at": time_or_null(each.oldest_at),
                    "held": each.segment in held,
                }
                for each in standing.waiting
            ],
        },
        "users": [_user(user) for user in standing.users],
        "held": [
            {
                "segment": each.segment,
                "name": each.name,
                "since": time_or_null(each.since / 1e6),
                "members": each.members,
                "exits": each.exits,
                "changes": standing.changes_of(each.segment),
                "released_at": time_or_null(each.released_at and each.released_at / 1e6),
            }
            for each in standing.held
        ],
        "messages": {
            "waiting": standing.messages,
            "oldest_at": time_or_null(standing.oldest_message_at),
        },
        "last_hour": dict(standing.lately),
        "errors": [_error(each) for each in standing.errors],
        "alerts": [
            {**each._asdict(), "since": time_or_null(each.since)} for each in standing.alerts
        ],
        "totals": dict(standing.totals),
        "file": {"bytes": seen.bytes, "log_bytes": seen.log_bytes},
    }


def time_or_null(seconds: float | None) -> str | None:
    """Seconds since the epoch as RFC 3339, to the millisecond."""
    return None if seconds is None else format_time(micros(round(seconds, 3)))


def _user(user: User) -> dict[str, Any]:
    prospects = {lane.lane: lane.prospects for lane in user.lanes}
    return {
        "name": user.name,
        "changes": user.changes,
        "prospects": user.prospects,
        "live": prospects.get(LIVE, 0),
        "backfill": prospects.get(BACKFILL, 0),
        "oldest_at": time_or_null(min((lane.oldest_at for lane in user.lanes), default=None)),
        "allowance": user.allowance,
        "available": user.available,
        "withheld": user.withheld,
        "more_at": time_or_null(user.more_at),
        "paused": user.paused,
        "paused_at": time_or_null(user.paused_at),
        "empty_at": time_or_null(user.empty_at),
    }


def _error(letter: Mapping[str, Any]) -> dict[str, Any]:
    # What arrived is in the dead letter itself; who only looks after the job need not see it.
    payload = letter["payload"] if letter["stage"] == "deliver" else {}
    return {
        "outreach_id": payload.get("outreach_id"),
        **{key: value for key, value in letter.items() if key != "payload"},
    }
