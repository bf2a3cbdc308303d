"""A queue with patches, and what is taken out of it."""

from __future__ import annotations

from tests.support.data.changes import patch
from transforms.elements import Change, Patch
from transforms.outreach.send_queue import SendQueue


def filled(*prospects: int) -> SendQueue:
    queue = SendQueue()
    for prospect in prospects:
        assert queue.add(patch(prospect)) == []
    return queue


def patch_of(*changes: Change) -> Patch:
    return Patch(changes[0].outreach_id, "ops", list(changes))


def taken(queue: SendQueue) -> list[int]:
    """The prospects in the order in which they are taken, until nothing is ready."""
    return [queue.take().outreach_id for _ in range(queue.ready)]
