"""Upsert, look-ups, relationships and bulk actions of both objects, as Outreach describes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from tests.pipeline.sandbox.contract.test_both_sides import faults_in, names, rewritten
from tests.support.contract import breaches_of_answer, breaches_of_request, operation_of
from tests.support.processes.program import replay, write_destination, write_lines
from tests.support.servers.wire import Passed, recorded

pytestmark = pytest.mark.real

BULK = {"bulk": {"mode": "auto", "min_prospects": 10}}
TIED = {
    "mode": "upsert",
    "identity": {"match": "email"},
    "attributes": [{"source": "site", "target": "account_domain"}],
}


@contextmanager
def org(folder: Path) -> Iterator[tuple[Sandbox, str, list[Passed]]]:
    folder.mkdir()
    options = SandboxOptions(prospects=60, batch_seconds=0.1)
    with running_sandbox(options) as sandbox, recorded(sandbox.url) as (url, passed):
        sandbox.seed({1: {"emails": ["ann@example.com"]}})
        sandbox.seed({each: {"name": f"Company {each}"} for each in range(1, 61)}, "account")
        sandbox.seed({1: {"domain": "acme.com"}}, "account")
        yield sandbox, url, passed


def deliver(folder: Path, url: str, lines: Sequence[Mapping[str, Any]], **more: Any) -> None:
    write_destination(folder, url, {"seg-a": 4}, **more)
    told = {"segment": "seg-a", "status": "realized"}
    write_lines(folder / "in.jsonl", [json.dumps({**told, **each}) for each in lines])
    ended = replay(folder, "in.jsonl", more=("--ledger=ledger.db",))
    assert ended.status == 0, ended.stderr


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> list[Passed]:
    """What passed while both objects were created, looked up, tied together and written in bulk."""
    folder = tmp_path_factory.mktemp("both")
    with org(folder / "upsert") as (_, url, of_upsert):
        deliver(
            folder / "upsert",
            url,
            [
                {"email": "ann@example.com", "attributes": {"site": "acme.com"}},
                {"email": "new@example.com", "attributes": {"site": "new.com"}},
                {"email": "bob@example.com", "attributes": {"site": None}},
            ],
            **TIED,
        )
    with org(folder / "accounts") as (_, url, of_accounts):
        deliver(
            folder / "accounts",
            url,
            [{"domain": "acme.com"}, {"domain": "new.com"}, {"name": "Initech, Inc."}],
            object="account",
            mode="upsert",
        )
    bulk: list[Passed] = []
    for kind in ("prospect", "account"):
        with org(folder / kind) as (_, url, passed):
            everybody = [{"outreach_id": each} for each in range(1, 61)]
            deliver(folder / kind, url, everybody, object=kind, delivery=BULK)
            bulk += passed
    return [*of_upsert, *of_accounts, *bulk]


def test_what_is_asked_about_both_objects_is_what_outreach_describes(
    traffic: list[Passed],
) -> None:
    assert faults_in(traffic, breaches_of_request) == {}
    assert names(traffic) == {
        *("write prospect", "create prospect", "read prospects", "modify prospects"),
        *("write account", "create account", "read accounts", "modify accounts"),
        *("confirm", "read batches"),
    }
    assert [each for each in traffic if "newFilterSyntax" in each.target]
    tied = [each.body for each in traffic if b'"relationships"' in each.body]
    assert {(b'"data":null' in each, b'"id":1}' in each) for each in tied} >= {
        (True, False),
        (False, True),
    }


def test_the_sandbox_answers_about_both_objects_as_outreach_describes_it(
    traffic: list[Passed],
) -> None:
    assert faults_in(traffic, breaches_of_answer) == {}
    assert {each.status for each in traffic} == {200, 201}


BROKEN: dict[str, tuple[str, Callable[[Passed], Passed]]] = {
    "a creation that names an id": (
        "create prospect",
        lambda it: rewritten(it, b'"type":"prospect"', b'"type":"prospect","id":7'),
    ),
    "a creation of another kind": (
        "create account",
        lambda it: rewritten(it, b'"type":"account"', b'"type":"prospect"'),
    ),
    "an account's attribute of a prospect": (
        "create prospect",
        lambda it: rewritten(it, b'"emails"', b'"domain"'),
    ),
    "a prospect's attribute of an account": (
        "create account",
        lambda it: rewritten(it, b'"domain"', b'"emails"'),
    ),
    "a tie to something that is no account": (
        "create prospect",
        lambda it: rewritten(it, b'"type":"account"', b'"type":"stage"'),
    ),
    "a tie by an id that is a string": (
        "create prospect",
        lambda it: rewritten(it, rb'("type":"account","id":)(\d+)', rb'\1"\2"'),
    ),
    "a relationship that does not exist": (
        "create prospect",
        lambda it: rewritten(it, b'"account":', b'"company":'),
    ),
    "an account that is tied to one": (
        "write account",
        lambda it: rewritten(it, b'"attributes":', b'"relationships":{"account":{}},"attributes":'),
    ),
    "a filter that there is not": (
        "read accounts",
        lambda it: it._replace(target=it.target.replace("domain%5D=", "website%5D=")),
    ),
    "a bulk action for everybody": (
        "modify accounts",
        lambda it: rewritten(it, rb'"ids":\[[^\]]*\]', b'"ids":[]'),
    ),
    "a bulk action that sets nothing": (
        "modify prospects",
        lambda it: rewritten(it, rb'"custom4":"realized",', b""),
    ),
    "a confirmation without a count": (
        "confirm",
        lambda it: it._replace(target=it.target.replace("confirmedCount", "count")),
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_request_about_either_object_that_outreach_would_not_take_is_found_out(
    traffic: list[Passed], broken: str
) -> None:
    name, breaking = BROKEN[broken]
    for each in traffic:
        operation = operation_of(each)
        if operation is None or operation.name != name:
            continue
        try:
            changed = breaking(each)
        except AssertionError:
            continue  # It has nothing of that kind in it.
        if changed != each:
            assert breaches_of_request(changed)
            return
    raise LookupError(name)
