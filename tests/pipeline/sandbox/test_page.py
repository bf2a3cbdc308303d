"""The sandbox's page in Chromium: what it shows, and that all of it can be operated."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode, urlsplit

import pytest

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from pipeline.sandbox.faults import FaultSettings
from tests.pipeline.sandbox.shown import FIELDS, SECRETS
from tests.support.browser.chromium import Browser, browser
from tests.support.servers.sandbox_client import ask, patch, wait_for

pytestmark = pytest.mark.real
ARROW_RIGHT, ENTER, TAB = "\ue014", "\ue007", "\ue004"


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
