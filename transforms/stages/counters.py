"""What patch counts, and what it says of patches that it did not get to send.

Used by both expansions: bounded in `transforms.stages.patch`, unbounded in
`transforms.stages.patch_stateful`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from apache_beam.io.components.adaptive_throttler import ThrottlingSignaler
from apache_beam.metrics import Metrics
from apache_beam.pvalue import TaggedOutput

from transforms.clock import micros
from transforms.elements import DEFERRED, OUTCOMES, SUPERSEDED, UNCHANGED, Change, Outcome, Patch
from transforms.outreach.sender_pool import SenderPool


class PatchCounters:
    """This stage's counters: patches and changes in; changes out, by what became of them."""

    def __init__(self) -> None:
        self._in_patches = Metrics.counter("patch", "in-patches")
        self._in_changes = Metrics.counter("patch", "in-changes")
        self._out = {name: Metrics.counter("patch", f"out-{name}") for name in OUTCOMES}
        self._out_kept = Metrics.counter("patch", "out-kept")
        self._requests = Metrics.counter("patch", "requests")
        self._throttled = Metrics.counter("patch", "throttled")
        self._signal = ThrottlingSignaler(namespace="patch")
        self._told = (0, 0, 0.0)

    def begin(self, pool: SenderPool) -> None:
        """Notes what a pool of senders spent before, which is not this stage's."""
        self._told = (pool.requests, pool.throttled, pool.throttled_seconds)

    def arrived(self, patches: Sequence[Patch]) -> None:
        """Counts what is to be sent."""
        self._in_patches.inc(len(patches))
        self._in_changes.inc(sum(len(patch.changes) for patch in patches))

    def each(self, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        """Counts outcomes on their way."""
        for outcome in outcomes:
            self._out[outcome.outcome].inc(len(outcome.changes))
            yield outcome

    def kept(self, patches: Sequence[Patch]) -> None:
        """Counts changes that wait for a mended credential."""
        self._out_kept.inc(sum(len(patch.changes) for patch in patches))

    def spent(self, pool: SenderPool) -> None:
        """Counts what a pool of senders spent since it was last counted."""
        requests, throttled, seconds = self._told
        self._requests.inc(pool.requests - requests)
        self._throttled.inc(pool.throttled - throttled)
        # The name by which runners know waiting from load.
        whole = int(pool.throttled_seconds - seconds)
        self._signal.signal_throttled(whole)
        # The part of a second that is left is told with the next.
        self._told = (pool.requests, pool.throttled, seconds + whole)


def deferred(
    patches: Iterable[Patch],
    now: float,
    detail: str = "the job was drained before it could be sent",
) -> Iterator[Outcome]:
    """The outcome of what was not sent, as when the job was drained, if there is any."""
    changes = [change for patch in patches for change in patch.changes]
    if changes:
        yield Outcome(DEFERRED, changes, micros(now), DEFERRED, detail)


def superseded(changes: Sequence[Change], now: float) -> Iterator[Outcome]:
    """The outcome of changes that were overtaken in the queue, if there are any."""
    if changes:
        yield Outcome(SUPERSEDED, changes, micros(now))


class CoalesceCounters:
    """This stage's counters, in pairs: changes in; changes in patches, or ended here, out."""

    def __init__(self) -> None:
        self.in_changes = Metrics.counter("coalesce", "in-changes")
        self.out_patches = Metrics.counter("coalesce", "out-patches")
        self.out_changes = Metrics.counter("coalesce", "out-changes")
        self.out_repeated = Metrics.counter("coalesce", "out-repeated")
        self._out_superseded = Metrics.counter("coalesce", "out-superseded")
        self._out_unchanged = Metrics.counter("coalesce", "out-unchanged")

    def superseded(self, changes: Sequence[Change], now: float) -> Iterator[TaggedOutput]:
        """The outcome of changes that a newer one overtook, if there are any."""
        self._out_superseded.inc(len(changes))
        if changes:
            yield TaggedOutput("outcomes", Outcome(SUPERSEDED, changes, micros(now)))

    def unchanged(self, changes: Sequence[Change], now: float) -> Iterator[TaggedOutput]:
        """The outcome of changes to what is so already, if there are any."""
        self._out_unchanged.inc(len(changes))
        if changes:
            yield TaggedOutput("outcomes", Outcome(UNCHANGED, changes, micros(now)))

    def patch(self, changes: Sequence[Change]) -> Iterator[Patch]:
        """The patch of a prospect's winners, if there are any."""
        if changes:
            self.out_patches.inc()
            self.out_changes.inc(len(changes))
            yield Patch(changes[0].outreach_id, changes[0].user, changes)
