"""Changes and patches for tests, told apart by their ids, and the count of how they ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import count

import orjson

from transforms.elements import Change, Outcome, Patch

_numbers = count(1)


def change(
    prospect: int = 1,
    field: str = "custom4",
    value: object = "realized",
    *,
    time: int | None = 0,
    sequence: int | None = None,
    retry: bool = False,
    user: str = "ops",
) -> Change:
    """A change of its own, later published than all made before; `time` in microseconds."""
    number = next(_numbers)
    return Change(
        f"c{number}",
        prospect,
        user,
        field,
        orjson.dumps(value).decode(),
        "segment",
        None,
        str(value),
        time,
        number if sequence is None else sequence,
        retry,
    )


def patch(prospect: int = 1, user: str = "ops", **values: object) -> Patch:
    """A patch that gives fields of one prospect their values."""
    fields = values or {"custom4": "realized"}
    changes = [change(prospect, field, value, user=user) for field, value in fields.items()]
    return Patch(prospect, user, changes)


def patches(prospects: Iterable[int], user: str = "ops", **values: object) -> list[Patch]:
    """The same patch for each of some prospects."""
    return [patch(prospect, user, **values) for prospect in prospects]


def ids(changes: Iterable[Change]) -> list[str]:
    return sorted(each.change_id for each in changes)


def ids_of_patches(some: Iterable[Patch]) -> list[str]:
    return ids(each for one in some for each in one.changes)


def ended(outcomes: Iterable[Outcome]) -> list[str]:
    """The id of each change that ended, once for each outcome it came to."""
    return ids(each for outcome in outcomes for each in outcome.changes)


def tally(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """How many changes came to each outcome."""
    counts: Counter[str] = Counter()
    for outcome in outcomes:
        counts[outcome.outcome] += len(outcome.changes)
    return dict(counts)
