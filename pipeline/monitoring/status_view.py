"""How things stand, for a person at a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from rich.console import Group, RenderableType
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from pipeline.console.formatting import duration
from pipeline.ledger.inbox import BACKFILL, LIVE
from pipeline.ledger.queries.snapshot import Snapshot, User
from pipeline.monitoring import audience_view, org_view
from pipeline.monitoring.alert_rules import command, question
from pipeline.monitoring.counts import Counted
from transforms.clock import micros
from transforms.times import format_time

_AUDIENCES = 25
"""Rows shown; `--json` has all."""
_DAY = 86_400.0


def page(seen: StatusData) -> RenderableType:
    """All of it, the most pressing first."""
    standing = seen.standing
    parts: list[RenderableType] = [_headline(seen), _backlog(standing)]
    parts += [
        f"[bold red]paused[/] {escape(user.paused)}" for user in standing.users if user.paused
    ]
    for each in standing.held:
        if each.released_at is None:
            parts.append(f"[bold red]held[/] {escape(question(each))}")
            # In one line, however long, to be copied.
            parts.append(Text(command(each, seen.ledger), no_wrap=True, overflow="ignore"))
    parts += [
        f"[bold yellow]alert[/] {escape(alert.text)}"
        for alert in standing.alerts
        if alert.kind not in _SHOWN_OTHERWISE
    ]
    for line in org_view.lines(standing.org, seen.ledger, standing.at):
        parts.append(Text(line, overflow="fold"))
    for title, header, rows in (*audience_view.tables(seen.counted), *_tables(standing)):
        if rows:
            parts += ["", f"[bold]{title}[/]", _table(header, rows)]
    return Group(*parts)


_SHOWN_OTHERWISE = ("paused", "mass_exit")


def _headline(seen: StatusData) -> str:
    if seen.process is None:
        job = "[yellow]no job is running[/]"
    else:
        job = "the job is running" + (f" (process {seen.process})" if seen.process else "")
    log = f" and {decimal(seen.log_bytes)} of log" if seen.log_bytes else ""
    return f"[bold]{escape(seen.ledger)}[/]  {job}; {decimal(seen.bytes)}{log}"


def _backlog(standing: Snapshot) -> str:
    messages = ""
    if standing.oldest_message_at is not None:
        age = duration(standing.at - standing.oldest_message_at)
        are = "is" if standing.messages == 1 else "are"
        what = f"{_counted(standing.messages, 'message')} {are}"
        messages = f" {what} not taken in yet, the oldest for {age}."
    if standing.oldest_at is None:
        return f"Nothing waits.{messages}"
    prospects = sum(user.prospects for user in standing.users)
    oldest = duration(standing.at - standing.oldest_at)
    return (
        f"{_counted(standing.changes, 'change')} of {_counted(prospects, 'prospect')}"
        f" {'waits' if standing.changes == 1 else 'wait'}, the oldest for {oldest};"
        f" {_empty(standing)}.{messages}"
    )


def _counted(count: int, thing: str) -> str:
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def _empty(standing: Snapshot) -> str:
    if standing.empty_at is None:
        return "not all of them can be sent before something below is mended or decided"
    if standing.empty_at <= standing.at:
        return "the budget allows all of them now"
    left = duration(standing.empty_at - standing.at)
    return f"the budget allows the last of them {_clock(standing.empty_at, standing.at)}, in {left}"


def _tables(
    standing: Snapshot,
) -> Iterator[tuple[str, Sequence[str], Sequence[Sequence[str]]]]:
    held = {each.segment for each in standing.held if each.released_at is None}
    yield (
        "Waiting",
        ("audience", "user", "changes", "oldest", ""),
        [
            (
                standing.audience(each.segment),
                each.user,
                f"{each.changes:,}",
                duration(standing.at - each.oldest_at),
                "held" if each.segment in held else "",
            )
            for each in standing.waiting[:_AUDIENCES]
        ],
    )
    yield (
        "Users",
        ("user", "requests now", "of", "more", "live", "backfill", "empty"),
        [_user(user, standing.at) for user in standing.users],
    )
    yield (
        "Last hour",
        ("outcome", "changes"),
        [(name, f"{count:,}") for name, count in standing.lately.items() if count],
    )
    yield (
        "Last errors",
        ("when", "reason", "what"),
        [
            (
                _clock(datetime.fromisoformat(each["recorded_at"]).timestamp(), standing.at),
                each["reason"],
                each["detail"] or each["source"],
            )
            for each in standing.errors
        ],
    )


def _user(user: User, now: float) -> tuple[str, ...]:
    prospects = {lane.lane: f"{lane.prospects:,}" for lane in user.lanes}
    waiting = (prospects.get(LIVE, "0"), prospects.get(BACKFILL, "0"))
    if user.allowance is None:
        return (user.name, "", "", "not in the destination any more", *waiting, "never")
    more = "" if user.more_at is None else _clock(user.more_at, now)
    if user.paused:
        more = "paused"
    empty = "never" if user.empty_at is None else _clock(user.empty_at, now)
    if not user.changes:
        empty = ""
    return (user.name, f"{user.available:,}", f"{user.allowance:,}", more, *waiting, empty)


def _clock(at: float, now: float) -> str:
    moment = datetime.fromtimestamp(at).astimezone()
    if abs(at - now) < 1.0:
        return "now"
    return moment.strftime("%H:%M:%S" if abs(at - now) < _DAY / 2 else "%d %b %H:%M")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for place, title in enumerate(header):
        numeric = all(row[place].replace(",", "").isdigit() for row in rows)
        table.add_column(title, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    return table


class StatusData(NamedTuple):
    """A look at a ledger, and at its file.

    Attributes:
      standing: what is in it.
      ledger: its path.
      process: that works on it; None where none does, 0 where it is not known which.
      bytes: of the file.
      log_bytes: of the write-ahead log beside it.
      counted: what its receipts come to.
    """

    standing: Snapshot
    ledger: str
    process: int | None
    bytes: int
    log_bytes: int
    counted: Counted


def as_json(seen: StatusData) -> dict[str, Any]:
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
        "users": [_user_json(user) for user in standing.users],
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
        "errors": [_error_json(each) for each in standing.errors],
        "alerts": [
            {**each._asdict(), "since": time_or_null(each.since)} for each in standing.alerts
        ],
        "totals": dict(standing.totals),
        "audiences": audience_view.as_json(seen.counted),
        **org_view.as_json(standing.org),
        "file": {"bytes": seen.bytes, "log_bytes": seen.log_bytes},
    }


def time_or_null(seconds: float | None) -> str | None:
    """Seconds since the epoch as RFC 3339, to the millisecond."""
    return None if seconds is None else format_time(micros(round(seconds, 3)))


def _user_json(user: User) -> dict[str, Any]:
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


def _error_json(letter: Mapping[str, Any]) -> dict[str, Any]:
    # What arrived is in the dead letter itself; who only looks after the job need not see it.
    payload = letter["payload"] if letter["stage"] == "deliver" else {}
    return {
        "outreach_id": payload.get("outreach_id"),
        **{key: value for key, value in letter.items() if key != "payload"},
    }
