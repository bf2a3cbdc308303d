"""A report says what was spared, how fresh changes were, and what mends each refusal."""

from __future__ import annotations

import re
import sqlite3
from html import unescape

from pipeline.html_report.page import report_page
from pipeline.html_report.remedies import REMEDIES
from pipeline.ledger import history
from pipeline.ledger.queries.activity import read_activity
from pipeline.ledger.queries.savings import Savings
from pipeline.ledger.store import transaction
from tests.docs.test_docs import rows
from tests.support.in_process.ledgers import NOW, member
from tests.support.processes.program import ROOT
from transforms.elements import Change, Outcome

SECOND = 1_000_000
LATER = NOW + 60 * SECOND


def record(ledger: sqlite3.Connection, *outcomes: Outcome, arrived_at: int | None = None) -> None:
    arrived = (
        {}
        if arrived_at is None
        else {change.change_id: arrived_at for outcome in outcomes for change in outcome.changes}
    )
    with transaction(ledger):
        history.record(ledger, outcomes, arrived)


def some(count: int, segment: str = "seg-a") -> list[Change]:
    return [member(each, "realized", segment) for each in range(1, count + 1)]


def page_of(ledger: sqlite3.Connection) -> str:
    page = report_page(read_activity(ledger), "title", None, LATER / 1e6)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def test_changes_without_a_request_of_their_own_are_told_by_what_spared_it(
    ledger: sqlite3.Connection,
) -> None:
    both = [member(1, "realized", "seg-a"), member(1, "realized", "seg-b")]
    record(
        ledger,
        Outcome("delivered", both, LATER, http_status=200, user="ops"),
        Outcome("superseded", some(3), LATER),
        Outcome("superseded", some(1), LATER, reason="unmapped"),
        Outcome("unchanged", some(4), LATER),
        Outcome("unchanged", some(5), LATER, reason="directory"),
        Outcome("unchanged", some(6), LATER, http_status=200, user="ops"),
        Outcome("delivered", some(7), LATER + 1, reason="bulk", http_status=200, user="ops"),
    )
    ledger.execute(
        "INSERT INTO batches (user, field, value, state, prospects, kept, planned_at, changed_at)"
        " VALUES ('ops', 'custom4', '1', 'settled', 7, 7, ?1, ?1)",
        (LATER,),
    )
    assert read_activity(ledger).savings == Savings(3, 1, 4, 5, 6, 7, 1)
    text = page_of(ledger)
    for said in ("merged 3", "sent together 1", "known 4", "directory 5", "read 6", "bulk 7"):
        assert said in text
    assert "1 bulk action," in text


def test_a_report_tells_of_what_came_after_its_start_only(ledger: sqlite3.Connection) -> None:
    record(ledger, Outcome("superseded", some(3), LATER))
    after = ledger.execute("SELECT max(id) FROM receipts").fetchone()[0]
    record(ledger, Outcome("superseded", some(2), LATER))
    found = read_activity(ledger, after).savings
    assert found is not None
    assert found.merged == 2


def test_each_audience_has_its_freshness(ledger: sqlite3.Connection) -> None:
    record(
        ledger,
        *(Outcome("delivered", [each], LATER + 5 * SECOND) for each in some(1)),
        *(Outcome("delivered", [each], LATER + 60 * SECOND) for each in some(1, "seg-b")),
        arrived_at=NOW,
    )
    text = page_of(ledger)
    assert "1 min 5 s / 1 min 5 s" in text
    assert "2 min / 2 min" in text
    assert "1 min 5 s for half of them, 2 min for 99 of a hundred" in text


def test_segments_of_no_audience_are_told_of_a_ledger_too(ledger: sqlite3.Connection) -> None:
    with transaction(ledger):
        history.add_totals(ledger, {"unmapped/<vip>": 12, "unmapped/other": 20})
    record(ledger, Outcome("unchanged", some(1), LATER))
    assert "other 20 <vip> 12" in page_of(ledger)


def test_every_reason_of_dead_letters_has_what_mends_it() -> None:
    table = rows(ROOT / "docs" / "formats.md", "### Reasons")[1:]
    reasons = {each[1].strip("` ") for each in table}
    assert len(reasons) > 15
    assert reasons == REMEDIES.keys()
