"""Comparing the ledger with Outreach, and putting right what differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape

from pipeline.console.formatting import print_rows
from pipeline.destination.file import Destination
from pipeline.destination.stage_config import Place
from pipeline.engine.org.reconciler import Reconciler
from pipeline.engine.outputs import begin_outputs
from pipeline.jobs.ledger_replay import deliver_all
from pipeline.jobs.org.pulling import OrgJob, org_job, wait_for_budget
from pipeline.ledger import history
from pipeline.ledger.directory import drift
from transforms.outreach.client import MOST_IDS
from transforms.outreach.requests.requester import NotNow, Requester


def reconcile(
    destination: Destination, ledger: str, console: Console, *, repair: bool
) -> dict[str, Any]:
    """Compares what each mapped field should hold with what Outreach holds.

    Args:
      destination: that maps the fields.
      ledger: its path.
      console: for people, on standard error.
      repair: whether the right values are sent.

    Returns:
      What was found, for a program.

    Raises:
      ConfigurationError: the ledger is in use or cannot be used.
      ActivationError: Outreach does not let prospects be read.
    """
    with org_job(destination, Place.of(destination), ledger, console) as job:
        before = history.totals(job.ledger)["requests"]
        reconciler = Reconciler(job.ledger, job.config)
        complete = _check_all(job, reconciler, console)
        found: dict[str, Any] = {
            **reconciler.as_json(),
            "requests": history.totals(job.ledger)["requests"] - before,
            "complete": complete,
        }
        if repair and complete:
            found["repaired"] = reconciler.repair()
            outputs = begin_outputs(None, None, job.ledger, afresh=False, lasting=False)
            deliver_all(job.scheduler, job.stop_signal, outputs, job.config)
        return found


def tell(found: Mapping[str, Any], names: Mapping[str, str], console: Console) -> None:
    """Prints what was found."""
    rows = [
        (
            names.get(each["field"], each["field"]),
            each["field"],
            *(f"{each[name]:,}" for name in ("same", "different", "gone")),
        )
        for each in found["audiences"]
    ]
    print_rows(console, "", rows, ("audience", "field", "same", "different", "gone"))
    for each in found["audiences"]:
        if each["different"]:
            console.print(
                f"  {each['field']}: {each['edited']:,} were delivered and changed by somebody"
                f" since, {each['undelivered']:,} were refused or deferred"
            )
        for example in each["examples"][:3]:
            console.print(f"    {escape(_example(example))}")
    if "repaired" in found:
        console.print(f"  {found['repaired']:,} values were sent again")
    if not found["complete"]:
        console.print("  interrupted: this is of some of the prospects")


def _example(example: Mapping[str, Any]) -> str:
    if example["cause"] == "gone":
        return f"prospect {example['outreach_id']} is gone"
    return (
        f"prospect {example['outreach_id']} holds {example['holds']!r}, and should hold"
        f" {example['should']!r}"
    )


def _check_all(job: OrgJob, reconciler: Reconciler, console: Console) -> bool:
    for prospects in _chunks(job):
        while True:
            if job.stop_signal.stopped:
                return False

            async def check(requester: Requester, some: list[int] = prospects) -> None:
                await reconciler.check(requester, some)

            try:
                job.scheduler.org.ask(1, check)
                break
            except NotNow:
                wait_for_budget(job, console)
    return True


def _chunks(job: OrgJob) -> Iterator[list[int]]:
    last = 0
    while some := drift.prospects_after(job.ledger, last, MOST_IDS):
        yield some
        last = some[-1]
