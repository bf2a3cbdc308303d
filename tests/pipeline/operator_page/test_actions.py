"""What people see and do on the operator's page beside audiences and dead letters."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.ledger.oversight.alerts import (
    Condition,
    note_found,
    note_over,
    note_told,
    to_tell,
)
from pipeline.ledger.store import amended, transaction
from pipeline.monitoring import counts
from pipeline.operator_page.server import operator_page
from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import running_sandbox
from tests.end_to_end.always_on.test_door import BEARER, body, opened, started
from tests.support.browser.chromium import Browser, browser
from tests.support.in_process.door import Answer, post, write_destination_with_sources
from tests.support.in_process.ledgers import arrive, become_members, member, new_ledger
from tests.support.servers.sandbox_client import free_port, wait_for
from transforms.elements import OUTCOMES

pytestmark = pytest.mark.real

TOKEN = "page-token"
KEY = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}


@pytest.fixture
def ledger(tmp_path: Path) -> str:
    now = round(time.time() * 1e6)
    with new_ledger(tmp_path) as connection:
        become_members(connection, range(1, 21))
        arrive(connection, [member(each, "exited", "seg-b") for each in (1, 2)], now=now)
        connection.execute("UPDATE receipts SET recorded_at = ?", (now,))
    return str(tmp_path / "ledger.db")


@pytest.fixture
def page(ledger: str) -> Iterator[str]:
    with operator_page(ledger, "127.0.0.1", 0, "--port", {"T": TOKEN}, "T") as found:
        yield found.url


def get(url: str, **headers: str) -> Answer:
    return post(url, "", headers, method="GET")


def test_the_funnel_adds_up_in_each_span(page: str) -> None:
    funnel = get(f"{page}/api/status").json["funnel"]
    assert funnel.keys() == {"hour", "day", "week"}
    for span in funnel.values():
        assert span["received"] == 22
        assert span["received"] == span["waiting"] + sum(span[each] for each in OUTCOMES)


def test_freshness_is_told_by_audience_from_a_change_s_arrival(page: str, ledger: str) -> None:
    with amended(ledger) as connection:
        connection.execute(
            "UPDATE receipts SET arrived_at = recorded_at - outreach_id * 1000000"
            " WHERE outcome = 'delivered'"
        )
    wait_for(
        lambda: next(
            each["freshness"] == {"changes": 20, "p50": 10.0, "p99": 20.0}
            for each in get(f"{page}/api/status").json["audiences"]
            if each["segment"] == "seg-a"
        ),
        30,
    )


def test_counts_that_take_long_are_renewed_while_the_last_are_given(
    ledger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "QUICK_SECONDS", 0.0)
    monkeypatch.setattr(counts, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(counts, "SHARE", 0)
    counted = counts.Counts(ledger)

    def received() -> int:
        return counted.read().funnel["hour"]["received"]

    assert received() == 22
    with amended(ledger) as connection:
        connection.execute("DELETE FROM waiting")
    assert received() == 22, "it waited for the counting"
    wait_for(lambda: received() == 20, 30)


def test_sources_say_when_their_last_message_came(page: str, ledger: str) -> None:
    now = round(time.time() * 1e6)
    rows = [("aep", "1", now), ("aep", "2", now - 7_200_000_000), ("segment", "1", now)]
    with amended(ledger) as connection:
        connection.executemany(
            "INSERT INTO inbox (source, message_id, published, lane, body, received_at)"
            " VALUES (?, ?, 0, 0, NULL, ?)",
            rows,
        )

    def seen() -> list[tuple[str, int, int]]:
        sources = get(f"{page}/api/status").json["sources"]
        return [(each["name"], each["last_hour"], each["last_day"]) for each in sources]

    wait_for(lambda: seen() == [("aep", 1, 2), ("segment", 1, 1)], 30)


def test_an_alert_that_is_over_is_still_shown(page: str, ledger: str) -> None:
    found = Condition("late", "ops", "changes are late")
    with amended(ledger) as connection, transaction(connection):
        note_found(connection, [found], 1_000_000)
        note_over(connection, [found.key], 2_000_000)
        for telling in to_tell(connection):
            note_told(connection, telling, 3_000_000)
    (past,) = get(f"{page}/api/status").json["past_alerts"]
    assert past["text"] == "changes are late"
    assert past["over_at"] == "1970-01-01T00:00:02Z"


def test_receipts_are_looked_through_by_prospect_audience_and_outcome(page: str) -> None:
    def found(query: str) -> list[int]:
        return [
            each["outreach_id"] for each in get(f"{page}/api/receipts?{query}").json["receipts"]
        ]

    assert found("prospect=3") == [3]
    assert len(found("segment=seg-a")) == 20
    assert found("segment=seg-z") == []
    assert len(found("outcome=delivered&prospect=4")) == 1
    assert found("outcome=nonsense") == []


def test_a_private_page_tells_nothing_without_its_token(ledger: str) -> None:
    at = (ledger, "127.0.0.1", 0, "--port", {"T": TOKEN}, "T")
    with operator_page(*at, private=True) as found:
        assert get(found.url).status == 200
        for path in ("status", "receipts", "prospects/3", "events"):
            assert get(f"{found.url}/api/{path}").status == 401
        assert get(f"{found.url}/api/status", **KEY).status == 200


def test_every_action_needs_the_token_and_is_written_down(page: str) -> None:
    assert post(f"{page}/api/pause", {}).status == 401
    assert get(f"{page}/api/status").json["actions"] == []
    for action in ("pause", "resume", "reconcile"):
        assert post(f"{page}/api/{action}", {}, KEY).json == {"done": action}
    told = get(f"{page}/api/status").json
    assert [each["action"] for each in told["actions"]] == ["reconcile", "resume", "pause"]
    assert told["paused_at"] is None


def test_a_job_that_is_paused_takes_in_and_sends_nothing_until_it_is_resumed(
    tmp_path: Path,
) -> None:
    port, page_port = free_port(), free_port()
    words = (*opened(port), f"--page_port={page_port}", "--page_token_env=PAGE_TOKEN")
    url, page = f"http://127.0.0.1:{port}/changes/aep", f"http://127.0.0.1:{page_port}"
    with running_sandbox(SandboxOptions(prospects=40)) as sandbox:
        write_destination_with_sources(tmp_path, sandbox.url)
        with started(tmp_path, *words, PAGE_TOKEN=TOKEN) as running:
            running.wait_for("listening at")
            assert post(f"{page}/api/pause", {}, KEY).status == 200
            assert post(url, body([1, 2, 3]), BEARER).status == 200
            wait_for(lambda: get(f"{page}/api/status").json["waiting"]["changes"] == 3, 30)
            before = [each for each in sandbox.requests() if each.method == "PATCH"]
            assert before == []
            assert post(f"{page}/api/resume", {}, KEY).status == 200
            wait_for(lambda: sum(each.method == "PATCH" for each in sandbox.requests()) == 3, 30)
            running.stop()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.mark.browser
def test_a_private_page_is_read_once_its_token_is_typed(ledger: str, chromium: Browser) -> None:
    at = (ledger, "127.0.0.1", 0, "--port", {"T": TOKEN}, "T")
    with operator_page(*at, private=True) as found:
        chromium.open(found.url)
        wait_for(lambda: "private" in chromium.text("#live"))
        chromium.run(f"document.querySelector('#token').value = {json.dumps(TOKEN)}")
        wait_for(lambda: "22" in chromium.text("#funnel"), 30)
        assert "custom4" in chromium.text("#receipts")
