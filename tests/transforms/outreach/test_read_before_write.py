"""Reading before writing: what it spares, and when it is not done."""

from __future__ import annotations

from collections import Counter

import pytest

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from pipeline.sandbox.faults import FaultSettings
from tests.support.data.changes import change, patch, patches
from tests.support.in_process.delivering import (
    OK,
    Answer,
    Asked,
    Table,
    Tokens,
    deliver,
    deliver_to,
    error,
    statuses,
    values,
)
from transforms.outreach import backoff
from transforms.outreach.delivery import Delivery
from transforms.outreach.read_before_write import (
    READ_LEAST,
    SELDOM,
    ReadBeforeWrite,
    split_unchanged,
)
from transforms.outreach.responses import Classification, Fate

pytestmark = pytest.mark.real

GOOD = Classification(Fate.ACCEPTED, status=200)


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "BACKOFF_FIRST_SECONDS", 0.01)
    monkeypatch.setattr(backoff, "BACKOFF_MOST_SECONDS", 0.05)


def holding(sandbox: Sandbox, count: int) -> None:
    sandbox.seed({prospect: {"custom4": "realized"} for prospect in range(1, count + 1)})


def test_what_is_so_already_costs_one_request_for_all() -> None:
    with running_sandbox() as sandbox:
        holding(sandbox, 150)

        sent = deliver(sandbox.url, patches(range(1, 151)))

        assert sent.tally == {"unchanged": 150}
        assert {(one.http_status, one.user) for one in sent.outcomes} == {(200, "ops")}
        assert len(sandbox.requests()) == sent.standing.requests == 1


def test_only_what_is_not_so_is_written_and_of_it_only_the_fields_that_differ() -> None:
    with running_sandbox() as sandbox:
        holding(sandbox, 150)
        sandbox.seed({7: {"custom4": "exited"}})
        given = patches(range(1, 151), custom4="realized", custom5=None)
        given[10] = patch(11, custom4="realized", custom5="new")

        sent = deliver(sandbox.url, given)

        assert sent.tally == {"unchanged": 298, "delivered": 2}
        written = [each for each in sandbox.requests() if each.method == "PATCH"]
        assert sorted(each.body for each in written) == [
            b'{"data":{"type":"prospect","id":11,"attributes":{"custom5":"new"}}}',
            b'{"data":{"type":"prospect","id":7,"attributes":{"custom4":"realized"}}}',
        ]


def test_prospects_are_read_in_chunks_as_large_as_one_request_takes() -> None:
    with running_sandbox() as sandbox:
        holding(sandbox, 350)

        sent = deliver(sandbox.url, patches(range(1, 351)), most_ids=120)

        assert sent.tally == {"unchanged": 350}
        assert statuses(sandbox, "GET") == [200] * 3
        assert statuses(sandbox) == []


def test_a_few_prospects_are_written_unread() -> None:
    with running_sandbox() as sandbox:
        holding(sandbox, READ_LEAST - 1)

        sent = deliver(sandbox.url, patches(range(1, READ_LEAST)))

        assert sent.tally == {"delivered": READ_LEAST - 1}
        assert statuses(sandbox, "GET") == []


def test_what_is_left_over_after_the_chunks_is_written_unread() -> None:
    with running_sandbox() as sandbox:
        holding(sandbox, 170)

        sent = deliver(sandbox.url, patches(range(1, 171)), most_ids=120)

        assert sent.tally == {"unchanged": 120, "delivered": 50}
        assert len(sandbox.requests()) == 51


def test_a_prospect_that_is_not_there_is_found_out_by_writing() -> None:
    with running_sandbox() as sandbox:
        holding(sandbox, 120)

        sent = deliver(sandbox.url, patches(range(1, 122)))

        assert sent.tally == {"unchanged": 120, "rejected": 1}
        assert statuses(sandbox) == [404]


def test_a_token_that_may_only_write_writes_all_and_asks_to_read_once() -> None:
    options = SandboxOptions(prospects=250, tokens={"good": "ops"}, scopes=("prospects.write",))
    with running_sandbox(options) as sandbox:
        sent = deliver(sandbox.url, patches(range(1, 251)), most_ids=120)

        assert sent.tally == {"delivered": 250}
        assert sent.sender.paused is None
        assert statuses(sandbox, "GET") == [403]


def test_a_reading_that_met_the_users_trouble_is_done_again() -> None:
    with running_sandbox(SandboxOptions(tokens={"good": "ops"})) as sandbox:
        holding(sandbox, 150)

        sent = deliver(sandbox.url, patches(range(1, 151)), credential=Tokens(["old", "good"]))

        assert sent.tally == {"unchanged": 150}
        assert statuses(sandbox, "GET") == [401, 200]
        assert statuses(sandbox) == []


def test_a_reading_that_met_trouble_is_not_insisted_on() -> None:
    def answers(asked: Asked, _: int) -> Answer:
        return OK if asked.prospect else (500, {}, "too many for me")

    table = Table(answers)

    sent = deliver_to(table, patches(range(1, 401)), most_ids=100, delivery=Delivery(in_flight=1))

    assert sent.tally == {"delivered": 400}
    assert Counter(bool(each.prospect) for each in table.asked) == {True: 400, False: 2}


@pytest.mark.parametrize(
    "body",
    ["<html>please sign in</html>", '{"data": [{"id"', "[]", '{"data": {"type": "prospect"}}'],
)
def test_a_read_that_is_answered_with_no_list_pauses_the_user_and_keeps_the_work(body: str) -> None:
    table = Table(lambda _, __: (200, {}, body))

    sent = deliver_to(table, patches(range(1, 121)))

    assert sent.tally == {}
    assert len(table.asked) == 1
    assert sent.sender.paused is not None


@pytest.mark.parametrize("status", [400, 404, 422])
def test_lists_that_are_refused_are_not_asked_for_again(status: int) -> None:
    table = Table(lambda asked, _: OK if asked.prospect else (status, {}, error("no")))

    sent = deliver_to(table, patches(range(1, 301)), most_ids=100)

    assert sent.tally == {"delivered": 300}
    assert sum(not each.prospect for each in table.asked) == 1


def test_reading_amid_trouble_loses_nothing() -> None:
    faults = FaultSettings(error_500=0.3, reset_after=0.2)
    with running_sandbox(SandboxOptions(faults=faults, seed=5)) as sandbox:
        holding(sandbox, 300)
        given = patches(range(1, 301), custom4="realized", custom5="x")

        sent = deliver(sandbox.url, given, most_ids=100)

        assert sum(sent.tally.values()) == 600
        assert sent.tally.keys() <= {"delivered", "unchanged"}
        assert values(sandbox, "custom5") == dict.fromkeys(range(1, 301), "x")
        assert sandbox.violations() == []


def test_readings_that_spare_nothing_become_rare_but_do_not_cease() -> None:
    reading = ReadBeforeWrite()
    asked = []
    for _ in range(3 * SELDOM):
        worth_it = reading.is_worth_it(READ_LEAST)
        asked.append(worth_it)
        if worth_it:
            reading.learn(GOOD, 0)

    assert asked[:3] == [True, True, False]
    assert sum(asked) == 4

    while not reading.is_worth_it(READ_LEAST):
        pass
    reading.learn(GOOD, 1)
    assert all(reading.is_worth_it(READ_LEAST) for _ in range(5))


@pytest.mark.parametrize(
    ("held", "wanted", "same"),
    [
        ("realized", "realized", True),
        ("Realized", "realized", False),
        (None, None, True),
        ("", None, False),
        (True, True, True),
        (True, 1, False),
        (1, True, False),
        (5, 5, True),
        ("5", 5, False),
        ([1, {"a": 1, "b": 2}], [1, {"b": 2, "a": 1}], True),
        ([True], [1], False),
    ],
)
def test_a_value_is_the_same_where_its_json_is(held: object, wanted: object, same: bool) -> None:
    one = change(value=wanted)

    due, unchanged = split_unchanged([one], {"custom4": held})

    assert (due, unchanged) == (([], [one]) if same else ([one], []))


def test_a_field_that_was_not_answered_is_due() -> None:
    one = change(value=None)

    assert split_unchanged([one], {"custom5": None}) == ([one], [])
