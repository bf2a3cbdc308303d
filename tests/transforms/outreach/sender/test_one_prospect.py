"""What is wrong with one prospect or one of its values costs nothing else."""

from __future__ import annotations

from collections import Counter

import pytest

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from tests.support.data.changes import change, patch, patches
from tests.support.in_process.delivering import (
    OK,
    SHORT,
    Sent,
    Table,
    deliver,
    deliver_to,
    error,
    statuses,
    values,
)
from transforms.elements import Outcome, Patch

pytestmark = pytest.mark.real


def only(sent: Sent) -> Outcome:
    (outcome,) = sent.outcomes
    return outcome


def test_each_patch_is_delivered_once_and_the_receipt_says_by_whom(sandbox: Sandbox) -> None:
    sent = deliver(sandbox.url, patches(range(1, 41)))

    assert sent.tally == {"delivered": 40}
    assert {(one.http_status, one.user, one.reason) for one in sent.outcomes} == {
        (200, "ops", None)
    }
    assert statuses(sandbox) == [200] * 40
    assert values(sandbox) == dict.fromkeys(range(1, 41), "realized")


def test_what_comes_twice_for_a_prospect_is_merged_and_sent_once(sandbox: Sandbox) -> None:
    twice = [Patch(1, "ops", [change(1, value=value, time=at)]) for at, value in enumerate("ab")]

    sent = deliver(sandbox.url, twice)

    assert sent.tally == {"superseded": 1, "delivered": 1}
    assert sandbox.prospects()[1] == {"custom4": "b"}
    assert statuses(sandbox) == [200]


def test_a_prospect_that_is_not_there_is_rejected_and_the_others_are_not(sandbox: Sandbox) -> None:
    sent = deliver(sandbox.url, [patch(99, custom4="a", custom5="b"), patch(1)])

    assert sent.tally == {"rejected": 2, "delivered": 1}
    (rejected,) = sent.of("rejected")
    assert (rejected.reason, rejected.http_status, rejected.user) == ("not_found", 404, "ops")
    assert "99" in (rejected.detail or "")


def test_a_prospect_that_governance_keeps_away_is_rejected() -> None:
    with running_sandbox(SandboxOptions(prospects=2, forbidden=frozenset({1}))) as sandbox:
        sent = deliver(sandbox.url, patches([1, 2]))

        assert sent.tally == {"rejected": 1, "delivered": 1}
        (rejected,) = sent.of("rejected")
        assert (rejected.reason, rejected.http_status) == ("forbidden", 403)


def test_a_malformed_patch_is_rejected_and_not_repeated(sandbox: Sandbox) -> None:
    sent = deliver(sandbox.url, [patch(1, nonsense="x")])

    assert (only(sent).reason, only(sent).http_status) == ("bad_request", 400)
    assert statuses(sandbox) == [400]


def test_a_value_that_is_refused_by_name_is_dropped_and_the_rest_sent() -> None:
    with running_sandbox(SandboxOptions(prospects=1, fields=(SHORT,))) as sandbox:
        sent = deliver(sandbox.url, [patch(1, custom4="a", custom5="too long", custom6="c")])

        assert sent.tally == {"rejected": 1, "delivered": 2}
        (rejected,) = sent.of("rejected")
        assert [one.field for one in rejected.changes] == ["custom5"]
        assert (rejected.reason, rejected.http_status) == ("field_refused", 422)
        assert sandbox.prospects()[1] == {"custom4": "a", "custom6": "c"}
        assert statuses(sandbox) == [422, 200]


def test_a_value_that_is_refused_without_a_name_is_looked_for_and_the_rest_sent() -> None:
    options = SandboxOptions(prospects=1, fields=(SHORT,), vague_errors=True)
    with running_sandbox(options) as sandbox:
        fields = {f"custom{number}": f"{number}" for number in range(1, 9)}

        sent = deliver(sandbox.url, [patch(1, **fields | {"custom5": "too long"})])

        assert sent.tally == {"rejected": 1, "delivered": 7}
        assert [one.field for one in sent.of("rejected")[0].changes] == ["custom5"]
        assert sandbox.prospects()[1] == {
            name: value for name, value in fields.items() if name != "custom5"
        }
        assert Counter(statuses(sandbox)) == {422: 4, 200: 3}
        assert sandbox.violations() == []


def test_a_prospect_refused_for_a_field_that_is_not_ours_is_rejected_at_once() -> None:
    refusal = error("validationError", "Emails is invalid.", "/data/attributes/emails")
    table = Table(lambda asked, _: (422, {}, refusal) if asked.prospect == 1 else OK)

    sent = deliver_to(table, [patch(1, custom4="a", custom5="b", custom6="c"), patch(2)])

    assert sent.tally == {"rejected": 3, "delivered": 1}
    assert Counter(each.prospect for each in table.asked) == {1: 1, 2: 1}


def test_a_refusal_that_names_a_field_of_ours_and_one_that_is_not_ends_all_the_same() -> None:
    refusals = {
        "errors": [
            {"id": "validationError", "source": {"pointer": f"/data/attributes/{name}"}}
            for name in ("custom4", "emails")
        ]
    }
    table = Table(lambda _, __: (422, {}, refusals))

    sent = deliver_to(table, [patch(1, custom4="a", custom5="b")])

    assert sent.tally == {"rejected": 2}
    assert [each.attributes for each in table.asked] == [
        {"custom4": "a", "custom5": "b"},
        {"custom5": "b"},
    ]
