"""Metrics of an always-on job, for Prometheus: what its ledger says, and when it last turned.

All names begin with ``outreach_activation_``; `docs/operations.md` lists them. Counters are the
ledger's running totals, so that they outlive a restart.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pipeline.ledger.queries.snapshot import LANES, Snapshot
from pipeline.ledger.queries.snapshot_reader import read_snapshot
from pipeline.ledger.store import looked_at
from pipeline.monitoring.alert_rules import KINDS
from pipeline.monitoring.health import Health
from transforms.elements import OUTCOMES

PREFIX: Final = "outreach_activation_"
CACHE_SECONDS: Final = 5.0
"""However often it is asked, the ledger is read no more often than this."""
OTHER: Final = "other"
"""Stands for all audiences that the destination does not name any more."""

_COUNTERS: Final = {
    "records": "Messages and lines read.",
    "unreadable": "Records, or parts of them, that could not be read.",
    "unmapped": "Memberships in segments that the destination does not map.",
    "changes": "Changes that arrived and were mapped.",
    "forgotten": "Changes that were forgotten before they were sent.",
    "requests": "HTTP requests to the API.",
    "throttled": "Requests that were answered 429.",
}


class LedgerCollector(Collector):
    """Reads a ledger when it is asked, on a connection of its own.

    Args:
      ledger: its path.
      health: of the job.
    """

    def __init__(self, ledger: str, health: Health) -> None:
        self._ledger = ledger
        self._health = health
        self._lock = threading.Lock()
        self._standing: Snapshot | None = None

    def describe(self) -> list[Metric]:
        """Nothing: to describe them, the ledger would have to be read."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All metrics."""
        standing = self._read()
        yield from _totals(standing.totals)
        yield from _backlog(standing)
        yield from _users(standing)
        yield from _concerns(standing)
        yield _gauge(
            "ledger_bytes", "Size of the ledger's file.", Path(self._ledger).stat().st_size
        )
        turned_at = self._health.turned_at
        yield _gauge("last_turn_timestamp_seconds", "When the loop last came round.", turned_at)

    def _read(self) -> Snapshot:
        with self._lock:
            now = self._health.clock()
            if self._standing is None or now - self._standing.at >= CACHE_SECONDS:
                with looked_at(self._ledger) as connection:
                    self._standing = read_snapshot(connection, now)
            return self._standing


def _totals(totals: Mapping[str, int]) -> Iterator[Metric]:
    for name, help_ in _COUNTERS.items():
        yield CounterMetricFamily(PREFIX + name, help_, value=totals.get(name, 0))
    outcomes = CounterMetricFamily(
        PREFIX + "outcomes", "Changes by what became of them.", labels=["outcome"]
    )
    for name in OUTCOMES:
        outcomes.add_metric([name], totals.get(name, 0))
    yield outcomes


def _backlog(standing: Snapshot) -> Iterator[Metric]:
    changes = _family("waiting_changes", "Changes that wait.", "segment", "audience")
    counts = dict.fromkeys(standing.names, 0)
    for each in standing.waiting:
        segment = each.segment or ""
        known = segment in standing.names or not segment
        counts[segment if known else OTHER] = (
            counts.get(segment if known else OTHER, 0) + each.changes
        )
    for segment, count in counts.items():
        changes.add_metric([segment, standing.audience(segment or None)], count)
    yield changes
    prospects = _family("waiting_prospects", "Prospects that wait.", "user", "lane")
    for user in standing.users:
        found = {each.lane: each.prospects for each in user.lanes}
        for lane, name in LANES.items():
            prospects.add_metric([user.name, name], found.get(lane, 0))
    yield prospects
    yield _age(
        "oldest_waiting_age_seconds",
        "Age of the oldest change that waits.",
        standing,
        standing.oldest_at,
    )
    yield _gauge("unread_messages", "Messages that were not taken in yet.", standing.messages)
    yield _age(
        "oldest_unread_message_age_seconds",
        "Age of the oldest message not taken in.",
        standing,
        standing.oldest_message_at,
    )


def _users(standing: Snapshot) -> Iterator[Metric]:
    available = _family("budget_available_requests", "Requests allowed now.", "user")
    allowance = _family("budget_allowance_requests", "Requests allowed in a window.", "user")
    paused = _family("user_paused", "1 where a person must mend a credential.", "user")
    for user in standing.users:
        if user.allowance is not None:
            available.add_metric([user.name], user.available)
            allowance.add_metric([user.name], user.allowance)
            paused.add_metric([user.name], float(user.paused is not None))
    yield from (available, allowance, paused)


def _concerns(standing: Snapshot) -> Iterator[Metric]:
    segments = {each.segment for each in standing.held if each.released_at is None}
    held = _family("audience_held", "1 where a person must let it go.", "segment", "audience")
    for segment, name in standing.names.items():
        held.add_metric([segment, name], float(segment in segments))
    alerts = _family("alerts", "Alerts that are not over.", "kind")
    for kind in KINDS:
        alerts.add_metric([kind], sum(each.kind == kind for each in standing.alerts))
    yield from (held, alerts)


def _family(name: str, help_: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, help_, labels=labels)


def _gauge(name: str, help_: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, help_, value=value)


def _age(name: str, help_: str, standing: Snapshot, since: float | None) -> GaugeMetricFamily:
    return _gauge(name, help_, 0.0 if since is None else max(0.0, standing.at - since))
