"""A prospect's account in the sandbox: shown, set, cleared, refused, kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from tests.support.servers.sandbox_client import ask

pytestmark = pytest.mark.real

PATH = "/api/v2/prospects"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(SandboxOptions(prospects=3)) as running:
        running.seed({7: {"name": "Acme", "domain": "acme.com"}}, "account")
        yield running


def to(account: object) -> dict[str, object]:
    return {"account": {"data": account}}


ACME = {"type": "account", "id": 7}


def tie(sandbox: Sandbox, links: object, status: int = 200) -> str:
    data = {"type": "prospect", "id": 1, "attributes": {"custom4": "x"}, "relationships": links}
    reply = ask(sandbox, "PATCH", f"{PATH}/1", {"data": data})
    assert reply.status == status, reply.body
    if status != 200:
        return str(reply.error["id"])
    return str(reply.json["data"]["relationships"]["account"]["data"])


def test_an_account_is_set_shown_and_cleared(sandbox: Sandbox) -> None:
    assert tie(sandbox, to(ACME)) == str(ACME)
    shown = ask(sandbox, "GET", f"{PATH}/1").json["data"]
    assert shown["relationships"]["account"] == {"data": ACME}
    assert "account" not in shown["attributes"]
    assert tie(sandbox, {}) == str(ACME)
    assert tie(sandbox, to(None)) == "None"
    post = {"data": {"type": "prospect", "attributes": {}, "relationships": to(ACME)}}
    created = ask(sandbox, "POST", PATH, post)
    assert created.status == 201
    assert created.json["data"]["relationships"]["account"]["data"] == ACME


@pytest.mark.parametrize(
    ("links", "status", "kind"),
    [
        (to({"type": "account", "id": 8}), 422, "validationError"),
        (to({"type": "account", "id": "7"}), 400, "badRequest"),
        (to({"type": "account"}), 400, "badRequest"),
        (to({"type": "stage", "id": 7}), 400, "badRequest"),
        (to([ACME]), 400, "badRequest"),
        ({"account": ACME}, 400, "badRequest"),
        ({"company": {"data": ACME}}, 400, "badRequest"),
        ([], 400, "badRequest"),
    ],
)
def test_an_account_that_outreach_would_not_take_is_refused_and_changes_nothing(
    sandbox: Sandbox, links: object, status: int, kind: str
) -> None:
    assert tie(sandbox, links, status) == kind
    assert sandbox.prospects()[1] == {}


def test_sparse_fields_leave_out_the_relationships_that_they_do_not_name(sandbox: Sandbox) -> None:
    tie(sandbox, to(ACME))

    def listed(names: str) -> tuple[object, object]:
        asked = {"filter[id]": "1", "fields[prospect]": names}
        (data,) = ask(sandbox, "GET", PATH, query=asked).json["data"]
        return data["attributes"], data["relationships"]

    assert listed("custom4") == ({"custom4": "x"}, {})
    assert listed("custom4,account") == ({"custom4": "x"}, to(ACME))


def test_nobody_is_tied_to_an_account_that_is_deleted(sandbox: Sandbox) -> None:
    tie(sandbox, to(ACME))
    assert ask(sandbox, "DELETE", "/api/v2/accounts/7").status == 204
    shown = ask(sandbox, "GET", f"{PATH}/1").json["data"]
    assert shown["relationships"]["account"] == {"data": None}


def test_a_tie_outlives_the_sandbox_in_its_file(tmp_path: Path) -> None:
    options = SandboxOptions(prospects=1, data=tmp_path / "data.jsonl")
    with running_sandbox(options) as sandbox:
        sandbox.seed({7: {"name": "Acme"}}, "account")
        tie(sandbox, to(ACME))
    with running_sandbox(options) as sandbox:
        assert sandbox.prospects()[1] == {"custom4": "x", "account": 7}
