"""What people do to prospects in Outreach itself, and how a list tells it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from tests.support.servers.sandbox_client import Clock, ask, patch

pytestmark = pytest.mark.real

LIST = "/api/v2/prospects"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sandbox(clock: Clock) -> Iterator[Sandbox]:
    with running_sandbox(SandboxOptions(), clock) as running:
        running.seed({1: {"emails": ["Ann@Example.com"]}, 2: {"emails": ["bob@example.com"]}})
        running.seed(range(3, 10))
        yield running


def _ids(sandbox: Sandbox, **query: object) -> list[int]:
    found = ask(sandbox, "GET", LIST, query={key.replace("__", "."): v for key, v in query.items()})
    assert found.status == 200, found.body
    return [each["id"] for each in found.json["data"]]


def _filtered(sandbox: Sandbox, name: str, value: str) -> list[int]:
    return _ids(sandbox, **{f"filter[{name}]": value})


def test_many_addresses_are_looked_up_at_once_whatever_their_capitals(sandbox: Sandbox) -> None:
    assert _filtered(sandbox, "emails", "ann@example.com,BOB@example.com,x@example.com") == [1, 2]


def test_a_range_of_updated_at_has_both_its_ends_in_it_to_the_second(
    sandbox: Sandbox, clock: Clock
) -> None:
    clock.now += 10.9
    patch(sandbox, 4, custom4="realized")
    clock.now += 10
    patch(sandbox, 5, custom4="realized")
    at = ask(sandbox, "GET", f"{LIST}/4").json["data"]["attributes"]["updatedAt"]
    assert _filtered(sandbox, "updatedAt", f"{at}..{at}") == [4]
    assert _filtered(sandbox, "updatedAt", f"{at}..inf") == [4, 5]
    assert _filtered(sandbox, "updatedAt", f"neginf..{at}") == [1, 2, 3, 4, 6, 7, 8, 9]


@pytest.mark.parametrize("value", ["yesterday..inf", "2026-01-02T00:00:00Z", "a,b"])
def test_what_is_no_range_of_instants_is_400(sandbox: Sandbox, value: str) -> None:
    assert ask(sandbox, "GET", LIST, query={"filter[updatedAt]": value}).status == 400


def test_a_prospect_that_changes_while_pages_are_read_is_on_one_page(sandbox: Sandbox) -> None:
    first = ask(sandbox, "GET", LIST, query={"page[size]": 4})
    patch(sandbox, 2, custom4="realized")
    sandbox.delete(4)
    rest = ask(sandbox, "GET", first.json["links"]["next"].removeprefix(sandbox.url))
    assert [each["id"] for each in rest.json["data"]] == [5, 6, 7, 8]


def test_a_merged_prospect_is_gone_and_the_other_has_its_addresses(sandbox: Sandbox) -> None:
    sandbox.seed({1: {"custom4": "realized"}})
    sandbox.merge(1, into=2)
    assert ask(sandbox, "GET", f"{LIST}/1").status == 404
    assert sandbox.prospects()[2] == {
        "emails": ["bob@example.com", "Ann@Example.com"],
        "custom4": "realized",
    }
    assert _filtered(sandbox, "emails", "ann@example.com") == [2]


def test_a_deleted_prospect_comes_back_from_the_bin_as_it_was(sandbox: Sandbox) -> None:
    sandbox.delete(2)
    assert ask(sandbox, "GET", f"{LIST}/2").status == 404
    assert sandbox.restore(2)
    assert not sandbox.restore(2)
    assert _filtered(sandbox, "emails", "bob@example.com") == [2]


@pytest.mark.parametrize(
    ("order", "status"),
    [
        ({"id": 7, "action": "set", "attributes": {"emails": ["x@example.com"]}}, 200),
        ({"id": 77, "action": "set", "attributes": {"title": "new"}}, 200),
        ({"id": 7, "action": "set", "attributes": {"shoeSize": 44}}, 400),
        ({"id": 7, "action": "delete"}, 200),
        ({"id": 70, "action": "delete"}, 400),
        ({"id": 7, "action": "restore"}, 400),
        ({"id": 7, "action": "merge", "into": 7}, 400),
        ({"id": 7, "action": "merge", "into": 70}, 400),
        ({"id": 7, "action": "merge", "into": 8}, 200),
        ({"id": 7, "action": "rename"}, 400),
    ],
)
def test_people_are_played_over_http(
    sandbox: Sandbox, order: dict[str, object], status: int
) -> None:
    answer = ask(
        sandbox, "POST", "/sandbox/prospects", order, content_type="application/json", token=None
    )
    assert answer.status == status, answer.body
