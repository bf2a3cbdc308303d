"""The page's plots: what each user spent within its budget, minute by minute."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.ledger import users
from pipeline.ledger.store import transaction
from pipeline.operator_page.server import operator_page
from tests.support.browser.chromium import Browser, browser
from tests.support.in_process.door import Answer, post
from tests.support.in_process.ledgers import become_members, new_ledger
from tests.support.servers.sandbox_client import wait_for
from transforms.budget.terms import BudgetTerms

pytestmark = pytest.mark.real

ODD = '<img src=x onerror="document.title=1">'


@pytest.fixture
def page(tmp_path: Path) -> Iterator[str]:
    """Of a ledger whose user spent ten requests a minute, and ever more of it was refused."""
    minute = int(time.time() // 60)
    with new_ledger(tmp_path) as connection:
        become_members(connection, range(1, 6))
        with transaction(connection):
            users.name_users(
                connection, dict.fromkeys(("ops", ODD), BudgetTerms(1_000, 3_600, 100))
            )
            users.note_live_share(connection, 0.5)
        connection.executemany(
            "INSERT INTO spends (user, minute, began, requests, withheld) VALUES (?, ?, 1, ?, ?)",
            [("ops", minute - each, 10, 60 - each) for each in range(100)],
        )
    path = str(tmp_path / "ledger.db")
    with operator_page(path, "127.0.0.1", 0, "--port", {"T": "token"}, "T") as found:
        yield found.url


def get(url: str) -> Answer:
    return post(url, "", {}, method="GET")


def test_each_user_s_last_hour_is_told_by_minute_with_what_bounds_it(page: str) -> None:
    spending = {each["user"]: each for each in get(f"{page}/api/status").json["spending"]}
    ops = spending["ops"]
    assert len(ops["requests"]) == 60
    assert ops["requests"][:59] == [10] * 59
    assert ops["windows"][0] == 410, "of the hour before, forty minutes were spent in"
    assert (ops["limit"], ops["reserve"], ops["backfill"]) == (1_000, 100, 450)
    assert "the limit is 1,000, of which 100 are kept in reserve" in ops["words"]
    assert "a backfill stops at 450" in ops["words"]
    assert spending[ODD]["requests"] == [0] * 60


def test_the_plots_load_nothing_and_escape_names(page: str) -> None:
    spending = {each["user"]: each for each in get(f"{page}/api/status").json["spending"]}
    assert "<img" not in spending[ODD]["figure"]
    assert "style" not in spending["ops"]["figure"]
    assert "http" not in spending["ops"]["figure"]
    assert get(f"{page}/static/plots.css").status == 200
    assert get(f"{page}/static/report.css").status == 404


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.mark.browser
def test_a_plot_says_its_figures_in_words_and_draws_them(page: str, chromium: Browser) -> None:
    chromium.complaints()
    chromium.open(page)
    wait_for(lambda: "ops" in chromium.text("#users"))
    plot = "#users .user:last-child .plot svg"
    label = chromium.run(f"return document.querySelector('{plot}').getAttribute('aria-label')")
    assert label.startswith("Requests of ops over 1 h: 600; at most 10 in a minute")
    assert chromium.run(f"return document.querySelector('{plot}').getAttribute('role')") == "img"
    for kind in ("line.limit", "line.reserve", "line.backfill", "polygon.own", "polygon.others"):
        assert chromium.run(f"return document.querySelectorAll('{plot} {kind}').length") == 1, kind
    assert chromium.run(f"return document.querySelectorAll('{plot} rect.own').length") == 60
    assert chromium.run(f"return document.querySelector('{plot}').getBoundingClientRect().height")
    assert chromium.run("return document.querySelector('#time .plot .ends').innerText").strip()
    assert chromium.run("return document.title") == "Audience activation"
    assert chromium.complaints() == []
