"""The summary of a run: what went in, what became of it, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apache_beam.runners.runner import PipelineResult

from transforms import mapping as mapping_rules
from transforms.elements import OUTCOMES
from transforms.errors import AccountingError
from transforms.stages.map import UNMAPPED

SEGMENTS_SHOWN = 10
"""Unmapped segments that a summary names, those that came most often."""


@dataclass(frozen=True, slots=True)
class Counts:
    """The counters of a finished run, by ``stage/name``."""

    counters: Mapping[str, int]

    @classmethod
    def of(cls, result: PipelineResult) -> Counts:
        """Reads the counters of a result, from any runner."""
        counters: dict[str, int] = {}
        for counter in result.metrics().query()["counters"]:
            name = f"{counter.key.metric.namespace}/{counter.key.metric.name}"
            # Where a count is 0, some runners have none.
            counters[name] = counters.get(name, 0) + (counter.result or 0)
        return cls(counters)

    def __getitem__(self, name: str) -> int:
        """A counter, 0 where nothing was counted."""
        return self.counters.get(name, 0)

    @property
    def kept(self) -> int:
        """Changes that wait for a mended credential."""
        return self["patch/out-kept"]

    @property
    def reasons(self) -> dict[str, int]:
        """Dead letters, by reason."""
        prefix = "dead-letters/"
        return {
            name.removeprefix(prefix): count
            for name, count in sorted(self.counters.items())
            if name.startswith(prefix) and count
        }

    @property
    def unmapped(self) -> dict[str, int]:
        """The unmapped segments that came most often, and how often."""
        prefix = f"{UNMAPPED}/"
        return {
            name.removeprefix(prefix): count
            for name, count in self.counters.items()
            if name.startswith(prefix) and count
        }

    def summary(self, seconds: float, *, dry_run: bool = False) -> dict[str, Any]:
        """The summary that the user reads.

        Args:
          seconds: that the run took.
          dry_run: nothing was written.

        Raises:
          AccountingError: some change has no outcome, or more than one.
        """
        summary = _summary(self._totals, self.kept, seconds)
        return {**summary, "dry_run": True} if dry_run else summary

    def rough_summary(self, seconds: float) -> tuple[dict[str, Any], int]:
        """The summary where a runner counts roughly, as they do that are made of many workers.

        What is counted in a bundle that is run again counts twice, and Prism 2.77 forgets some of
        what it is told before it knows a counter's name. Only receipts say for certain.

        Returns:
          The summary, of those changes that have an outcome; and how many more went in.
        """
        totals = self._totals
        ended = sum(totals[name] for name in OUTCOMES)
        summary = _summary({**totals, "changes": ended}, 0, seconds)
        return summary, totals["changes"] - ended

    @property
    def _totals(self) -> dict[str, int]:
        return {
            "records": self["parse/in-records"],
            "unreadable": self["parse/out-dead-letters"],
            "unmapped": self["map/out-unmapped"],
            "skewed": self["parse/out-skewed"],
            "excluded": self["parse/out-excluded"],
            # A message that was delivered twice holds the changes that it held the first time.
            "changes": self["map/out-changes"]
            + self["map/out-rejected"]
            + self["resolve/out-rejected"]
            - self["coalesce/out-repeated"],
            "requests": self["patch/requests"],
            "throttled": self["patch/throttled"],
            **{name: self[f"receipts/out-{name}"] for name in OUTCOMES},
        }


def with_unmapped(
    summary: Mapping[str, Any], segments: Mapping[str, int], mapping: mapping_rules.Mapping
) -> dict[str, Any]:
    """A summary that names the unmapped segments that came most often; without any, as it is.

    Args:
      summary: of a run.
      segments: how often each came.
      mapping: of the destination; an audience of it that was probably meant is named too.
    """
    most = sorted(segments.items(), key=lambda each: (-each[1], each[0]))[:SEGMENTS_SHOWN]
    if not most:
        return dict(summary)
    named: list[dict[str, Any]] = []
    for segment, count in most:
        meant = mapping.look_alike(segment)
        named.append(
            {
                "segment": segment,
                "count": count,
                "resembles": None if meant is None else meant.segment,
            }
        )
    return {**summary, "unmapped_segments": named}


def segments_since(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """Of a ledger's totals, the unmapped segments, and how often each came between two times."""
    prefix = f"{UNMAPPED}/"
    since = {
        name.removeprefix(prefix): count - before.get(name, 0)
        for name, count in after.items()
        if name.startswith(prefix)
    }
    return {segment: count for segment, count in since.items() if count}


def ledger_summary(
    before: Mapping[str, int], after: Mapping[str, int], waiting: int, seconds: float
) -> dict[str, Any]:
    """The summary of what a ledger counted since it had other totals.

    Args:
      before: totals then, and under ``waiting`` the changes that waited already.
      after: totals now.
      waiting: changes that wait now.
      seconds: that it took.

    Raises:
      AccountingError: some change has no outcome, or more than one.
    """
    totals = {name: after.get(name, 0) - before.get(name, 0) for name in (*_COUNTED, *OUTCOMES)}
    forgotten = after.get("forgotten", 0) - before.get("forgotten", 0)
    totals["changes"] += before["waiting"] - forgotten
    return _summary(totals, waiting, seconds)


_COUNTED = (
    *("records", "unreadable", "unmapped", "skewed", "excluded", "changes"),
    *("requests", "throttled"),
)


def _summary(totals: Mapping[str, int], kept: int, seconds: float) -> dict[str, Any]:
    ended = sum(totals[name] for name in OUTCOMES)
    if totals["changes"] != ended + kept:
        raise AccountingError(
            f"{totals['changes']} changes went in, {ended} outcomes came out and {kept} changes"
            " wait; this is a bug: please report it with the destination file and the input"
        )
    order = ("records", "unreadable", "unmapped", "changes", *OUTCOMES, "requests", "throttled")
    summary: dict[str, Any] = {name: totals[name] for name in order}
    if kept:
        # Whoever reads it may rely on it: these changes are those that have an outcome.
        summary |= {"changes": ended, "kept": kept}
    for name in ("skewed", "excluded"):
        if totals[name]:
            summary[name] = totals[name]
    return {**summary, "seconds": round(seconds, 3)}
