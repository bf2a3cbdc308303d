"""What the sandbox's page is given to show, over HTTP."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from tests.pipeline.sandbox.shown import FIELDS
from tests.support.processes.program import ROOT
from tests.support.servers.sandbox_client import Clock, ask, patch

pytestmark = pytest.mark.real


def _state(sandbox: Sandbox, **query: object) -> Any:
    return ask(sandbox, "GET", "/sandbox/state", query=query).json


def test_counts_of_an_audience_follow_every_change() -> None:
    with running_sandbox(SandboxOptions(prospects=5, fields=FIELDS)) as sandbox:
        for prospect, status in [(1, "realized"), (2, "realized"), (3, "exited"), (2, "exited")]:
            patch(sandbox, prospect, custom4=status)
        patch(sandbox, 3, custom4=None)
        intent, risk = _state(sandbox)["audiences"]
        assert (intent["label"], intent["field"]) == ("Enterprise intent", "custom4")
        assert dict(intent["values"]) == {"realized": 1, "exited": 1}
        assert (intent["empty"], risk["empty"]) == (3, 5)


def test_a_hundred_thousand_prospects_are_searched_and_paged_here() -> None:
    with running_sandbox(SandboxOptions(prospects=100_000, fields=FIELDS)) as sandbox:
        sandbox.seed({77_777: {"custom4": "realized", "firstName": "Ada", "lastName": "Byron"}})
        whole = ask(sandbox, "GET", "/sandbox/state")
        assert len(whole.body) < 20_000
        assert whole.json["prospects"]["total"] == 100_000
        last = _state(sandbox, page=4_000)["prospects"]["rows"]
        assert [row["id"] for row in last] == list(range(99_976, 100_001))
        by_value = _state(sandbox, search="REAL")["prospects"]
        assert [(row["id"], row["name"]) for row in by_value["rows"]] == [(77_777, "Ada Byron")]
        by_id = _state(sandbox, search="7777", size=3)["prospects"]
        assert (by_id["total"], [row["id"] for row in by_id["rows"]]) == (
            11,
            [7_777, 77_770, 77_771],
        )
        chosen = _state(sandbox, field="custom4", value="realized")["prospects"]
        assert [row["id"] for row in chosen["rows"]] == [77_777]


def test_the_latest_changes_come_first_and_say_what_was_there() -> None:
    clock = Clock()
    with running_sandbox(SandboxOptions(prospects=9), clock) as sandbox:
        patch(sandbox, 8, custom4="realized")
        patch(sandbox, 3, custom4="realized")
        clock.now += 5
        patch(sandbox, 8, custom4="exited")
        rows = _state(sandbox, order="latest")["prospects"]["rows"]
        assert [row["id"] for row in rows] == [8, 3, 1, 2, 4, 5, 6, 7, 9]
        assert rows[0]["altered"] == {"custom4": {"at": clock.now, "before": "realized"}}


def test_what_a_field_held_before_is_kept_however_much_changes_elsewhere() -> None:
    with running_sandbox(SandboxOptions(prospects=300)) as sandbox:
        for status in ("realized", "exited"):
            patch(sandbox, 7, custom4=status)
        for prospect in range(20, 280):
            patch(sandbox, prospect, custom4="realized")
        (row,) = _state(sandbox, search="7", size=1)["prospects"]["rows"]
        assert (row["id"], row["altered"]["custom4"]["before"]) == (7, "realized")
        story = ask(sandbox, "GET", "/sandbox/prospects/7").json
        assert [(one["before"], one["after"]) for one in story["history"]] == [
            ("realized", "exited"),
            (None, "realized"),
        ]
        assert [one["status"] for one in story["requests"]] == [200, 200]
        assert ask(sandbox, "GET", "/sandbox/prospects/999").status == 404


def test_a_plot_keeps_the_windows_before_this_one() -> None:
    clock = Clock()
    with running_sandbox(SandboxOptions(prospects=9, hour=60.0), clock) as sandbox:
        for _ in range(5):
            patch(sandbox, 1, custom4="x")
            clock.now += 60
        state = _state(sandbox)
        assert state["windows"] == 4
        assert sum(own for _, own, *_ in state["users"][0]["usage"]) == 3


def test_a_request_is_shown_with_its_body_and_its_answer() -> None:
    with running_sandbox(SandboxOptions(prospects=1)) as sandbox:
        patch(sandbox, 1, custom4="realized")
        (request,) = _state(sandbox)["requests"]
        told = ask(sandbox, "GET", f"/sandbox/requests/{request['number']}").json
        assert json.loads(told["body"])["data"]["attributes"] == {"custom4": "realized"}
        assert json.loads(told["answer"])["data"]["id"] == 1
        assert ask(sandbox, "GET", "/sandbox/requests/2").status == 404


def test_the_log_forgets_the_oldest_requests_but_counts_them() -> None:
    with running_sandbox(SandboxOptions(prospects=1, keep_requests=2)) as sandbox:
        for _ in range(3):
            patch(sandbox, 1)
        assert [each.number for each in sandbox.requests()] == [2, 3]
        assert [each["number"] for each in _state(sandbox)["requests"]] == [3, 2]
        counts = _state(sandbox)["counts"]
        assert (counts["requests"], counts["unaltering"]) == (3, 3)
        assert ask(sandbox, "GET", "/sandbox/requests/1").status == 404


@pytest.mark.parametrize("query", ["page=0", "size=1000", "order=best", "colour=blue"])
def test_a_view_that_does_not_exist_is_refused(query: str) -> None:
    with running_sandbox() as sandbox:
        assert ask(sandbox, "GET", f"/sandbox/state?{query}").status == 400


@pytest.mark.parametrize("name", ["..%2foptions.py", "__init__.py", "none.css", "%2e%2e"])
def test_only_the_pages_own_files_are_served(name: str) -> None:
    with running_sandbox() as sandbox:
        assert ask(sandbox, "GET", f"/static/{name}").status == 404


def test_the_page_may_load_nothing_from_elsewhere() -> None:
    with running_sandbox() as sandbox:
        page = ask(sandbox, "GET", "/")
        assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert b"http://" not in page.body.replace(b"http://www.w3.org", b"")


def test_word_of_a_change_comes_as_a_server_sent_event() -> None:
    with running_sandbox(SandboxOptions(prospects=1)) as sandbox:
        url = f"{sandbox.url}/sandbox/events"
        with urllib.request.urlopen(url, timeout=5) as stream:  # noqa: S310 - the sandbox's
            assert stream.headers["Content-Type"] == "text/event-stream"
            first = json.loads(stream.readline().removeprefix(b"data: "))
            stream.readline()
            patch(sandbox, 1, custom4="x")
            then = json.loads(stream.readline().removeprefix(b"data: "))
            assert then["revision"] > first["revision"]


def test_the_page_is_shipped_with_the_package() -> None:
    static = ROOT / "pipeline/sandbox/ui/static"
    names = {file.name for file in static.iterdir()}
    assert names == {
        "icon.svg",
        "index.html",
        "page.css",
        "page.js",
        "parts.js",
        "plot.js",
        "prospect.js",
    }
