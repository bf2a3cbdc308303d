from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from pipeline.sandbox.custom_fields import parse_field
from pipeline.sandbox.faults import FaultSettings
from tests.support.browser.chromium import Browser, browser
from tests.support.processes.program import ROOT
from tests.support.servers.sandbox_client import Clock, ask, patch, wait_for

pytestmark = pytest.mark.real

SECRETS = {"bearer-of-ops": "ops", "bearer-of-ann": "ann"}
FIELDS = (parse_field("custom4:label=Enterprise intent"), parse_field("custom7:label=Churn risk"))
ARROW_RIGHT, ENTER, TAB = "\ue014", "\ue007", "\ue004"


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


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    options = SandboxOptions(prospects=60, fields=FIELDS, tokens=SECRETS, limit=50)
    with running_sandbox(options) as running:
        yield running


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as window:
        yield window


def _open(chromium: Browser, sandbox: Sandbox) -> None:
    chromium.devtools("Emulation.clearDeviceMetricsOverride")
    chromium.open(sandbox.url)
    wait_for(lambda: chromium.text("#live") == "Live" and chromium.text("#place"))


@pytest.mark.browser
def test_a_change_shows_on_the_page_by_itself_marked_and_counted(
    sandbox: Sandbox, chromium: Browser
) -> None:
    patch(sandbox, 2, "bearer-of-ops", custom4="realized")
    _open(chromium, sandbox)
    heads = "return [...document.querySelectorAll('#columns > *')].map(head => head.innerText)"
    intent, risk = "Enterprise intent\ncustom4", "Churn risk\ncustom7"
    assert chromium.run(heads) == ["Id", intent, risk, "Updated"]
    patch(sandbox, 2, "bearer-of-ops", custom4="exited")
    wait_for(lambda: "exited" in chromium.text("#rows tr:nth-child(2) td.fresh"))
    assert "was realized" in chromium.text("#rows tr:nth-child(2) td.fresh")
    assert chromium.text(".audience .values") == "exited\n1"
    assert "48 left" in chromium.text(".budget[data-user=ops] h3")
    label = chromium.run("return document.querySelector('svg.plot').getAttribute('aria-label')")
    assert label == "ops: 2 requests spent in the last 60 min, 48 left of 50"
    assert chromium.complaints() == []


@pytest.mark.browser
def test_prospects_are_searched_and_paged_with_the_keyboard(
    sandbox: Sandbox, chromium: Browser
) -> None:
    _open(chromium, sandbox)
    assert chromium.text("#place") == "1 to 25 of 60 prospects"
    chromium.run("document.querySelector('#next').focus()")
    chromium.press(ENTER)
    wait_for(lambda: chromium.text("#place") == "26 to 50 of 60 prospects")
    chromium.type("#search-text", "59")
    wait_for(lambda: chromium.text("#place") == "1 to 1 of 1 prospect")
    assert chromium.text("#rows td.number") == "59"


@pytest.mark.browser
def test_a_prospect_opens_to_its_history_and_its_requests(
    sandbox: Sandbox, chromium: Browser
) -> None:
    for status in ("realized", "exited"):
        patch(sandbox, 3, "bearer-of-ops", custom4=status)
    _open(chromium, sandbox)
    chromium.click("#rows button[data-id='3']")
    wait_for(lambda: "Prospect 3" in chromium.text("#one-title"))
    told = " ".join(chromium.text("#one-story").split())
    assert "custom4 realized exited" in told
    assert told.count("PATCH") == 2
    chromium.click("#one form button")
    wait_for(lambda: chromium.run("return !document.querySelector('#one').open"))
    assert chromium.complaints() == []


@pytest.mark.browser
def test_a_table_that_is_wider_than_a_phone_says_that_it_scrolls(
    sandbox: Sandbox, chromium: Browser
) -> None:
    patch(sandbox, 1, "bearer-of-ops", custom4="x" * 300, custom7="y" * 30)
    _open(chromium, sandbox)
    hidden = "return document.querySelector('#wider').hidden"
    for width, expected in ((1_280, True), (360, False)):
        chromium.devtools(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=800,
            deviceScaleFactor=1,
            mobile=False,
        )
        wait_for(lambda expected=expected: chromium.run(hidden) is expected)


@pytest.mark.browser
def test_choosing_a_value_lists_the_prospects_that_hold_it(
    sandbox: Sandbox, chromium: Browser
) -> None:
    sandbox.seed(
        {7: {"custom4": "realized"}, 9: {"custom4": "realized"}, 11: {"custom4": "exited"}}
    )
    _open(chromium, sandbox)
    chromium.click(".values button[title=realized]")
    wait_for(lambda: chromium.text("#place") == "1 to 2 of 2 prospects")
    assert "Enterprise intent is realized" in chromium.text("#filter")
    chromium.click("#filter button")
    wait_for(lambda: chromium.text("#place") == "1 to 25 of 60 prospects")


@pytest.mark.browser
def test_a_request_opens_to_its_body_and_answer_and_stays_open(
    sandbox: Sandbox, chromium: Browser
) -> None:
    patch(sandbox, 3, "bearer-of-ops", custom4=5)
    _open(chromium, sandbox)
    chromium.click(".requests summary")
    wait_for(lambda: "validationError" in chromium.text(".requests details[open]"))
    assert '"custom4": 5' in chromium.text(".requests details[open]")
    patch(sandbox, 4, "bearer-of-ops", custom4="x")
    wait_for(lambda: "/prospects/4" in chromium.text(".requests details:first-child"))
    assert "validationError" in chromium.text(".requests details[open]")


@pytest.mark.browser
def test_faults_are_switched_with_the_keyboard(sandbox: Sandbox, chromium: Browser) -> None:
    _open(chromium, sandbox)
    wait_for(lambda: chromium.text("[data-fault=error_500] output"))
    chromium.run("document.querySelector('[name=error_500]').focus()")
    chromium.press(ARROW_RIGHT, ARROW_RIGHT, ARROW_RIGHT)
    wait_for(lambda: ask(sandbox, "GET", "/sandbox/faults").json["error_500"] == 0.03)
    wait_for(lambda: chromium.text("#trouble") == "1 fault on")
    chromium.click("#calm")
    wait_for(lambda: ask(sandbox, "GET", "/sandbox/faults").json["error_500"] == 0)


@pytest.mark.browser
def test_what_a_careful_client_would_not_do_is_told_at_the_top(
    sandbox: Sandbox, chromium: Browser
) -> None:
    _open(chromium, sandbox)
    assert chromium.text("#violations") == ""
    for _ in range(51):
        patch(sandbox, 1, "bearer-of-ann")
    wait_for(lambda: "more than 50 requests in a window (ann)" in chromium.text("#violations"))


@pytest.mark.browser
def test_no_token_is_on_the_page_or_behind_it(sandbox: Sandbox, chromium: Browser) -> None:
    sandbox.set_faults(**FaultSettings(error_500=0.5).model_dump())
    for prospect in range(1, 6):
        patch(sandbox, prospect, "bearer-of-ops", custom4="x")
        patch(sandbox, prospect, "a-strangers-token", custom4="x")
    _open(chromium, sandbox)
    chromium.run("document.querySelectorAll('.requests details').forEach(d => { d.open = true })")
    wait_for(lambda: "Answered" in chromium.text(".requests details:last-child"))
    told = chromium.run("return document.documentElement.outerHTML")
    told += ask(sandbox, "GET", "/sandbox/state").body.decode()
    for request in sandbox.requests():
        told += ask(sandbox, "GET", f"/sandbox/requests/{request.number}").body.decode()
    for secret in [*SECRETS, "a-strangers-token"]:
        assert secret not in told


@pytest.mark.browser
@pytest.mark.parametrize("width", [360, 1_280])
def test_the_page_fits_its_window_in_the_light_and_in_the_dark(
    sandbox: Sandbox, chromium: Browser, width: int
) -> None:
    patch(sandbox, 1, "bearer-of-ops", custom4="x" * 300, custom7="y" * 30)
    _open(chromium, sandbox)
    chromium.devtools(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=800,
        deviceScaleFactor=1,
        mobile=False,
    )
    grounds = set()
    for scheme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        chromium.devtools("Emulation.setEmulatedMedia", features=features)
        grounds.add(chromium.run("return getComputedStyle(document.body).backgroundColor"))
        assert chromium.run("return document.documentElement.scrollWidth <= innerWidth")
    assert len(grounds) == 2


@pytest.mark.browser
def test_everything_that_can_be_operated_has_a_name(sandbox: Sandbox, chromium: Browser) -> None:
    patch(sandbox, 1, "bearer-of-ops", custom4="x")
    _open(chromium, sandbox)
    wait_for(lambda: chromium.text("[data-fault=error_500] output"))
    roles = {"button", "slider", "spinbutton", "searchbox", "combobox", "checkbox", "link", "image"}
    seen = set()
    for node in chromium.devtools("Accessibility.getFullAXTree")["nodes"]:
        role = node.get("role", {}).get("value")
        if role in roles and not node["ignored"]:
            seen.add(role)
            assert node["name"]["value"].strip(), node
    assert seen >= roles - {"link"}
    for landmark in ["header", "main", "nav", "footer", "h1", "[role=search]"]:
        count = "return document.querySelectorAll(arguments[0]).length"
        assert chromium.run(count, landmark) == 1


@pytest.mark.browser
def test_a_user_lets_an_application_in(sandbox: Sandbox, chromium: Browser) -> None:
    query = {
        "client_id": "app",
        "redirect_uri": f"{sandbox.url}/static/icon.svg",
        "response_type": "code",
        "scope": "prospects.read prospects.write",
        "state": "s1",
    }
    chromium.open(f"{sandbox.url}/oauth/authorize?{urlencode(query)}")
    assert "prospects.write" in chromium.text("main")
    chromium.click("button[value=allow]")
    url = wait_for(lambda: chromium.run("return location.href"))
    wait_for(lambda: "code=" in urlsplit(chromium.run("return location.href")).query)
    assert urlsplit(url).netloc == urlsplit(sandbox.url).netloc


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
