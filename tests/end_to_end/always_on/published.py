"""What is published to `run`, and what its receipts must be of."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable

from tests.support.data.three_audiences import FIELDS
from tests.support.processes.always_on import Place

AT_ONCE = {"hold_seconds": 0}


def told(place: Place) -> Counter[tuple[object, ...]]:
    """What receipts are of."""
    return Counter((one["outreach_id"], one["field"], one["event_time"]) for one in place.receipts)


def given(lines: Iterable[str]) -> Counter[tuple[object, ...]]:
    """What receipts of flat lines must be of."""
    return Counter(
        (one["outreach_id"], FIELDS[one["segment"]], one["event_time"])
        for one in map(json.loads, lines)
    )
