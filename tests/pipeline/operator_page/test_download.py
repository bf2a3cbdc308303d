"""Dead letters are saved from the page, whole, and `replay` delivers them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.ledger import history
from pipeline.ledger.queries import letters
from pipeline.ledger.store import amended, transaction
from pipeline.operator_page.server import operator_page
from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import running_sandbox
from tests.support.browser.chromium import Browser, browser
from tests.support.in_process.door import Answer, post
from tests.support.in_process.ledgers import NOW, member, new_ledger
from tests.support.processes.program import replay, write_destination
from tests.support.servers.sandbox_client import wait_for
from transforms.elements import Outcome

pytestmark = pytest.mark.real

TOKEN = "page-token"
WHERE = "api/dead-letters.jsonl"


@pytest.fixture
def ledger(tmp_path: Path) -> str:
    """With two prospects that were not found, and three that governance keeps."""
    with new_ledger(tmp_path) as connection, transaction(connection):
        for reason, prospects in (("not_found", (1, 2)), ("forbidden", (3, 4, 5))):
            changes = [member(each, "realized") for each in prospects]
            history.record(connection, [Outcome("rejected", changes, NOW, reason, "no", 404)])
    return str(tmp_path / "ledger.db")


@pytest.fixture
def page(ledger: str) -> Iterator[str]:
    with operator_page(ledger, "127.0.0.1", 0, "--port", {"T": TOKEN}, "T") as found:
        yield found.url


def get(url: str, token: str = TOKEN, **headers: str) -> Answer:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return post(url, "", {**sent, "Authorization": f"Bearer {token}"}, method="GET")


def prospects(answer: Answer) -> list[int]:
    return [json.loads(line)["payload"]["outreach_id"] for line in answer.body.splitlines()]


def test_all_dead_letters_or_those_of_a_reason_are_given_whole(
    page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letters, "_AT_ONCE", 2)
    answer = get(f"{page}/{WHERE}")
    assert prospects(answer) == [1, 2, 3, 4, 5]
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert prospects(get(f"{page}/{WHERE}?reason=forbidden")) == [3, 4, 5]
    assert get(f"{page}/{WHERE}?reason=nonsense").body == b""


def test_what_is_saved_is_replayed(page: str, tmp_path: Path) -> None:
    (tmp_path / "saved.jsonl").write_bytes(get(f"{page}/{WHERE}?reason=forbidden").body)
    with running_sandbox(SandboxOptions(prospects=40)) as sandbox:
        write_destination(tmp_path, sandbox.url, {"seg-a": 4})
        ended = replay(tmp_path, "saved.jsonl")
    assert (ended.status, ended.summary["delivered"]) == (0, 3)


def test_they_are_given_to_no_other_site_and_by_no_other_name(page: str) -> None:
    for site in ("cross-site", "same-site"):
        assert get(f"{page}/{WHERE}", Sec_Fetch_Site=site).status == 403
        assert get(f"{page}/api/status", Sec_Fetch_Site=site).status == 403
    for site in ("same-origin", "none"):
        assert get(f"{page}/{WHERE}", Sec_Fetch_Site=site).status == 200
    assert get(f"{page}/", Sec_Fetch_Site="cross-site").status == 200, "a link may lead here"
    assert get(f"{page}/{WHERE}", Host="evil.example.com").status == 421


@pytest.mark.parametrize("private", [False, True])
def test_saving_needs_the_token_whether_reading_does_or_not(ledger: str, *, private: bool) -> None:
    at = (ledger, "127.0.0.1", 0, "--port", {"T": TOKEN}, "T")
    with operator_page(*at, private=private) as found:
        assert get(f"{found.url}/{WHERE}", token="wrong").status == 401
        assert len(prospects(get(f"{found.url}/{WHERE}"))) == 5


def test_what_is_added_meanwhile_does_not_make_it_endless(ledger: str) -> None:
    with amended(ledger) as connection:
        last, lines = letters.letters_after(connection, 0, 2)
        assert (last, len(lines)) == (2, 2)
        assert letters.letters_after(connection, last, 2) == (2, [])


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.mark.browser
@pytest.mark.parametrize("private", [False, True])
def test_a_link_saves_them_with_the_token_that_was_typed(
    ledger: str, tmp_path: Path, chromium: Browser, *, private: bool
) -> None:
    saved = tmp_path / "saved"
    saved.mkdir()
    chromium.devtools("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(saved))
    at = (ledger, "127.0.0.1", 0, "--port", {"T": TOKEN}, "T")
    with operator_page(*at, private=private) as found:
        chromium.open(found.url)
        if private:
            wait_for(lambda: "private" in chromium.text("#live"))
        else:
            wait_for(lambda: "forbidden" in chromium.text("#letters"), 30)
            chromium.click("#letters tr:first-child a")
            wait_for(lambda: "needs the token" in chromium.text("#said"))
        chromium.run(f"document.querySelector('#token').value = {json.dumps(TOKEN)}")
        wait_for(lambda: "forbidden" in chromium.text("#letters"), 30)
        chromium.click("#letters tr:first-child a")
        file = saved / "dead-letters.jsonl"
        wait_for(lambda: file.exists() and len(file.read_bytes().splitlines()) == 3, 30)
        assert b"forbidden" in file.read_bytes()
