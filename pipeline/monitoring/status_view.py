"""How things stand, for a person at a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from pipeline.ledger.guard import command, question
from pipeline.ledger.inbox import BACKFILL, LIVE
from pipeline.ledger.queries.snapshot import Standing, User
from pipeline.standing_json import Seen

_AUDIENCES = 25
"""Rows shown; `--json` has all."""
_DAY = 86_400.0


def page(seen: Seen) -> RenderableType:
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
    for title, header, rows in _tables(standing):
        if rows:
            parts += ["", f"[bold]{title}[/]", _table(header, rows)]
    return Group(*parts)


_SHOWN_OTHERWISE = ("paused", "mass_exit")


def duration(seconds: float) -> str:
    """A span in its two largest units, such as ``3 h 12 min``."""
    whole = max(0, round(seconds))
    for size, name, part, part_name in (
        (86_400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {name}" + (f" {rest} {part_name}" if rest else "")
    return f"{whole} s"


def _headline(seen: Seen) -> str:
    if seen.process is None:
        job = "[yellow]no job is running[/]"
    else:
        job = "the job is running" + (f" (process {seen.process})" if seen.process else "")
    log = f" and {decimal(seen.log_bytes)} of log" if seen.log_bytes else ""
    return f"[bold]{escape(seen.ledger)}[/]  {job}; {decimal(seen.bytes)}{log}"


def _backlog(standing: Standing) -> str:
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


def _empty(standing: Standing) -> str:
    if standing.empty_at is None:
        return "not all of them can be sent before something below is mended or decided"
    if standing.empty_at <= standing.at:
        return "the budget allows all of them now"
    left = duration(standing.empty_at - standing.at)
    return f"the budget allows the last of them {_clock(standing.empty_at, standing.at)}, in {left}"


def _tables(
    standing: Standing,
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
