"""Estimates a delivery of files without a request: a replay that ends before sending."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console

from pipeline.console.formatting import duration, print_rows
from pipeline.destination.file import Destination
from pipeline.destination.stage_config import Place
from pipeline.engine.config import engine_config
from pipeline.engine.scheduler import Scheduler
from pipeline.io.files import expand
from pipeline.io.headers import check_headers
from pipeline.io.scratch import copied_ledger
from pipeline.jobs.file_replay import FileReplay
from pipeline.jobs.org.forecast import Requests, forecast
from pipeline.jobs.signals import StopSignal
from pipeline.ledger.directory import pulls
from pipeline.ledger.inbox import LIVE
from pipeline.ledger.queries.activity import read_waiting_prospects
from pipeline.ledger.store import connect, owned
from transforms.clock import micros, steady
from transforms.elements import UNCHANGED
from transforms.formats.csv_rows import Columns


@dataclass(frozen=True, slots=True)
class DeliveryPlan:
    """What it takes.

    Attributes:
      changes: of fields, that the files ask for.
      prospects: that would be written.
      requests: that this takes.
      unchanged: changes of which the ledger knows that they are so already.
      by_audience: of each audience or attribute: name, segment, field, changes, to be written.
      is_exact: whether a fresh directory says what all fields hold; else it is an upper bound.
    """

    changes: int
    prospects: int
    requests: Requests
    unchanged: int
    by_audience: Sequence[dict[str, Any]]
    is_exact: bool

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        patch, bulk, read, hours = self.requests
        return {
            "changes": self.changes,
            "prospects": self.prospects,
            "unchanged": self.unchanged,
            "requests": {"patch": patch, "bulk": bulk, "read": read},
            "hours": hours,
            "by_audience": list(self.by_audience),
            "upper_bound": not self.is_exact,
        }

    def tell(self, console: Console) -> None:
        """Prints it."""
        bound = "exactly " if self.is_exact else "at most "
        patch, bulk, read, hours = self.requests
        by_bulk = f", {bulk:,} for bulk actions" if bulk else ""
        console.print(
            f"{self.changes:,} changes, {self.unchanged:,} of them known to be so already;"
            f" {bound}{self.prospects:,} prospects to be written: {patch:,} requests for one"
            f" prospect each{by_bulk}, and {read:,} to read prospects"
        )
        rows = [
            (each["name"], each["field"], f"{each['changes']:,}", f"{each['written']:,}")
            for each in self.by_audience
        ]
        print_rows(console, "", rows, ("audience", "field", "changes", "to be written"))
        takes = "no more than one budget" if not hours else duration(hours * 3600)
        console.print(f"  takes {takes}")


def plan_delivery(
    destination: Destination, files: Sequence[str], ledger: str | None, columns: Columns
) -> DeliveryPlan:
    """Reads files into a copy of a ledger, and says what would be sent; sends nothing.

    Args:
      destination: what goes where.
      files: paths and globs.
      ledger: that knows what fields hold; None for none.
      columns: names for the columns of tables.

    Raises:
      ConfigurationError: a file is not there, or what is there is no ledger.
    """
    paths = expand(files)
    check_headers(paths, columns, destination.identity.match)
    replayed = FileReplay(paths, LIVE, columns=columns)
    with ExitStack() as stack:
        path = stack.enter_context(copied_ledger(ledger))
        stack.enter_context(owned(path))
        connection = stack.enter_context(closing(connect(path, lasting=False)))
        config = engine_config(destination, Place.of(destination), None)
        config = replace(config, dry_run=True, directory=replace(config.directory, at_once=True))
        with closing(Scheduler(connection, config)) as scheduler:
            replayed.begin(connection, steady(), anew=True)
            replayed.take_in(scheduler, connection, StopSignal())
            scheduler.org.give_up()
            known = pulls.state(connection)
            since = config.believed_since(micros(steady()))
            fresh_at = 0 if known is None else known.fresh_at or 0
            is_exact = since is not None and fresh_at >= since
            return _plan(destination, connection, replayed, is_exact=is_exact)


def _plan(
    destination: Destination,
    connection: sqlite3.Connection,
    replayed: FileReplay,
    *,
    is_exact: bool,
) -> DeliveryPlan:
    activity = replayed.activity(connection)
    requests = forecast(connection, destination, micros(steady()))
    ended = [sum(each.outcomes.values()) for each in activity.audiences]
    return DeliveryPlan(
        changes=sum(ended) + sum(each.waiting for each in activity.audiences),
        prospects=sum(read_waiting_prospects(connection).values()),
        requests=requests,
        unchanged=sum(each.outcomes[UNCHANGED] for each in activity.audiences),
        by_audience=[
            {
                "name": each.name,
                "segment": each.segment,
                "field": each.field,
                "changes": count + each.waiting,
                "unchanged": each.outcomes[UNCHANGED],
                "written": each.waiting,
            }
            for each, count in zip(activity.audiences, ended, strict=True)
            if count + each.waiting
        ],
        is_exact=is_exact,
    )
