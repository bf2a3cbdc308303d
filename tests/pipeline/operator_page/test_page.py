"""The operator's page: it follows a real run, and its buttons work for whoever has the token."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipeline.operator_page.server import operator_page
from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import running_sandbox
from tests.end_to_end.always_on.test_door import BEARER, body, opened, started
from tests.support.browser.chromium import Browser, browser
from tests.support.in_process.door import Answer, post, write_destination_with_sources
from tests.support.in_process.ledgers import arrive, become_members, member, new_ledger
from tests.support.processes.program import ROOT, run
from tests.support.servers.sandbox_client import free_port, wait_for
from transforms.errors import ConfigurationError

pytestmark = pytest.mark.real

TOKEN = "page-token"
KEY = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}


@pytest.fixture
def ledger(tmp_path: Path) -> str:
    """A ledger in which an audience is held."""
    with new_ledger(tmp_path) as connection:
        become_members(connection, range(1, 21))
        arrive(connection, [member(each, "exited") for each in range(1, 16)])
    return str(tmp_path / "ledger.db")


@pytest.fixture
def page(ledger: str) -> Iterator[str]:
    with operator_page(ledger, "127.0.0.1", 0, "--port", {"T": TOKEN}, "T") as found:
        yield found.url


def get(url: str, **headers: str) -> Answer:
    return post(url, "", headers, method="GET")


def held(path: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT segment FROM held WHERE released_at IS NULL").fetchall()


def test_its_data_is_that_of_status_and_what_became_of_each_audience(
    page: str, ledger: str, tmp_path: Path
) -> None:
    told = get(f"{page}/api/status").json
    status = json.loads(run(tmp_path, "status", f"--ledger={ledger}", "--json").stdout)
    assert status.keys() <= told.keys()
    assert told["held"][0]["members"] == 20
    (first, _) = told["audiences"]
    assert (first["name"], first["field"], first["outcomes"]["delivered"], first["waiting"]) == (
        "Audience a",
        "custom4",
        20,
        15,
    )
    prospect = get(f"{page}/api/prospects/3").json
    assert prospect["fields"][0]["value"] == "realized"
    assert get(f"{page}/api/prospects/999").json["known"] is False


def test_its_buttons_need_the_token_and_content_that_no_other_page_can_send(
    page: str, ledger: str
) -> None:
    asked = {"segment": "seg-a"}
    address = f"{page}/api/release"
    assert post(address, asked).status == 401
    assert post(address, asked, {**KEY, "Authorization": "Bearer x"}).status == 401
    assert post(address, asked, {**KEY, "Content-Type": "text/plain"}).status == 415
    assert held(ledger) == [("seg-a",)]
    assert post(address, asked, KEY).json == {"released": "seg-a"}
    assert held(ledger) == []
    assert post(address, asked, KEY).status == 404
    assert post(f"{page}/api/retry", {}, KEY).json == {"retried": 0}


def test_it_is_only_asked_for_by_its_own_names_and_loads_nothing_from_elsewhere(page: str) -> None:
    assert get(page + "/", Host="evil.example.com").status == 421
    answer = get(page + "/")
    assert answer.status == 200
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    for name in ("index.html", "operator.js", "operator.css", "base.css", "plots.css"):
        assert b"//" not in get(f"{page}/static/{name}").body.replace(b"// ", b"").replace(
            b"http://www.w3.org/2000/svg", b""
        )
    assert get(f"{page}/static/..%2Fserver.py").status == 404


def test_it_is_not_opened_to_others_or_without_its_token(ledger: str) -> None:
    for host, variable, said in (
        ("192.0.2.1", None, "the page is for this machine"),
        ("127.0.0.1", "UNSET", "the environment variable UNSET is not set"),
    ):
        with (
            pytest.raises(ConfigurationError, match=said),
            operator_page(ledger, host, 0, "--port", {}, variable),
        ):
            pass


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.mark.browser
def test_a_run_is_followed_live_and_goes_on_after_a_restart(
    tmp_path: Path, chromium: Browser
) -> None:
    port, page_port = free_port(), free_port()
    words = (*opened(port), f"--page_port={page_port}")
    url = f"http://127.0.0.1:{port}/changes/aep"
    with running_sandbox(SandboxOptions(prospects=40)) as sandbox:
        write_destination_with_sources(tmp_path, sandbox.url)
        with started(tmp_path, *words) as running:
            running.wait_for("listening at")
            chromium.open(f"http://127.0.0.1:{page_port}/")
            wait_for(lambda: chromium.text("#live") == "Live")
            assert post(url, body([1, 2, 3]), BEARER).status == 200
            delivered = "#audience-rows tr:first-child td:nth-child(3)"
            wait_for(lambda: chromium.text(delivered) == "3", 30)
            running.stop()
        wait_for(lambda: chromium.text("#live") != "Live", 30)
        with started(tmp_path, *words) as running:
            running.wait_for("listening at")
            assert post(url, body([4, 99]), BEARER).status == 200
            wait_for(lambda: chromium.text(delivered) == "4", 30)
            wait_for(lambda: "not_found" in chromium.text("#letters"), 30)
            running.stop()


@pytest.mark.browser
def test_an_audience_is_let_go_with_the_token_and_not_with_another(
    page: str, ledger: str, chromium: Browser
) -> None:
    chromium.open(page)
    wait_for(lambda: "15 of its 20 known members" in chromium.text("#held-list"))
    chromium.type("#token", "wrong")
    chromium.click("#held-list button")
    wait_for(lambda: chromium.text("#said") == "the token is wrong")
    assert held(ledger) == [("seg-a",)]
    chromium.run("document.querySelector('#token').value = ''")
    chromium.type("#token", TOKEN)
    chromium.click("#held-list button")
    wait_for(lambda: "is let go" in chromium.text("#said"))
    wait_for(lambda: chromium.run("return document.querySelector('#held').hidden"))
    assert held(ledger) == []


@pytest.mark.browser
@pytest.mark.parametrize("width", [360, 1_280])
def test_it_fits_a_phone_and_a_desk_and_everything_has_a_name(
    page: str, chromium: Browser, width: int
) -> None:
    chromium.devtools(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=800,
        deviceScaleFactor=1,
        mobile=False,
    )
    chromium.complaints()  # Of the tests before.
    chromium.open(page)
    wait_for(lambda: "Audience a" in chromium.text("#audience-rows"))
    assert chromium.run("return document.documentElement.scrollWidth <= innerWidth")
    nameless = """return [...document.querySelectorAll('button, input')].filter(each =>
        !(each.innerText || each.labels?.length || each.getAttribute('aria-label'))).length"""
    assert chromium.run(nameless) == 0
    assert chromium.complaints() == []


def test_the_page_is_shipped_with_the_package() -> None:
    assert '"pipeline.operator_page": ["static/*"]' in (ROOT / "setup.py").read_text("utf-8")


@pytest.mark.parametrize(
    "own",
    [
        "operator_page/static/operator.css",
        "html_report/static/report.css",
        "sandbox/ui/static/page.css",
        "web/static/plots.css",
    ],
)
def test_colours_and_type_that_pages_share_stand_in_one_place(own: str) -> None:
    shared = (ROOT / "pipeline/web/static/base.css").read_text("utf-8")
    names = set(re.findall(r"(--[a-z-]+):", shared)) - {"--shadow"}
    assert {"--ground", "--ink", "--accent", "--good", "--delivered"} <= names
    said = (ROOT / "pipeline" / own).read_text("utf-8")
    assert names.isdisjoint(re.findall(r"(--[a-z0-9-]+):", said))
    assert "system-ui" not in said
