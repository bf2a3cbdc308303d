"""Patch: the patches of each Outreach user, sent within that user's budget.

A thin shell around `transforms.outreach.sender` with two expansions: a bounded run groups
all patches by user and may wait for the budget, since nothing else is left to do; an
unbounded one keeps queue and budget in the user's state and never waits in a callback.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.pvalue import PCollection, TaggedOutput
from apache_beam.transforms.display import DisplayDataItem
from apache_beam.transforms.window import GlobalWindow
from apache_beam.typehints import with_input_types
from apache_beam.utils.windowed_value import WindowedValue

from transforms.budget.budget import Budget
from transforms.budget.grant import Grant
from transforms.budget.shards import key_of, lane_of
from transforms.clock import micros, steady
from transforms.coders import register
from transforms.elements import DELIVERED, Outcome, Patch
from transforms.outreach.base_url import checked_base_url
from transforms.outreach.delivery import Delivery
from transforms.outreach.sender_pool import Access, SenderPool, Watch
from transforms.stages.counters import PatchCounters, deferred
from transforms.stages.patch_stateful import PaceDoFn
from transforms.stages.windowing import globally


@dataclass(frozen=True, slots=True)
class Outlet:
    """What a bounded patch stage sends with.

    Attributes:
      pool: open.
      budgets: by user name; spent and corrected in place.
      lasting: whether it outlives the stage. What its senders leave undone is then kept, and
        not deferred, since whoever lent it will come again.
      until: seconds since the epoch from which on no request is started.
      watch: see `Watch`; in place of the stage's own.
    """

    pool: SenderPool
    budgets: Mapping[str, Budget | Grant]
    lasting: bool = False
    until: float = math.inf
    watch: Watch | None = None


class Kept(NamedTuple):
    """Work that was left undone: neither lost nor refused.

    Attributes:
      user: the user's name.
      problem: why the user was paused, and what mends it; empty where it was not.
      patches: what has no outcome.
    """

    user: str
    problem: str
    patches: Sequence[Patch]


register(Kept)


class PatchResult(NamedTuple):
    """Outputs of `PatchProspects`.

    Attributes:
      outcomes: PCollection[Outcome], as they become known.
      kept: PCollection[Kept], of users who were paused; None where the input is unbounded,
        since a paused user's work then stays in its queue.
    """

    outcomes: PCollection[Outcome]
    kept: PCollection[Kept] | None


@with_input_types(Patch)
@dataclass
class PatchProspects(beam.PTransform):
    """Sends each patch to Outreach, once or as often as it takes.

    At least once: requests do not wait for Beam's commits, so a bundle that is run again
    repeats its requests; they carry absolute values, so that changes nothing. A user is one
    key, or `Delivery.lanes` keys where the input is unbounded: in parallel there are as many.

    Whatever the windows of the input, the outputs are in the global one.

    Attributes:
      base_url: of the API.
      accesses: the users; a patch of any other fails the bundle.
      delivery: how patches are sent.
      watch: see `Watch`; picklable.
      outlet: gives what a bounded stage sends with; None for one of its own. Picklable.
      clock: seconds since the epoch.

    Raises:
      ValueError: there is no user, two have one name, or no token must be sent to the base_url.
    """

    base_url: str
    accesses: Sequence[Access]
    delivery: Delivery = field(default_factory=Delivery)
    watch: Watch | None = None
    outlet: Callable[[], Outlet] | None = None
    clock: Callable[[], float] = steady

    def __post_init__(self) -> None:
        self.base_url = checked_base_url(self.base_url)
        names = [access.name for access in self.accesses]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"users are named {names}; give at least one, each named differently")

    def expand(self, patches: PCollection[Patch]) -> PatchResult:
        """PCollection[Patch] to `PatchResult`."""
        patches = globally(patches)
        lanes = 1 if patches.is_bounded else self.delivery.lanes
        by_key = beam.FlatMap(by_lane, lanes).with_output_types(tuple[str, Patch])
        by_user = patches | "ByUser" >> by_key
        if patches.is_bounded:
            grouped = by_user | "GroupByUser" >> beam.GroupByKey()
            deliver = DeliverDoFn(
                self.outlet or OwnOutlet(self.base_url, self.accesses, self.delivery, self.clock),
                self.accesses,
                self.watch,
                self.clock,
            )
            typed = beam.ParDo(deliver).with_output_types(Outcome, kept=Kept)
            sent = grouped | "Deliver" >> typed.with_outputs("kept", main="outcomes")
            return PatchResult(sent.outcomes, sent.kept)
        pace = PaceDoFn(self.base_url, self.accesses, self.delivery, self.clock)
        outcomes = by_user | "Pace" >> beam.ParDo(pace).with_output_types(Outcome)
        return PatchResult(outcomes, None)

    def display_data(self) -> dict[str, Any]:
        """What runners show of it; no secret, for the users hold none."""
        users = ", ".join(access.name for access in self.accesses)
        return {
            "base_url": DisplayDataItem(self.base_url, label="Outreach"),
            "users": DisplayDataItem(users, label="Outreach users"),
            "in_flight": DisplayDataItem(self.delivery.in_flight, label="Requests in flight"),
        }


@with_input_types(Patch)
class Rehearse(beam.PTransform):
    """Takes the place of `PatchProspects` in a dry run: every patch would have been delivered."""

    def expand(self, patches: PCollection[Patch]) -> PatchResult:
        """PCollection[Patch] to `PatchResult`."""
        return PatchResult(patches | beam.ParDo(RehearseDoFn()).with_output_types(Outcome), None)


class RehearseDoFn(beam.DoFn):
    """See `Rehearse`."""

    def process(self, patch: Patch) -> Iterator[Outcome]:  # noqa: D102
        yield Outcome(DELIVERED, patch.changes, micros(steady()), "dry_run", user=patch.user)


def by_lane(patch: Patch, lanes: int) -> Iterator[tuple[str, Patch]]:
    """A patch under its key: its user's name, with a lane where there are several."""
    yield key_of(patch.user, lane_of(patch.outreach_id, lanes), lanes), patch


@dataclass(frozen=True)
class OwnOutlet:
    """Opens an outlet for one worker, with budgets of which nothing is known to be spent."""

    base_url: str
    accesses: Sequence[Access]
    delivery: Delivery
    clock: Callable[[], float]

    def __call__(self) -> Outlet:
        """A new outlet, to be closed by whoever asked for it."""
        budgets = {access.name: Budget(access.budget) for access in self.accesses}
        return Outlet(SenderPool(self.base_url, self.delivery, self.clock), budgets)


class DeliverDoFn(beam.DoFn):
    """Delivers the patches of all the users of a bundle, side by side, and waits for them.

    Users are gathered first and served when the bundle ends, since a runner hands one key
    after the other to `process`, and one user's wait must not be another's.
    """

    def __init__(
        self,
        outlet: Callable[[], Outlet],
        accesses: Sequence[Access],
        watch: Watch | None,
        clock: Callable[[], float],
    ) -> None:
        self._make_outlet = outlet
        self._accesses = {access.name: access for access in accesses}
        self._watch = watch
        self._clock = clock
        self._tally = PatchCounters()

    def setup(self) -> None:  # noqa: D102
        self._outlet = self._make_outlet()
        self._tally.begin(self._outlet.pool)

    def teardown(self) -> None:  # noqa: D102
        if not self._outlet.lasting:
            self._outlet.pool.close()

    def start_bundle(self) -> None:  # noqa: D102
        self._patches: dict[Access, list[Patch]] = {}

    def process(self, grouped: tuple[str, Iterable[Patch]]) -> None:  # noqa: D102
        user, patches = grouped
        access = self._accesses[user]
        self._patches.setdefault(access, []).extend(patches)

    def finish_bundle(self) -> Iterator[Any]:  # noqa: D102
        outlet = self._outlet
        for patches in self._patches.values():
            self._tally.arrived(patches)
            if not outlet.lasting:  # Else whoever gives them orders them.
                patches.sort(key=_place)
        watch = outlet.watch or self._watch
        for settled in outlet.pool.deliver(self._patches, outlet.budgets, watch, outlet.until):
            if isinstance(settled, Outcome):
                yield from map(_windowed, self._tally.each([settled]))
            elif settled.paused is None and not outlet.lasting:
                left = deferred(settled.patches, self._clock())
                yield from map(_windowed, self._tally.each(left))
            else:
                self._tally.kept(settled.patches)
                problem = "" if settled.paused is None else str(settled.paused)
                kept = Kept(settled.user, problem, settled.patches)
                yield TaggedOutput("kept", _windowed(kept))
        self._tally.spent(outlet.pool)


def _place(patch: Patch) -> int:
    return min(change.sequence for change in patch.changes)


_WINDOWS = (GlobalWindow(),)
_WINDOW_ENDS = GlobalWindow().max_timestamp()


def _windowed(value: Outcome | Kept) -> WindowedValue:
    return WindowedValue(value, _WINDOW_ENDS, _WINDOWS)
