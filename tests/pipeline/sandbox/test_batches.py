"""Bulk actions of the sandbox: two-phase, later, and terrible without ids."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from pipeline.sandbox.faults import FaultSettings
from tests.support.servers.sandbox_client import Clock, Reply, ask, patch

pytestmark = pytest.mark.real

BULK = "/api/v2/batches/actions/prospectsBulkModify"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sandbox(clock: Clock) -> Iterator[Sandbox]:
    with running_sandbox(SandboxOptions(prospects=100, forbidden=frozenset({13})), clock) as one:
        yield one


def create(sandbox: Sandbox, *ids: int, value: object = "realized", **query: object) -> Reply:
    body = {"data": {"attributes": {"custom4": value, "ids": list(ids)}}, "type": "string"}
    return ask(sandbox, "POST", BULK, body, query=query or None)


def batch(sandbox: Sandbox, number: int = 1) -> dict[str, Any]:
    return ask(sandbox, "GET", f"/api/v2/batches/{number}").json["data"]["attributes"]


def act(sandbox: Sandbox, action: str, number: int = 1, count: int | None = None) -> Reply:
    query = {} if count is None else {"actionParams[confirmedCount]": count}
    return ask(sandbox, "POST", f"/api/v2/batches/{number}/actions/{action}", query=query or None)


def written(sandbox: Sandbox) -> list[int]:
    return [each for each, held in sandbox.prospects().items() if held.get("custom4")]


def test_a_batch_waits_to_be_confirmed_and_is_carried_out_some_seconds_later(
    sandbox: Sandbox, clock: Clock
) -> None:
    assert create(sandbox, 1, 2, 3, 999).json["data"]["attributes"]["state"] == "pending"
    assert act(sandbox, "confirm", count=3).status == 422
    clock.now += 1
    assert (batch(sandbox)["state"], batch(sandbox)["confirmCount"]) == ("confirming", 3)
    clock.now += 3_600
    assert (batch(sandbox)["state"], written(sandbox)) == ("confirming", [])
    assert act(sandbox, "confirm", count=2).status == 422
    assert act(sandbox, "confirm", count=3).status == 200
    clock.now += 4.9
    assert (batch(sandbox)["state"], written(sandbox)) == ("running", [])
    clock.now += 0.2
    assert (batch(sandbox)["state"], written(sandbox)) == ("finished", [1, 2, 3])
    assert sandbox.violations() == []


def test_a_batch_without_ids_is_for_everybody_and_a_violation(
    sandbox: Sandbox, clock: Clock
) -> None:
    create(sandbox, **{"actionParams[skipConfirmation]": "true"})
    clock.now += 1
    batch(sandbox)
    clock.now += 6
    batch(sandbox)
    assert len(written(sandbox)) == 99
    assert [each.kind for each in sandbox.violations()] == ["everybody"]


def test_whoever_cannot_be_changed_is_a_failed_item_that_does_not_say_who(
    sandbox: Sandbox, clock: Clock
) -> None:
    create(sandbox, 12, 13)
    clock.now += 1
    act(sandbox, "confirm", count=2)
    clock.now += 6
    assert batch(sandbox)["failures"] == 1
    query = {"filter[batchId]": 1, "filter[failed]": "true"}
    (item,) = ask(sandbox, "GET", "/api/v2/batchItems", query=query).json["data"]
    assert "13" not in str(item["attributes"])
    assert written(sandbox) == [12]


@pytest.mark.parametrize("when", [0.0, 1.0, 3.5])
def test_a_cancelled_batch_leaves_what_is_done(sandbox: Sandbox, clock: Clock, when: float) -> None:
    create(sandbox, *range(20, 40))
    clock.now += 1
    batch(sandbox)
    if when:
        act(sandbox, "confirm", count=20)
        clock.now += when
    assert act(sandbox, "cancel").status == 200
    clock.now += 100
    assert batch(sandbox)["state"] == "canceled"
    assert len(written(sandbox)) == int(20 * when / 5)
    assert act(sandbox, "cancel").status == 422


@pytest.mark.parametrize(
    ("fault", "state", "count"),
    [
        ("batch_hangs", "running", 0),
        ("batch_fails", "failed", 10),
        ("batch_skips", "finished", 18),
    ],
)
def test_a_batch_goes_wrong_on_request(clock: Clock, fault: str, state: str, count: int) -> None:
    options = SandboxOptions(prospects=50, faults=FaultSettings(**{fault: 1}))
    with running_sandbox(options, clock) as sandbox:
        create(sandbox, *range(1, 21))
        clock.now += 1
        act(sandbox, "confirm", count=20)
        clock.now += 1_000
        assert (batch(sandbox)["state"], len(written(sandbox))) == (state, count)


def test_a_batch_may_claim_more_than_was_named(clock: Clock) -> None:
    options = SandboxOptions(prospects=50, faults=FaultSettings(batch_miscounts=1))
    with running_sandbox(options, clock) as sandbox:
        create(sandbox, 1, 2)
        clock.now += 1
        assert batch(sandbox)["confirmCount"] == 5


def test_a_day_takes_so_many_items(clock: Clock) -> None:
    with running_sandbox(SandboxOptions(prospects=50, batch_items_per_day=30), clock) as sandbox:
        create(sandbox, *range(1, 21))
        clock.now += 1
        act(sandbox, "confirm", count=20)
        refused = create(sandbox, *range(21, 41))
        assert (refused.status, refused.error["id"]) == (422, "batchLimitExceeded")
        clock.now += 86_401
        assert create(sandbox, *range(21, 41)).status == 200


def test_a_write_beside_a_batch_of_the_same_field_is_a_violation(
    sandbox: Sandbox, clock: Clock
) -> None:
    create(sandbox, 1, 2)
    clock.now += 1
    act(sandbox, "confirm", count=2)
    patch(sandbox, 1, custom5="x")
    patch(sandbox, 3, custom4="x")
    assert sandbox.violations() == []
    patch(sandbox, 2, custom4="x")
    assert [each.kind for each in sandbox.violations()] == ["batch_overlap"]


@pytest.mark.parametrize(
    ("scopes", "missing"),
    [
        (("prospects.write", "batches.read"), "batches.write"),
        (("batches.write", "batches.read"), "prospects.write"),
    ],
)
def test_bulk_needs_scopes_of_its_own(scopes: tuple[str, ...], missing: str) -> None:
    with running_sandbox(SandboxOptions(prospects=5, scopes=scopes)) as sandbox:
        refused = create(sandbox, 1)
        assert refused.status == 403
        assert missing in refused.error["detail"]


def test_a_value_that_a_field_cannot_hold_is_refused_when_the_batch_is_made(
    sandbox: Sandbox,
) -> None:
    assert create(sandbox, 1, value=7).status == 422
