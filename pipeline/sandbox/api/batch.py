"""One bulk action of the sandbox, and how it is answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from pipeline.sandbox.api.records import instant
from pipeline.sandbox.fields import ResourceKind

PENDING, CONFIRMING, RUNNING = "pending", "confirming", "running"
FINISHED, FAILED, CANCELED = "finished", "failed", "canceled"
OPEN: Final = (PENDING, CONFIRMING, RUNNING)


@dataclass(slots=True)
class Batch:
    """One bulk action.

    Attributes:
      id: counted from 1.
      user: whose token created it.
      kind: of the records, ``prospect`` or ``account``.
      attributes: to be set.
      ids: of the records, in the order given; every one where none was named.
      everyone: whether none was named.
      state: see `OPEN`, and three ends.
      created_at: epoch seconds, as are the others; 0 for not yet.
      done: records that were changed, or could not be.
      failed: records that could not be changed, and why.
      fault: what goes wrong with it; empty for nothing.
      skip_confirmation: whether it goes on by itself.
      members: the ids, to be asked.
    """

    id: int
    user: str
    kind: ResourceKind
    attributes: dict[str, object]
    ids: Sequence[int]
    everyone: bool
    created_at: float
    fault: str
    skip_confirmation: bool
    state: str = PENDING
    confirmed_at: float = 0.0
    finished_at: float = 0.0
    canceled_at: float = 0.0
    done: int = 0
    failed: dict[int, str] = field(default_factory=dict)
    members: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        self.members = frozenset(self.ids)

    @property
    def confirm_count(self) -> int:
        """What it says that it is about to change."""
        return len(self.ids) * 2 + 1 if self.fault == "batch_miscounts" else len(self.ids)


def resource(batch: Batch) -> dict[str, object]:
    """The JSON:API resource of a batch."""
    running = batch.state in (RUNNING, FINISHED, FAILED, CANCELED) and batch.confirmed_at
    return {
        "type": "batch",
        "id": batch.id,
        "attributes": {
            "action": f"{batch.kind}sBulkModify",
            "state": batch.state,
            "confirmCount": None if batch.state == PENDING else batch.confirm_count,
            "total": len(batch.ids) if running else None,
            "pending": len(batch.ids) - batch.done if running else None,
            "failures": len(batch.failed),
            "createdAt": instant(int(batch.created_at)),
            "confirmedAt": _instant(batch.confirmed_at),
            "startedAt": _instant(batch.confirmed_at),
            "finishedAt": _instant(batch.finished_at),
            "canceledAt": _instant(batch.canceled_at),
            "summary": None,
        },
    }


def _instant(at: float) -> str | None:
    return instant(int(at)) if at else None
