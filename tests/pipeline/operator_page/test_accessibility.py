"""The page and the report keep nobody out, by axe-core's rules, in light and in dark."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.door.refusals import Refusals
from pipeline.html_report.page import report_page, write_report
from pipeline.ledger import history, users
from pipeline.ledger.oversight.alerts import Condition, note_found
from pipeline.ledger.queries.activity import read_activity
from pipeline.ledger.store import looked_at, transaction
from pipeline.operator_page.server import operator_page
from tests.support.browser.axe import violations
from tests.support.browser.chromium import Browser, browser
from tests.support.in_process.ledgers import arrive, become_members, deliver, member, new_ledger
from tests.support.servers.sandbox_client import wait_for
from transforms.budget.terms import BudgetTerms
from transforms.elements import OUTCOMES, Outcome

pytestmark = [pytest.mark.real, pytest.mark.browser]


@pytest.fixture
def ledger(tmp_path: Path) -> str:
    """A ledger in which there is something of everything that is shown."""
    now = round(time.time() * 1e6)
    with new_ledger(tmp_path) as connection:
        become_members(connection, range(1, 21))
        arrive(connection, [member(1, "realized", "seg-b")], now=now)
        deliver(connection, now=now)
        arrive(connection, [member(each, "exited") for each in range(1, 16)], now=now)
        with transaction(connection):
            for each in OUTCOMES:
                outcome = Outcome(each, [member(1, "realized")], now, "not_found", "no", 404, "ops")
                history.record(connection, [outcome])
            users.name_users(connection, {"ops": BudgetTerms(1_000, 3_600, 100)})
            users.note_live_share(connection, 0.3)
            users.set_paused(connection, "ops", "the token was refused", now)
            note_found(connection, [Condition("late", "ops", "changes are late")], now)
            history.add_totals(connection, {"unmapped/other": 20})
        connection.execute("UPDATE receipts SET recorded_at = ?, event_time = ?", (now, now - 1))
        connection.executemany(
            "INSERT INTO spends (user, minute, began, requests, withheld) VALUES (?, ?, 1, 9, 9)",
            [("ops", now // 60_000_000 - each) for each in range(60)],
        )
        connection.execute(
            "INSERT INTO inbox (source, message_id, published, lane, received_at)"
            " VALUES ('aep', '1', 0, 0, ?)",
            (now,),
        )
    return str(tmp_path / "ledger.db")


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(params=["light", "dark"])
def window(request: pytest.FixtureRequest, chromium: Browser) -> Browser:
    features = [{"name": "prefers-color-scheme", "value": request.param}]
    chromium.devtools("Emulation.setEmulatedMedia", features=features)
    return chromium


def be_wide(window: Browser, width: int) -> None:
    window.devtools(
        "Emulation.setDeviceMetricsOverride",
        width=width, height=800, deviceScaleFactor=1, mobile=False,
    )  # fmt: skip


@pytest.mark.parametrize("width", [390, 1_280])
def test_the_page_breaks_no_rule(ledger: str, window: Browser, width: int) -> None:
    refusals = Refusals(time.time())
    refusals.note("aep", 401, "unauthorized", time.time())
    at = (ledger, "127.0.0.1", 0, "--port", {"T": "token"}, "T")
    be_wide(window, width)
    with operator_page(*at, refusals=refusals.read) as page:
        window.open(page.url)
        wait_for(lambda: "not_found" in window.text("#letters"))
        window.type("#look input", "1")
        window.click("#look button")
        wait_for(lambda: "not_found" in window.text("#prospect"))
        for shown in ("#held-list", "#refused-rows", "#users", "#alerts"):
            assert window.text(shown), shown
        assert violations(window) == []


@pytest.mark.parametrize("width", [390, 1_280])
def test_the_report_breaks_no_rule(
    ledger: str, tmp_path: Path, window: Browser, width: int
) -> None:
    with looked_at(ledger) as connection:
        page = report_page(read_activity(connection), "title", None, time.time())
    write_report(str(tmp_path / "report.html"), page)
    be_wide(window, width)
    window.open((tmp_path / "report.html").as_uri())
    assert "Requests saved" in window.text("main")
    assert violations(window) == []
