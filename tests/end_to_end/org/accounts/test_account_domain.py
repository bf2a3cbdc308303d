"""`target: account_domain`: a prospect is tied to its account, which is found or created first."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from pipeline.sandbox.faults import FaultSettings
from tests.support.processes.kills import killed_after
from tests.support.processes.org import address, asked, people, write_org
from tests.support.processes.program import ROOT, Ended, replay, run, write_lines

pytestmark = pytest.mark.real

LEDGER = ("--ledger=ledger.db",)
ATTRIBUTES = [{"source": "site", "target": "account_domain"}]
THERE: dict[int, dict[str, object]] = {
    11: {"name": "Acme", "domain": "acme.com"},
    12: {"name": "Globex", "domain": "www.globex.com"},
}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(SandboxOptions()) as running:
        running.seed(people(5))
        running.seed(THERE, "account")
        yield running


@pytest.fixture
def folder(tmp_path: Path, sandbox: Sandbox) -> Path:
    write(tmp_path, sandbox.url)
    return tmp_path


def write(folder: Path, url: str, **more: Any) -> None:
    write_org(folder, url, **{"match": "outreach_id", "attributes": ATTRIBUTES, **more})


def record(whom: int | str, segment: str = "seg-a", status: str = "realized", **said: Any) -> str:
    who = {"outreach_id": whom} if isinstance(whom, int) else {"email": whom}
    return json.dumps({**who, "segment": segment, "status": status, "attributes": said})


def deliver(folder: Path, *lines: str, more: tuple[str, ...] = LEDGER) -> Ended:
    write_lines(folder / "in.jsonl", list(lines))
    return replay(folder, "in.jsonl", more=more)


def sent(sandbox: Sandbox, method: str, kind: str = "prospects") -> list[dict[str, Any]]:
    return [
        json.loads(each.body)["data"]
        for each in sandbox.requests()
        if each.method == method and f"/{kind}" in each.path
    ]


def lookups(sandbox: Sandbox) -> list[str]:
    return [
        each.path for each in sandbox.requests() if each.method == "GET" and "accounts" in each.path
    ]


def told(ended: Ended) -> Counter[tuple[str, str, str | None]]:
    return Counter((each["field"], each["outcome"], each["reason"]) for each in ended.receipts)


def test_a_prospect_is_tied_to_its_account_in_the_request_that_carries_its_other_fields(
    folder: Path, sandbox: Sandbox
) -> None:
    ended = deliver(
        folder,
        record(1, site="https://ACME.com/about"),
        record(2, site="globex.com"),
        record(3, site="acme.com"),
    )
    assert ended.status == 0, ended.stderr
    assert {each["id"]: each["relationships"] for each in sent(sandbox, "PATCH")} == {
        1: {"account": {"data": {"type": "account", "id": 11}}},
        2: {"account": {"data": {"type": "account", "id": 12}}},
        3: {"account": {"data": {"type": "account", "id": 11}}},
    }
    assert all(each["attributes"] == {"custom4": "realized"} for each in sent(sandbox, "PATCH"))
    assert len(lookups(sandbox)) == 1
    assert told(ended) == {
        ("custom4", "delivered", None): 3,
        ("account_domain", "delivered", None): 3,
    }
    assert {each["value"] for each in ended.receipts if each["field"] == "account_domain"} == {
        "acme.com",
        "globex.com",
    }

    again = deliver(folder, record(1, site="www.acme.com"), record(4, site="acme.com"))
    assert (again.summary["unchanged"], again.summary["requests"]) == (2, 1)
    assert len(lookups(sandbox)) == 1


def test_an_account_that_nobody_has_costs_its_own_change_alone_and_can_be_replayed(
    folder: Path, sandbox: Sandbox
) -> None:
    ended = deliver(folder, record(1, site="new.com"), record(2, site="new.com"))
    assert told(ended) == {
        ("custom4", "delivered", None): 2,
        ("account_domain", "rejected", "account_unknown"): 2,
    }
    assert all("new.com" in each["detail"] for each in ended.dead_letters)
    assert all("mode: upsert" in each["detail"] for each in ended.dead_letters)
    assert sent(sandbox, "POST") == []

    sandbox.seed({13: {"name": "New", "domain": "new.com"}}, "account")
    (folder / "dead_letters.jsonl").rename(folder / "letters.jsonl")
    again = replay(folder, "letters.jsonl", more=LEDGER)
    assert again.summary["delivered"] == 2, again.stderr
    assert {sandbox.prospects()[each]["account"] for each in (1, 2)} == {13}


def test_with_upsert_an_account_that_nobody_has_is_created_once_and_called_by_the_company(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    company = {"source": "company", "target": "company"}
    more = {"match": "email", "mode": "upsert", "attributes": [*ATTRIBUTES, company]}
    write(tmp_path, sandbox.url, **more)
    ended = deliver(
        tmp_path,
        record(address(1), site="www.new.com"),
        record("ann@new.com", site="NEW.com", company="New & Co"),
        record("bob@new.com", "seg-b", site="new.com"),
        record("cy@other.com", site="other.com"),
        record("di@acme.com", site="acme.com"),
    )
    assert ended.status == 0, ended.stderr
    created = [each["attributes"] for each in sent(sandbox, "POST", "accounts")]
    assert sorted(created, key=lambda each: each["domain"]) == [
        {"domain": "new.com", "name": "New & Co"},
        {"domain": "other.com", "name": "other.com"},
    ]
    new, other = (
        next(n for n, each in sandbox.accounts().items() if each.get("domain") == domain)
        for domain in ("new.com", "other.com")
    )
    ties = {
        each["emails"][0]: each["account"]
        for each in sandbox.prospects().values()
        if "account" in each
    }
    assert ties == {
        address(1): new,
        "ann@new.com": new,
        "bob@new.com": new,
        "cy@other.com": other,
        "di@acme.com": 11,
    }
    posts = sent(sandbox, "POST", "prospects")
    assert len(posts) == 4
    assert all(each["relationships"]["account"]["data"]["id"] for each in posts)
    assert set(told(ended)) == {
        ("custom4", "delivered", None),
        ("account_domain", "delivered", None),
        ("custom4", "delivered", "created"),
        ("custom5", "delivered", "created"),
        ("account_domain", "delivered", "created"),
        ("company", "delivered", "created"),
    }


def test_nobody_s_account_is_created_who_only_leaves_and_is_not_there(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    write(tmp_path, sandbox.url, match="email", mode="upsert")
    ended = deliver(tmp_path, record("gone@gone.com", status="exited", site="gone.com"))
    assert [each["reason"] for each in ended.dead_letters] == ["prospect_unknown"] * 2
    assert sent(sandbox, "POST", "accounts") == []


def test_a_freemail_provider_is_nobody_s_account(tmp_path: Path, sandbox: Sandbox) -> None:
    write(tmp_path, sandbox.url, match="email", mode="upsert")
    ended = deliver(
        tmp_path,
        record(address(1), site="GMail.com"),
        record("new@gmail.com", site="gmail.com"),
    )
    assert ended.status == 0, ended.stderr
    assert told(ended) == {
        ("custom4", "delivered", None): 1,
        ("custom4", "delivered", "created"): 1,
        ("account_domain", "unchanged", "freemail"): 2,
    }
    assert sandbox.accounts().keys() == THERE.keys()
    assert lookups(sandbox) == []


def test_what_is_no_domain_is_a_dead_letter_and_what_is_empty_takes_the_account_away(
    folder: Path, sandbox: Sandbox
) -> None:
    sandbox.seed({1: {"account": 11}, 2: {"account": 11}})
    ended = deliver(folder, record(1, site="Acme Inc."), record(2, site=""), record(3, site=None))
    assert [each["reason"] for each in ended.dead_letters] == ["value_invalid"]
    assert "takes a domain such as acme.com" in ended.dead_letters[0]["detail"]
    assert {each["id"]: each.get("relationships") for each in sent(sandbox, "PATCH")} == {
        1: None,
        2: {"account": {"data": None}},
        3: {"account": {"data": None}},
    }
    assert "account" not in sandbox.prospects()[2]


def test_written_only_where_there_is_none_it_leaves_an_account_as_it_is(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    write(tmp_path, sandbox.url, attributes=[{**ATTRIBUTES[0], "write": "if_empty"}])
    sandbox.seed({1: {"account": 12}})
    ended = deliver(tmp_path, record(1, site="acme.com"), record(2, site="acme.com"))
    assert told(ended) == {
        ("custom4", "delivered", None): 2,
        ("account_domain", "unchanged", "not_empty"): 1,
        ("account_domain", "delivered", None): 1,
    }
    assert [sandbox.prospects()[each]["account"] for each in (1, 2)] == [12, 11]


def test_many_that_are_tied_already_are_read_and_not_written(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    count = 150
    sandbox.seed(people(count))
    sandbox.seed({each: {"account": 11, "custom4": "realized"} for each in range(1, count - 9)})
    write(tmp_path, sandbox.url)
    lines = [record(each, site="acme.com") for each in range(1, count + 1)]
    ended = deliver(tmp_path, *lines)
    assert (ended.summary["unchanged"], ended.summary["delivered"]) == (2 * (count - 10), 20)
    assert len(sent(sandbox, "PATCH")) == 10
    assert ended.summary["requests"] == 12


def test_a_domain_of_several_accounts_is_ambiguous(folder: Path, sandbox: Sandbox) -> None:
    sandbox.seed({13: {"name": "Acme again", "domain": "www.acme.com"}}, "account")
    ended = deliver(folder, record(1, site="acme.com"))
    assert told(ended)["account_domain", "rejected", "account_ambiguous"] == 1
    assert "2 accounts have the domain acme.com" in ended.dead_letters[0]["detail"]
    assert "account" not in sandbox.prospects()[1]
    sandbox.delete(13, "account")
    assert (
        told(deliver(folder, record(2, site="acme.com")))["account_domain", "delivered", None] == 1
    )


def test_an_account_that_is_gone_is_refused_once_and_found_anew_the_next_time(
    folder: Path, sandbox: Sandbox
) -> None:
    assert deliver(folder, record(1, site="acme.com")).status == 0
    sandbox.delete(11, "account")
    sandbox.seed({14: {"name": "Acme", "domain": "acme.com"}}, "account")
    ended = deliver(folder, record(2, site="acme.com"))
    assert told(ended) == {
        ("custom4", "delivered", None): 1,
        ("account_domain", "rejected", "field_refused"): 1,
    }
    (folder / "dead_letters.jsonl").rename(folder / "letters.jsonl")
    assert replay(folder, "letters.jsonl", more=LEDGER).summary["delivered"] == 1
    assert sandbox.prospects()[2]["account"] == 14


def test_a_dry_run_and_a_rehearsal_know_of_accounts(folder: Path, sandbox: Sandbox) -> None:
    lines = (record(1, site="acme.com"), record(2, site="nobody.com"), record(3, site="gmail.com"))
    dry = deliver(folder, *lines, more=(*LEDGER, "--dry_run"))
    assert (dry.summary["delivered"], dry.summary["unchanged"]) == (5, 1)
    assert sandbox.requests() == []
    words = ("plan", "in.jsonl", "--destination=destination.yaml", "--json", *LEDGER)
    planned = run(folder, *words)
    assert planned.summary["requests"] == {"patch": 3, "bulk": 0, "read": 1}
    rehearsed = deliver(folder, *lines, more=("--sandbox",))
    assert (rehearsed.summary["delivered"], rehearsed.summary["unchanged"]) == (5, 1)


def test_the_example_ties_prospects_to_accounts_and_creates_both(tmp_path: Path) -> None:
    for name in ("account_links.yaml", "account_links.jsonl"):
        text = (ROOT / "examples" / name).read_text("utf-8")
        (tmp_path / name).write_text(text, encoding="utf-8")
    with running_sandbox(SandboxOptions()) as sandbox:
        sandbox.seed({1: {"emails": ["ann@acme.example"]}})
        sandbox.seed({1: {"name": "Acme Inc", "domain": "www.acme.example"}}, "account")
        path = tmp_path / "account_links.yaml"
        path.write_text(f"outreach: {{base_url: '{sandbox.url}'}}\n{path.read_text('utf-8')}")
        words = ("--destination=account_links.yaml", *LEDGER, "--receipts=r", "--dead_letters=d")
        ended = run(tmp_path, "replay", "account_links.jsonl", *words)
        assert ended.status == 0, ended.stderr
        assert sandbox.accounts() == {
            1: {"name": "Acme Inc", "domain": "www.acme.example"},
            2: {"name": "Globex Corporation", "domain": "globex.example"},
        }
        tied = {each["emails"][0]: each.get("account") for each in sandbox.prospects().values()}  # type: ignore[index]
        assert tied == {
            "ann@acme.example": 1,
            "bob@globex.example": 2,
            "cy@gmail.com": None,
            "di@initech.example": None,
        }


def test_explain_names_the_account_s_domain(folder: Path, sandbox: Sandbox) -> None:
    del sandbox
    deliver(folder, record(1, site="acme.com"))
    said = run(folder, "explain", "1", *LEDGER)
    assert said.status == 0, said.stderr
    assert "account_domain" in said.stdout + said.stderr
    assert "acme.com" in said.stdout + said.stderr


def test_where_accounts_may_not_be_read_it_says_so_and_keeps_the_work(tmp_path: Path) -> None:
    options = SandboxOptions(scopes=("prospects.read", "prospects.write"))
    with running_sandbox(options) as sandbox:
        sandbox.seed(people(1))
        write(tmp_path, sandbox.url)
        ended = deliver(tmp_path, record(1, site="acme.com"))
        assert ended.status != 0
        assert "accounts.read" in ended.stderr
        assert asked(tmp_path, "SELECT count(*) FROM waiting") == [(2,)]


def test_kills_and_lost_answers_tie_everybody_and_create_no_account_twice(tmp_path: Path) -> None:
    chance = random.Random(9)
    count, companies = 150, 40
    faults = FaultSettings(reset_after=0.04, error_500=0.04)
    options = SandboxOptions(latency_seconds=0.01, faults=faults, seed=9)
    with running_sandbox(options) as sandbox:
        sandbox.seed(people(count // 2))
        write(tmp_path, sandbox.url, match="email", mode="upsert")
        lines = [
            record(address(each), site=f"company{each % companies}.com")
            for each in range(1, count + 1)
        ]
        write_lines(tmp_path / "in.jsonl", lines)
        words = ("replay", "in.jsonl", "--destination=destination.yaml", *LEDGER)
        kills = 0
        while kills < 5 and killed_after(chance.randrange(5, 50), sandbox, tmp_path, *words):
            kills += 1
        assert kills >= 2
        ended = replay(tmp_path, "in.jsonl", more=LEDGER)
        assert ended.status == 0, ended.stderr
        domains = {each: held["domain"] for each, held in sandbox.accounts().items()}
        assert sorted(domains.values()) == sorted(f"company{each}.com" for each in range(companies))
        held = sandbox.prospects().values()
        assert {each["emails"][0]: domains[each["account"]] for each in held} == {  # type: ignore[index]
            address(each): f"company{each % companies}.com" for each in range(1, count + 1)
        }
        assert len(held) == count
        counts = asked(
            tmp_path,
            "SELECT count(*), count(DISTINCT change_id || field) FROM receipts"
            " WHERE outcome <> 'superseded'",
        )
        assert counts == [(2 * count, 2 * count)]


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({"delivery": {"bulk": {"mode": "auto"}}}, "cannot go with bulk actions"),
        ({"object": "account"}, "is no field of accounts that can be written (account_domain)"),
    ],
)
def test_what_cannot_carry_it_is_refused_at_the_start(
    tmp_path: Path, more: dict[str, Any], line: str
) -> None:
    write(tmp_path, "http://127.0.0.1:9", **more)
    ended = run(tmp_path, "validate", "--destination=destination.yaml")
    assert ended.status == 2
    assert line in " ".join((ended.stdout + ended.stderr).split())


def test_a_job_without_a_ledger_refuses_it(tmp_path: Path) -> None:
    write(tmp_path, "http://127.0.0.1:9")
    ended = deliver(tmp_path, record(1, site="acme.com"), more=("--runner=PrismRunner",))
    assert ended.status == 2
    said = " ".join(ended.stderr.split())
    assert "attributes[0].target: account_domain needs a ledger" in said
