"""One record created at Outreach by one request, and some of them side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import orjson

from transforms.outreach.error_body import read_error_body
from transforms.outreach.fields import OutreachObject
from transforms.outreach.proof import classify_document
from transforms.outreach.requests.requester import Answer, Requester
from transforms.outreach.responses import Fate

_DUPLICATE = "validationDuplicateValueError"
MOST_DUPLICATES = 2
"""How often a key may be taken and found by nobody."""


async def post(
    requester: Requester,
    kind: OutreachObject,
    attributes: Mapping[str, Any],
    relationships: str = "",
) -> Answer:
    """Asks for a record to be created.

    Args:
      requester: asks.
      kind: of record.
      attributes: that it is to have.
      relationships: likewise, as the text of a JSON object; empty for none.

    Raises:
      NotNow, CredentialError: as of `Requester.ask`.
    """
    data: dict[str, Any] = {"type": kind.name, "attributes": attributes}
    if relationships:
        data["relationships"] = orjson.Fragment(relationships)
    return await requester.ask(
        kind.path,
        method="POST",
        body=orjson.dumps({"data": data}),
        judge=lambda reply, now: classify_document(reply, now, kind.name),
    )


def is_taken(answer: Answer) -> bool:
    """Whether it was refused because another record has its key, as somebody has made by now."""
    refused = answer.verdict.fate is Fate.FIELD_REFUSED
    return refused and _DUPLICATE in read_error_body(answer.reply.body).ids


async def for_each(
    keys: Sequence[str], at_once: int, work: Callable[[str], Awaitable[None]]
) -> None:
    """Does work for each key, some at a time; raises what the first of them raised."""
    for start in range(0, len(keys), at_once):
        some = [work(key) for key in keys[start : start + at_once]]
        for problem in await asyncio.gather(*some, return_exceptions=True):
            if isinstance(problem, BaseException):
                raise problem
