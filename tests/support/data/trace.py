"""Traces of audience changes, and an oracle that says what they must come to.

The oracle is written as plainly as can be and shares no code with the program.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

STATUSES = ("realized", "existing", "exited")
NEW_YEAR = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def segments(count: int) -> list[str]:
    """Ids as a CDP makes them, the same each time."""
    source = random.Random(150)
    digits = [f"{source.getrandbits(128):032x}" for _ in range(count)]
    return [f"{d[:8]}-{d[8:12]}-{d[12:16]}-{d[16:20]}-{d[20:]}" for d in digits]


def flat_lines(
    changes: int, prospects: int, segment_ids: list[str], seed: int = 1
) -> Iterator[str]:
    """Flat lines in a shuffled order of time, with repetitions and ties among them."""
    source = random.Random(seed)
    for _ in range(changes):
        moment = NEW_YEAR + timedelta(seconds=source.randrange(max(1, changes // 2)))
        yield json.dumps(
            {
                "outreach_id": source.randrange(1, prospects + 1),
                "segment": source.choice(segment_ids),
                "status": source.choice(STATUSES),
                "event_time": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        )


def untied(lines: Iterable[str]) -> list[str]:
    """Of lines for one field of one prospect at one time only the first: the order is theirs."""
    first: dict[tuple[int, str, str], str] = {}
    for line in lines:
        found = json.loads(line)
        first.setdefault((found["outreach_id"], found["segment"], found["event_time"]), line)
    return list(first.values())


def profile(outreach_id: int, memberships: dict[str, tuple[str, str]], **attributes: object) -> str:
    """An Experience Platform profile; `memberships` is segment to status and time."""
    return json.dumps(
        {
            "segmentMembership": {
                "ups": {
                    segment: {"status": status, "lastQualificationTime": time}
                    for segment, (status, time) in memberships.items()
                }
            },
            "identityMap": {"Oid": [{"id": str(outreach_id)}]},
            **attributes,
        }
    )


def expected(lines: Iterable[str], fields: dict[str, str]) -> dict[int, dict[str, str]]:
    """The values that flat lines must leave behind: the newest of each, ties by place.

    Args:
      lines: flat records, all with a time of one spelling.
      fields: segment to field; other segments are of no account.
    """
    newest: dict[tuple[int, str], tuple[str, int, str]] = {}
    for place, line in enumerate(lines):
        found = json.loads(line)
        field = fields.get(found["segment"])
        if field is None:
            continue
        key = (found["outreach_id"], field)
        rank = (found["event_time"], place, found["status"])
        newest[key] = max(newest.get(key, rank), rank)
    state: dict[int, dict[str, str]] = {}
    for (outreach_id, field), (_, _, status) in newest.items():
        state.setdefault(outreach_id, {})[field] = status
    return state
