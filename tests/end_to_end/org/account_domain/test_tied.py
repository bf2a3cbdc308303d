"""A prospect is tied to its account in the request that carries its other fields."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.sandbox import Sandbox
from tests.end_to_end.org.account_domain.destination import (
    ATTRIBUTES,
    LEDGER,
    deliver,
    lookups,
    record,
    sent,
    told,
    write,
)
from tests.support.processes.org import people
from tests.support.processes.program import run

pytestmark = pytest.mark.real


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


def test_explain_names_the_account_s_domain(folder: Path, sandbox: Sandbox) -> None:
    del sandbox
    deliver(folder, record(1, site="acme.com"))
    said = run(folder, "explain", "1", *LEDGER)
    assert said.status == 0, said.stderr
    assert "account_domain" in said.stdout + said.stderr
    assert "acme.com" in said.stdout + said.stderr
