"""What the door refuses is counted by source and reason, and shown on the page of its job."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.operator_page.server import operator_page
from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import running_sandbox
from tests.end_to_end.always_on.test_door import BEARER, opened, started
from tests.support.browser.chromium import Browser, browser
from tests.support.in_process.door import open_door, post, write_destination_with_sources
from tests.support.in_process.ledgers import new_ledger
from tests.support.servers.sandbox_client import free_port, wait_for

pytestmark = pytest.mark.real

FLAT = {"outreach_id": 1, "segment": "vip", "status": "realized"}


def told(refusals: dict[str, Any]) -> dict[str, dict[tuple[int, str], int]]:
    return {
        source["source"]: {
            (each["status"], each["reason"]): each["count"] for each in source["reasons"]
        }
        for source in refusals["sources"]
    }


def test_each_refusal_counts_for_its_source_and_reason(tmp_path: Path) -> None:
    write_destination_with_sources(tmp_path)
    with open_door(tmp_path, inbox_limit=1, max_body_bytes=1_000) as door:
        aep = f"{door.url}/changes/aep"
        answered = [
            post(aep, FLAT).status,
            post(aep, FLAT, {"Authorization": "Bearer x"}).status,
            post(aep, b" " * 2_000, BEARER).status,
            post(aep, "nonsense", BEARER).status,
            post(aep, FLAT, BEARER).status,
            post(aep, FLAT, BEARER).status,
            post(f"{door.url}/changes/{'made-up' * 9}", FLAT).status,
            post(f"{door.url}/oauth/token", {"client_id": "x"}).status,
        ]
        assert answered == [401, 401, 413, 400, 200, 503, 404, 401]
        for _ in range(20):
            post(f"{door.url}/changes/slow", "nonsense")
        found = told(door.refusals.read())
    assert found["aep"] == {
        (401, "unauthorized"): 2,
        (413, "too_large"): 1,
        (400, "not_json"): 1,
        (503, "unavailable"): 1,
    }
    assert found["no such source"] == {(404, "unknown_source"): 1}
    assert found["/oauth/token"] == {(401, "invalid_client"): 1}
    assert found["slow"].keys() == {(400, "not_json"), (429, "too_many")}
    assert sum(found["slow"].values()) == 20


def test_the_page_of_a_job_that_listens_tells_what_its_door_refused(tmp_path: Path) -> None:
    port, page_port = free_port(), free_port()
    with running_sandbox(SandboxOptions(prospects=40)) as sandbox:
        write_destination_with_sources(tmp_path, sandbox.url)
        with started(tmp_path, *opened(port), f"--page_port={page_port}") as running:
            running.wait_for("listening at")
            assert post(f"http://127.0.0.1:{port}/changes/aep", FLAT).status == 401
            status = post(f"http://127.0.0.1:{page_port}/api/status", "", method="GET").json
            running.stop()
    assert told(status["refusals"]) == {"aep": {(401, "unauthorized"): 1}}
    assert b"aep-token" not in status["refusals"].__repr__().encode()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.mark.browser
def test_the_page_says_that_refusals_are_kept_by_nobody(tmp_path: Path, chromium: Browser) -> None:
    write_destination_with_sources(tmp_path)
    with open_door(tmp_path) as door:
        post(f"{door.url}/changes/aep", FLAT)
        at = (door.ledger, "127.0.0.1", 0, "--port", {"T": "token"}, "T")
        with operator_page(*at, refusals=door.refusals.read) as page:
            chromium.open(page.url)
            wait_for(lambda: "unauthorized" in chromium.text("#refused-rows"))
            assert "The ledger does not keep this" in chromium.text("#refused-since")
            assert "401" in chromium.text("#refused-rows tr:first-child")


def test_a_page_without_a_door_knows_of_no_refusals(tmp_path: Path) -> None:
    with new_ledger(tmp_path):
        pass
    path = str(tmp_path / "ledger.db")
    with operator_page(path, "127.0.0.1", 0, "--port", {"T": "token"}, "T") as page:
        assert post(f"{page.url}/api/status", "", method="GET").json["refusals"] is None
