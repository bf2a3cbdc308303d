"""What the page shows, as one JSON object: never more than a page of anything.

A hundred thousand prospects are searched here and not in a browser.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from pipeline.sandbox.api.records import Collection, Record, full_name
from pipeline.sandbox.core import Outreach
from pipeline.sandbox.rate_limit import WINDOWS_SHOWN
from pipeline.sandbox.request_log import LoggedRequest

_REQUESTS = 60
_REQUESTS_OF_ONE = 20
_VIOLATIONS = 20
_BATCHES = 20
_VALUES = 12
"""Values of one field that are told apart; the rest are counted together."""

_HIDDEN = frozenset({"firstName", "lastName"})
"""Shown as one name rather than in columns of their own."""


class View(NamedTuple):
    """Which prospects the page is looking at.

    Attributes:
      search: digits find ids that start so, anything else what occurs in a value.
      field: only those that hold ``value`` in this field; empty for all.
      value: as text.
      latest_first: whether those altered last come first, rather than by id.
      page: counted from 1.
      size: prospects on a page.
    """

    search: str = ""
    field: str = ""
    value: str = ""
    latest_first: bool = False
    page: int = 1
    size: int = 25


def snapshot(outreach: Outreach, view: View, now: float) -> dict[str, Any]:
    """Everything on the page at this instant; times are epoch seconds."""
    request_log, prospects = outreach.request_log, outreach.collections["prospect"]
    return {
        "revision": request_log.revision,
        "now": now,
        "hour": outreach.options.hour,
        "windows": WINDOWS_SHOWN,
        "limit": outreach.options.limit,
        "counts": {
            "prospects": len(prospects),
            "accounts": len(outreach.collections["account"]),
            "requests": request_log.count,
            "statuses": {str(status): n for status, n in request_log.statuses.items()},
            "unaltering": request_log.unaltering,
        },
        "violations": {
            "counts": request_log.broken,
            "latest": [each._asdict() for each in _last(request_log.violations, _VIOLATIONS)],
        },
        "audiences": _audiences(outreach),
        "batches": _batches(outreach, now),
        "users": [_user(outreach, name, now) for name in outreach.users()],
        "prospects": _prospects(outreach, view),
        "requests": [_request(each) for each in _last(request_log.exchanges, _REQUESTS)],
    }


def _batches(outreach: Outreach, now: float) -> list[dict[str, Any]]:
    """The latest bulk actions, newest first."""
    batches = outreach.resources.batches
    batches.advance(now)
    return [
        {
            "id": each.id,
            "state": each.state,
            "user": each.user,
            "attributes": each.attributes,
            "records": len(each.ids),
            "everyone": each.everyone,
            "failures": len(each.failed),
            "fault": each.fault,
        }
        for each in list(batches.all.values())[: -_BATCHES - 1 : -1]
    ]


def _last(items: Any, count: int) -> list[Any]:  # noqa: ANN401 - a deque of anything
    """The last few, newest first."""
    return list(islice(reversed(items), count))


def _audiences(outreach: Outreach) -> list[dict[str, Any]]:
    records = outreach.collections["prospect"]
    configured = {each.name for each in outreach.options.fields if each.kind == "prospect"}
    audiences = []
    for name, field in outreach.custom_fields["prospect"].items():
        tally = records.tallies.get(name)
        if not tally and name not in configured:
            continue
        common = tally.most_common(_VALUES) if tally else []
        held = sum(tally.values()) if tally else 0
        audiences.append(
            {
                "field": name,
                "label": field.label,
                "type": field.type,
                "values": common,
                "others": held - sum(count for _, count in common),
                "empty": len(records) - held,
            }
        )
    return audiences


def _user(outreach: Outreach, name: str, now: float) -> dict[str, Any]:
    allowance = outreach.middleware.allowance(name)
    return {
        "name": name,
        "remaining": allowance.remaining(now),
        "reset": allowance.reset(now),
        "usage": [tuple(point) for point in allowance.usage(now)],
    }


def _prospects(outreach: Outreach, view: View) -> dict[str, Any]:
    records = outreach.collections["prospect"]
    start = (view.page - 1) * view.size
    if view.search or view.field:
        found = list(_found(records, view))
        total, ids = len(found), found[start : start + view.size]
    else:
        total, ids = len(records), list(islice(_order(records, view), start, start + view.size))
    rows = [(each, record) for each in ids if (record := records.get(each))]
    return {
        "total": total,
        "page": view.page,
        "pages": max(1, -(-total // view.size)),
        "columns": _columns(outreach, [record for _, record in rows]),
        "rows": [
            {
                "id": record_id,
                "name": full_name(record.attributes),
                "updated_at": record.updated_at,
                "attributes": record.attributes,
                "altered": {
                    each.field: {"at": each.at, "before": each.before}
                    for each in records.history.get(record_id, ())
                },
            }
            for record_id, record in rows
        ],
    }


def prospect_story(outreach: Outreach, record_id: int) -> dict[str, Any] | None:
    """All that is remembered of one prospect; None if there is none of this id."""
    records = outreach.collections["prospect"]
    record = records.get(record_id)
    if record is None:
        return None
    path = f"/api/v2/prospects/{record_id}"
    asked = [each for each in outreach.request_log.exchanges if each.path == path]
    return {
        "id": record_id,
        "name": full_name(record.attributes),
        "created_at": record.created_at,
        "updated_at": record.updated_at,
        "attributes": record.attributes,
        "history": [each._asdict() for each in reversed(records.history.get(record_id, ()))],
        "requests": [
            {**_request(each), "body": each.body.decode(errors="replace")}
            for each in _last(asked, _REQUESTS_OF_ONE)
        ],
    }


def _columns(outreach: Outreach, rows: list[Record]) -> list[dict[str, str]]:
    held = {name for record in rows for name in record.attributes} - _HIDDEN
    custom = outreach.custom_fields["prospect"]
    held |= {each.name for each in outreach.options.fields if each.kind == "prospect"}
    in_order = [name for name in custom if name in held] + sorted(held - custom.keys())
    return [
        {"name": name, "label": custom[name].label if name in custom else name} for name in in_order
    ]


def _order(records: Collection, view: View) -> Iterator[int]:
    latest = {
        each.id: None
        for each in reversed(records.recent)
        if view.latest_first and each.id in records
    }
    yield from latest
    yield from (each for each in records.after(0) if each not in latest)


def _found(records: Collection, view: View) -> Iterator[int]:
    search = view.search.casefold()
    for record_id in _order(records, view):
        record = records.get(record_id)
        if record is None:
            continue
        if view.field and str(record.attributes.get(view.field, "")) != view.value:
            continue
        if not search or (
            str(record_id).startswith(search)
            if search.isdecimal()
            else any(search in str(value).casefold() for value in record.attributes.values())
        ):
            yield record_id


def _request(exchange: LoggedRequest) -> dict[str, Any]:
    return {
        "number": exchange.number,
        "method": exchange.method,
        "path": exchange.path,
        "query": exchange.query,
        "user": exchange.user,
        "status": exchange.status,
        "started_at": exchange.started_at,
        "finished_at": exchange.finished_at,
        "fault": exchange.fault,
        "altered": exchange.altered,
    }
