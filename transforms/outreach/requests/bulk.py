"""Bulk actions: the same value on thousands of prospects with one request, some seconds later.

Without ids the action is for every prospect of the org (Outreach's API reference,
"prospectsBulkModify": "default: ALL"). A `BulkModify` cannot be made without ids, and `create`
looks once more at what it sends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import orjson

from transforms.outreach.client import Reply
from transforms.outreach.proof import classify_document
from transforms.outreach.requests.requester import Answer, Requester
from transforms.outreach.responses import Classification, Fate

BATCHES: Final = "/api/v2/batches"

PENDING: Final = "pending"
CONFIRMING: Final = "confirming"
ENDED: Final = ("finished", "failed", "canceled", "cancelled")
"""States in which nothing more happens (seen by a client); what is between is on its way."""


@dataclass(frozen=True, slots=True)
class BulkModify:
    """One field of some prospects, set to one value. There is always a first prospect.

    Attributes:
      field: such as ``custom4``.
      value: JSON text; ``null`` clears.
      first: a prospect.
      rest: others.
      kind: ``prospects`` or ``accounts``.

    Raises:
      ValueError: an id is none, or stands twice.
    """

    field: str
    value: str
    first: int
    rest: tuple[int, ...] = ()
    kind: str = "prospects"

    def __post_init__(self) -> None:
        ids = self.ids
        if not all(type(each) is int and each > 0 for each in ids) or len(set(ids)) != len(ids):
            raise ValueError("a bulk action is for prospects by their ids, each once")
        if not self.field:
            raise ValueError("a bulk action sets a field")

    @classmethod
    def of(cls, field: str, value: str, ids: Iterable[int], kind: str = "prospects") -> BulkModify:
        """For these prospects.

        Raises:
          ValueError: there are none, which would mean everybody.
        """
        first, *rest = list(ids) or [0]
        return cls(field, value, first, tuple(rest), kind)

    @property
    def ids(self) -> tuple[int, ...]:
        """All of them, at least one."""
        return (self.first, *self.rest)

    @property
    def path(self) -> str:
        """Where it is created."""
        return f"{BATCHES}/actions/{self.kind}BulkModify"

    def body(self) -> bytes:
        """The request's document, in the shape that a working client sends."""
        attributes = {self.field: orjson.Fragment(self.value), "ids": self.ids}
        return orjson.dumps({"data": {"attributes": attributes}, "type": "string"})


class BatchStatus(NamedTuple):
    """How a batch stands at Outreach.

    Attributes:
      id: of the batch.
      state: as Outreach has it.
      confirm_count: records that it is about to change; None where it does not say yet.
      failures: records that could not be changed, so far.
    """

    id: int
    state: str
    confirm_count: int | None
    failures: int = 0

    @property
    def ended(self) -> bool:
        """Whether nothing more happens."""
        return self.state in ENDED


class Refusal(NamedTuple):
    """A bulk request that Outreach does not take.

    Attributes:
      verdict: why.
    """

    verdict: Classification


async def create(requester: Requester, bulk: BulkModify) -> BatchStatus | Refusal:
    """Creates a batch, which waits to be confirmed.

    Raises:
      NotNow, CredentialError: as of `Requester.ask`.
      ValueError: it names nobody; that cannot be, and is looked at all the same.
    """
    body = bulk.body()
    if not orjson.loads(body)["data"]["attributes"]["ids"]:
        raise ValueError("a bulk action without ids is for everybody")
    return _one(await requester.ask(bulk.path, method="POST", body=body, judge=classify_batch))


async def confirm(requester: Requester, batch: BatchStatus) -> BatchStatus | Refusal:
    """Has a batch carried out, as large as it says to be.

    Raises:
      NotNow, CredentialError: as of `Requester.ask`.
    """
    count = batch.confirm_count
    path = f"{BATCHES}/{batch.id}/actions/confirm?actionParams%5BconfirmedCount%5D={count}"
    return _one(await requester.ask(path, method="POST", body=b"{}", judge=classify_batch))


async def cancel(requester: Requester, batch_id: int) -> BatchStatus | Refusal:
    """Cancels a batch; what is done stays so.

    Raises:
      NotNow, CredentialError: as of `Requester.ask`.
    """
    path = f"{BATCHES}/{batch_id}/actions/cancel"
    return _one(await requester.ask(path, method="POST", body=b"{}", judge=classify_batch))


async def read(requester: Requester, ids: Sequence[int]) -> dict[int, BatchStatus]:
    """How batches stand, with one request; those that Outreach does not know are absent.

    Raises:
      NotNow, CredentialError: as of `Requester.ask`.
    """
    path = f"{BATCHES}?filter%5Bid%5D={','.join(map(str, ids))}&page%5Bsize%5D=1000&count=false"
    answer = await requester.ask(path)
    if answer.verdict.fate is not Fate.ACCEPTED:
        return {}
    found = orjson.loads(answer.reply.body)["data"]
    statuses = [_status(each) for each in found]
    return {each.id: each for each in statuses if each.id in ids}


def classify_batch(reply: Reply, now: float) -> Classification:
    """Decides the fate of an answer that is to be a batch."""
    return classify_document(reply, now, "batch")


def _one(answer: Answer) -> BatchStatus | Refusal:
    if answer.verdict.fate is not Fate.ACCEPTED:
        return Refusal(answer.verdict)
    return _status(orjson.loads(answer.reply.body)["data"])


def _status(resource: Mapping[str, Any]) -> BatchStatus:
    attributes = resource["attributes"]
    count = attributes.get("confirmCount")
    return BatchStatus(
        int(resource["id"]),
        str(attributes.get("state")),
        None if count is None else int(count),
        int(attributes.get("failures") or 0),
    )


def is_unknown(verdict: Classification) -> bool:
    """Whether Outreach does not know what was asked about."""
    return verdict.status == HTTPStatus.NOT_FOUND
