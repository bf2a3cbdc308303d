"""What an answer makes of the work it was for: outcomes, or another try; no clock, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from transforms.clock import micros
from transforms.elements import (
    DELIVERED,
    NOT_EMPTY,
    REJECTED,
    SUPERSEDED,
    UNCHANGED,
    Change,
    Outcome,
)
from transforms.outreach.backoff import retry_time
from transforms.outreach.read_before_write import split_unchanged
from transforms.outreach.responses import Classification, Fate
from transforms.outreach.send_queue import SendQueue, Work


class Outcomes:
    """Ends work in flight or returns it to its queue, by how it was answered.

    Each change in flight ends in one outcome or goes back; none does both.

    Args:
      user: name of the Outreach user, for receipts.
      queue: where the work came from.
      give_up_seconds: how long a patch may meet nothing but server trouble.
      emit: is called with each outcome.
    """

    def __init__(
        self,
        user: str,
        queue: SendQueue,
        give_up_seconds: float,
        emit: Callable[[Outcome], None],
    ) -> None:
        self._user = user
        self._queue = queue
        self._give_up_seconds = give_up_seconds
        self._emit = emit

    def written(self, work: Work, verdict: Classification, now: float) -> None:
        """The request that carried `work.changes` was answered, or met trouble."""
        match verdict.fate:
            case Fate.ACCEPTED:
                kept = [change for change in work.changes if change.field not in verdict.fields]
                lost = [change for change in work.changes if change.field in verdict.fields]
                self._end(DELIVERED, kept, verdict, now)
                self._end(REJECTED, lost, verdict, now)
                self._proceed(work, now)
            case Fate.REFUSED:
                self._end(REJECTED, work.all_changes(), verdict, now)
                self._queue.done(work)
            case Fate.FIELD_REFUSED:
                self._narrow(work, verdict, now)
            case Fate.TROUBLE:
                self._retry(work, verdict, now)
            case _:  # The user's trouble, not this prospect's.
                self.superseded(self._queue.again(work), now)

    def read(
        self,
        chunk: Sequence[Work],
        verdict: Classification,
        values: Mapping[int, Mapping[str, object]],
        now: float,
    ) -> int:
        """Ends the changes that a read shows to be set already; queues the rest to be sent.

        Args:
          chunk: in flight together.
          verdict: on the answer.
          values: attributes of those prospects that it holds.
          now: when it came.

        Returns:
          How many requests that spared.
        """
        spared = 0
        for work in reversed(chunk):
            if not self._may_be_written(work, verdict, values, now):
                spared += 1
                continue
            due, unchanged = split_unchanged(work.changes, values.get(work.outreach_id, {}))
            self._end(UNCHANGED, unchanged, verdict, now)
            if due:
                work.changes = due
                # Where it was the user's trouble, the chunk is still to be read.
                work.read = verdict.fate not in _USERS
                self.superseded(self._queue.again(work), now)
            else:
                spared += 1
                self._queue.done(work)
        return spared

    def _may_be_written(
        self,
        work: Work,
        verdict: Classification,
        values: Mapping[int, Mapping[str, object]],
        now: float,
    ) -> bool:
        """Ends what is for empty fields only and whose field is not; False where all has ended.

        What could not be read is tried again later, or refused with whatever refused the reading.
        """
        fields = self._queue.if_empty
        conditional = [change for change in work.changes if change.field in fields]
        if not conditional or work.asked:
            return True
        if verdict.fate is Fate.TROUBLE:
            self._retry(work, verdict, now)
            return False
        others = [change for change in work.changes if change not in conditional]
        if verdict.fate in (Fate.REFUSED, Fate.FIELD_REFUSED):
            self._end(REJECTED, conditional, verdict, now)
            kept: list[Change] = []
        elif verdict.fate is Fate.ACCEPTED:
            held = values.get(work.outreach_id, {})
            kept = [change for change in conditional if held.get(change.field) in _NOTHING]
            filled = [change for change in conditional if change not in kept]
            if filled:
                self._emit(
                    Outcome(
                        UNCHANGED,
                        filled,
                        micros(now),
                        reason=NOT_EMPTY,
                        http_status=verdict.status,
                        user=self._user,
                    )
                )
            work.asked = True
        else:
            return True
        work.changes = others + kept
        if not work.changes:
            self._proceed(work, now)
            return False
        return True

    def gives_up_at(self, since: float | None) -> float | None:
        """When what has met trouble since then becomes a dead letter; None where none was met."""
        return None if since is None else since + self._give_up_seconds

    def superseded(self, changes: Sequence[Change], now: float) -> None:
        """Changes were overtaken in the queue."""
        if changes:
            self._emit(Outcome(SUPERSEDED, changes, micros(now)))

    def _proceed(self, work: Work, now: float) -> None:
        """Finishes a work, or puts the changes of its next request into the queue."""
        if not work.rest:
            self._queue.done(work)
            return
        work.changes = work.rest.pop()
        work.attempts, work.troubled_since = 0, None
        self.superseded(self._queue.again(work), now)

    def _narrow(self, work: Work, verdict: Classification, now: float) -> None:
        """Some value is refused: it is dropped and the rest sent, or it is looked for."""
        named = [change for change in work.changes if change.field in verdict.fields]
        if not named and len(work.changes) > 1 and not verdict.fields:
            middle = len(work.changes) // 2
            work.rest.append(work.changes[middle:])
            work.rest.append(work.changes[:middle])
        elif not named:
            # It names none of ours: whatever is wrong with the prospect, no patch will pass.
            self._end(REJECTED, work.changes, verdict, now)
        else:
            self._end(REJECTED, named, verdict, now)
            others = [change for change in work.changes if change not in named]
            if others:
                work.rest.append(others)
        self._proceed(work, now)

    def _retry(self, work: Work, verdict: Classification, now: float) -> None:
        work.attempts += 1
        work.troubled_since = now if work.troubled_since is None else work.troubled_since
        if now - work.troubled_since >= self._give_up_seconds:
            self._end(REJECTED, work.all_changes(), verdict, now)
            self._queue.done(work)
            return
        until = retry_time(work.attempts, now, verdict.retry_at)
        self.superseded(self._queue.later(work, until), now)

    def _end(
        self, outcome: str, changes: Sequence[Change], verdict: Classification, now: float
    ) -> None:
        if changes:
            failed = outcome == REJECTED
            self._emit(
                Outcome(
                    outcome,
                    changes,
                    micros(now),
                    reason=verdict.reason if failed else None,
                    detail=verdict.detail if failed else None,
                    http_status=verdict.status,
                    user=self._user,
                )
            )


_NOTHING: tuple[object, ...] = (None, "", [])
_USERS = frozenset({Fate.THROTTLED, Fate.MAINTENANCE, Fate.UNAUTHENTICATED})
