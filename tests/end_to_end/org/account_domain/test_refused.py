"""What is no account costs its own change alone; what cannot carry it is refused first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from tests.end_to_end.org.account_domain.destination import (
    LEDGER,
    THERE,
    deliver,
    lookups,
    record,
    sent,
    told,
    write,
)
from tests.support.processes.org import address, asked, people
from tests.support.processes.program import replay, run

pytestmark = pytest.mark.real


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


def test_where_accounts_may_not_be_read_it_says_so_and_keeps_the_work(tmp_path: Path) -> None:
    options = SandboxOptions(scopes=("prospects.read", "prospects.write"))
    with running_sandbox(options) as sandbox:
        sandbox.seed(people(1))
        write(tmp_path, sandbox.url)
        ended = deliver(tmp_path, record(1, site="acme.com"))
        assert ended.status != 0
        assert "accounts.read" in ended.stderr
        assert asked(tmp_path, "SELECT count(*) FROM waiting") == [(2,)]


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
