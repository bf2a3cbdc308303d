"""A report is one file that loads nothing, escapes everything, and adds up."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pipeline.html_report.plots import budget, share, stacked
from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import running_sandbox
from tests.support.browser.chromium import Browser, browser
from tests.support.processes.program import ROOT, replay, run, write_destination, write_lines

pytestmark = pytest.mark.real

ODD = "<script>alert(1)</script>&\"'"


class Text(HTMLParser):
    """The tags of a page, and its text as a reader sees it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - HTMLParser has it so
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += f" {data}"


@pytest.fixture
def replayed(tmp_path: Path) -> Path:
    """A folder in which a replay has written a report, over a ledger."""
    flat = {"segment": "vip", "status": "realized", "event_time": "2026-01-02T03:04:05Z"}
    lines = [json.dumps({"outreach_id": each, **flat}) for each in range(1, 41)]
    lines += [json.dumps({"outreach_id": 1, **flat, "segment": ODD})] * 3
    lines += ["nonsense", json.dumps({"outreach_id": 999, **flat})]
    write_lines(tmp_path / "in.jsonl", lines)
    with running_sandbox(SandboxOptions(prospects=40)) as sandbox:
        write_destination(tmp_path, sandbox.url, {"vip": 4})
        ended = replay(tmp_path, "in.jsonl", more=["--ledger=l.db", "--report=report.html"])
    assert ended.status == 3
    assert "report: report.html" in ended.stderr
    return tmp_path


def test_a_report_holds_what_the_replay_came_to_and_loads_nothing(replayed: Path) -> None:
    page = (replayed / "report.html").read_text("utf-8")
    seen = Text(page)
    text = " ".join(seen.text.split())
    assert "40 delivered" not in text
    assert "delivered 40 written to Outreach" in text
    assert "rejected 1 refused for good" in text
    assert "not_json 1" in text
    assert f"{ODD} 3" in text
    assert "Requests of " in page
    assert "the limit is 10,000, of which 500 are kept in reserve" in page
    assert not {"script", "link", "img", "iframe", "object"} & set(seen.tags)
    assert not re.search(r"(?:src|href)=|url\(|@import", page)


def test_a_report_of_the_ledger_is_of_all_that_it_remembers(replayed: Path) -> None:
    for _ in range(2):
        made = run(replayed, "report", "--ledger=l.db", "--output=all.html")
        assert made.status == 0, made.stderr
    assert "delivered 40" in " ".join(Text((replayed / "all.html").read_text("utf-8")).text.split())
    assert (replayed / "all.html.1").exists(), "an earlier report is put aside"
    refused = run(replayed, "report", "--ledger=l.db", "--output=l.db")
    assert (refused.status, "are the same file" in refused.stderr) == (2, True)
    other = run(replayed, "report", "--ledger=l.db", "--output=in.jsonl")
    assert (other.status, "holds no report" in other.stderr) == (2, True)


def test_the_requests_over_time_are_all_that_were_made(replayed: Path) -> None:
    with closing(sqlite3.connect(replayed / "l.db")) as ledger:
        (spent,) = ledger.execute("SELECT sum(requests) FROM spends").fetchone()
        (counted,) = ledger.execute("SELECT count FROM totals WHERE name = 'requests'").fetchone()
    assert spent == counted > 0


def test_a_dry_run_is_reported_as_one(tmp_path: Path) -> None:
    write_lines(tmp_path / "in.csv", ["outreach_id,segment,status", "1,vip,realized"])
    write_destination(tmp_path, "http://127.0.0.1:9", {"vip": 4})
    ended = replay(tmp_path, "in.csv", more=["--dry_run", "--report=r.html"])
    assert (ended.status, ended.summary["delivered"]) == (0, 1)
    assert "nothing was sent" in (tmp_path / "r.html").read_text("utf-8")


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.mark.browser
@pytest.mark.parametrize("width", [360, 1_280])
def test_a_report_fits_a_phone_and_a_desk(replayed: Path, chromium: Browser, width: int) -> None:
    chromium.devtools(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=800,
        deviceScaleFactor=1,
        mobile=False,
    )
    chromium.open((replayed / "report.html").as_uri())
    assert chromium.run("return document.documentElement.scrollWidth <= innerWidth")
    assert chromium.run("return document.querySelectorAll('svg[aria-label]').length") == 3
    assert chromium.complaints() == []


@pytest.mark.browser
def test_a_report_is_printed_dark_on_light(replayed: Path, chromium: Browser) -> None:
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    chromium.open((replayed / "report.html").as_uri())
    ground = "return getComputedStyle(document.querySelector('section')).backgroundColor"
    chromium.devtools("Emulation.setEmulatedMedia", media="screen", features=dark)
    assert chromium.run(ground) != "rgb(255, 255, 255)"
    chromium.devtools("Emulation.setEmulatedMedia", media="print", features=dark)
    assert chromium.run(ground) == "rgb(255, 255, 255)"
    chromium.devtools("Emulation.setEmulatedMedia", media="", features=[])


def test_a_plot_of_nothing_is_no_trouble() -> None:
    assert share({}, ["a"], "none") == ""
    assert "<svg" in stacked([], ["a"], "x", "y", "none")
    assert "<polygon" not in budget([], [], [], "", "x", "y", "none")
    assert "<rect" not in stacked([{"a": 0}], ["a"], "x", "y", "none")


def test_the_style_is_shipped_with_the_package() -> None:
    assert '"pipeline.html_report": ["static/*"]' in (ROOT / "setup.py").read_text("utf-8")
    assert '"pipeline.web": ["static/*"]' in (ROOT / "setup.py").read_text("utf-8")
