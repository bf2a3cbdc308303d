"""Parses a body before it is stored, so that its sender gets an answer that helps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson

from transforms.elements import Block
from transforms.formats.envelopes import event_id
from transforms.formats.platforms import amplitude, mixpanel, segment
from transforms.formats.values import loads
from transforms.mapping import Mapping
from transforms.plan import SOURCE_PREFIX, Plan
from transforms.stages.parse import parse

PROBLEMS_MOST: Final = 10
"""Problems that an answer names."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a body holds.

    Attributes:
      records: in it.
      changes: of fields that they ask for.
      unmapped: memberships of no audience here.
      unreadable: dead letters that it will give.
      refused: records that give one.
      problems: the first of them, each with ``place``, ``reason`` and ``detail``.
      message_id: by which the sender knows the body again; None where it has no such thing.
      mixpanel: the action, where it is one of Mixpanel's, which wants an answer of its own.
    """

    records: int
    changes: int
    unmapped: int
    unreadable: int
    refused: int
    problems: list[dict[str, str]]
    message_id: str | None
    mixpanel: str | None

    @property
    def is_unreadable(self) -> bool:
        """Whether nothing of it can be read; a ping beside a bad record can."""
        is_all_refused = bool(self.unreadable) and self.refused >= self.records
        return is_all_refused and not self.changes and not self.unmapped

    def answer(self) -> dict[str, Any]:
        """The body of the answer."""
        return {
            "accepted": 0 if self.is_unreadable else self.records,
            "changes": self.changes,
            "unmapped": self.unmapped,
            "unreadable": self.unreadable,
            "problems": self.problems,
        }


class Previews:
    """Reads bodies as the job will, and counts.

    Args:
      plan: of the destination.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._mapping = Mapping(plan)

    def of(self, body: bytes, source: str, now: int) -> Preview:
        """What a body of a source holds.

        Args:
          body: unpacked.
          source: its name.
          now: microseconds since the epoch.
        """
        plan = self._plan
        block = Block(SOURCE_PREFIX + source, 0, [body], published=now)
        parsed = parse(block, plan.identity, plan.sources, now, plan.clock_skew, plan.reading)
        mapped = self._mapping.map(parsed.memberships, parsed.attributes)
        problems = [
            {"place": f"record {place + 1}", "reason": letter.reason, "detail": letter.detail}
            for place, letter in zip(
                parsed.places[:PROBLEMS_MOST], parsed.dead_letters, strict=False
            )
        ]
        if not body.strip():
            problems = [
                {"place": "body", "reason": "not_json", "detail": "the body is empty; send changes"}
            ]
        problems += [
            {
                "place": f"prospect {misfit.change.outreach_id}",
                "reason": "value_invalid",
                "detail": misfit.detail,
            }
            for misfit in mapped.misfits[: PROBLEMS_MOST - len(problems)]
        ]
        value = _single(body)
        return Preview(
            parsed.records,
            len(mapped.changes) + len(mapped.misfits),
            mapped.unmapped,
            len(parsed.dead_letters) + (not body.strip()),
            len(set(parsed.places)),
            problems,
            message_id_of(value),
            value["action"] if mixpanel.matches(value) else None,
        )


def message_id_of(value: dict[str, Any]) -> str | None:
    """Returns the id by which a platform's repeated body is recognized."""
    message = value.get("message")
    if type(message) is dict and (name := message.get("messageId") or message.get("message_id")):
        return f"pubsub {name}"
    if "specversion" in value and "id" in value:
        return f"cloudevent {event_id(value)}"
    if amplitude.matches(value) and value.get("message_id"):
        return f"amplitude {value['message_id']}"
    if segment.matches(value) and value.get("messageId"):
        return f"segment {value['messageId']}"
    return None


def _single(body: bytes) -> dict[str, Any]:
    """The object that a body is; an empty one where it is none, or several."""
    if body.lstrip()[:1] != b"{":
        return {}
    try:
        value = loads(body)
    except orjson.JSONDecodeError:
        return {}
    return value if type(value) is dict else {}
