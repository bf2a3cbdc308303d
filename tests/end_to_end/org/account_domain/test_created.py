"""An account that nobody has is created once, before those who are tied to it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from pipeline.sandbox.faults import FaultSettings
from tests.end_to_end.org.account_domain.destination import (
    ATTRIBUTES,
    LEDGER,
    deliver,
    record,
    sent,
    told,
    write,
)
from tests.support.processes.kills import killed_after
from tests.support.processes.org import address, asked, people
from tests.support.processes.program import ROOT, replay, run, write_lines

pytestmark = pytest.mark.real


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
