"""One prospect on the page: what became of each change to its fields, in the order of time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.ledger import history
from pipeline.ledger.store import transaction
from pipeline.operator_page.server import operator_page
from tests.support.browser.chromium import Browser, browser
from tests.support.in_process.door import post
from tests.support.in_process.ledgers import NOW, arrive, deliver, member, new_ledger
from tests.support.servers.sandbox_client import wait_for
from transforms.elements import Outcome

pytestmark = pytest.mark.real

SECOND = 1_000_000
ODD = '<b id="odd">no & such</b>'


@pytest.fixture
def page(tmp_path: Path) -> Iterator[str]:
    with new_ledger(tmp_path) as connection:
        arrive(connection, [member(3, "realized")])
        deliver(connection, now=NOW + SECOND)
        refused = Outcome("rejected", [member(3, "exited")], NOW, "not_found", ODD, 404, "ops")
        alike = Outcome("unchanged", [member(3, "realized")], NOW, None, None, 200, "ops")
        older = Outcome("superseded", [member(3, "exited")], NOW)
        with transaction(connection):
            for seconds, outcome in ((4, older), (2, refused), (3, alike)):
                at = NOW + seconds * SECOND
                history.record(connection, [outcome._replace(recorded_at=at)])
        arrive(connection, [member(3, "exited")], now=NOW + 5 * SECOND)
        connection.execute("UPDATE queue SET due_at = ?", (NOW + 100 * SECOND + 7,))
    path = str(tmp_path / "ledger.db")
    with operator_page(path, "127.0.0.1", 0, "--port", {"T": "token"}, "T") as found:
        yield found.url


def test_each_field_s_changes_are_told_oldest_first_with_the_reason(page: str) -> None:
    (field,) = post(f"{page}/api/prospects/3", "", method="GET").json["fields"]
    assert [(each["outcome"], each["value"], each["why"]) for each in field["timeline"]] == [
        ("delivered", "realized", "written to Outreach, answered 200, by ops"),
        ("rejected", "exited", f"not_found ({ODD}), answered 404, by ops"),
        ("unchanged", "realized", "the field was read to hold it already, answered 200, by ops"),
        ("superseded", "exited", "a newer change took its place before it was sent"),
        ("waiting", "exited", "to be sent by ops, not before 2027-01-15T08:01:40Z"),
    ]
    times = [each["at"] for each in field["timeline"]]
    assert times == sorted(times)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.mark.browser
def test_the_page_lists_them_and_shows_text_as_text(page: str, chromium: Browser) -> None:
    chromium.complaints()
    chromium.open(page)
    chromium.type("#look input", "3")
    chromium.click("#look button")
    wait_for(lambda: "took its place" in chromium.text("#prospect"))
    listed = (
        "return [...document.querySelectorAll('#prospect .timeline strong')].map(e => e.innerText)"
    )
    assert chromium.run(listed) == ["delivered", "rejected", "unchanged", "superseded", "waiting"]
    assert ODD in chromium.text("#prospect")
    assert not chromium.run("return document.querySelector('#odd')")
    assert chromium.complaints() == []
