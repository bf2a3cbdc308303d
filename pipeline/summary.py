"""The summary of a run: what went in, what became of it, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apache_beam.runners.runner import PipelineResult

from transforms.elements import OUTCOMES
from transforms.errors import AccountingError


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
            counters[name] = counters.get(name, 0) + counter.result
        return cls(counters)

    def __getitem__(self, name: str) -> int:
        """A counter, 0 where nothing was counted."""
        return self.counters.get(name, 0)

    @property
    def kept(self) -> int:
        """Changes that wait for a mended credential."""
        return self["patch/out-kept"]

    @property
    def answered(self) -> int:
        """Changes about which Outreach said something, for or against."""
        return (
            self["patch/out-delivered"] + self["patch/out-unchanged"] + self["patch/out-rejected"]
        )

    @property
    def reasons(self) -> dict[str, int]:
        """Dead letters, by reason."""
        prefix = "dead-letters/"
        return {
            name.removeprefix(prefix): count
            for name, count in sorted(self.counters.items())
            if name.startswith(prefix) and count
        }

    def summary(self, seconds: float, *, dry_run: bool) -> dict[str, Any]:
        """The summary that the user reads.

        Args:
          seconds: that the run took.
          dry_run: nothing was written.

        Raises:
          AccountingError: some change has no outcome, or more than one.
        """
        changes = self["map/out-changes"] + self["map/out-rejected"]
        outcomes = {name: self[f"receipts/out-{name}"] for name in OUTCOMES}
        ended = sum(outcomes.values())
        if changes != ended + self.kept:
            raise AccountingError(
                f"{changes} changes went in, {ended} outcomes and {self.kept} kept came out;"
                " this is a bug: please report it with the destination file and the input"
            )
        summary: dict[str, Any] = {
            "records": self["parse/in-records"],
            "unreadable": self["parse/out-dead-letters"],
            "unmapped": self["map/out-unmapped"],
            "changes": changes,
            **outcomes,
            "requests": self["patch/requests"],
            "throttled": self["patch/throttled"],
            "seconds": round(seconds, 3),
        }
        if dry_run:
            summary["dry_run"] = True
        return summary
