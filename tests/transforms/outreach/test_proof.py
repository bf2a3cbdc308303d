"""A 2xx counts as delivered only where the answer is the prospect and holds what was sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.sandbox.faults import FaultSettings
from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import running_sandbox
from tests.support.data.changes import patch, patches
from tests.support.in_process.delivering import Table, deliver, deliver_to, error
from transforms.outreach.normalisation import is_same_value

pytestmark = pytest.mark.real


def prospect(outreach_id: object = 1, kind: str = "prospect", **attributes: Any) -> dict[str, Any]:
    return {"data": {"type": kind, "id": outreach_id, "attributes": attributes}}


@pytest.mark.parametrize(
    "body",
    [
        "<!DOCTYPE html><title>Sign in</title>",
        json.dumps(prospect(custom4="realized"))[:40],
        "",
        "[]",
        "null",
        "{}",
        '{"data": null}',
        json.dumps(prospect(kind="account")),
    ],
)
def test_a_200_that_is_not_the_document_asked_for_pauses_the_user_and_keeps_the_work(
    body: str,
) -> None:
    sent = deliver_to(Table(lambda _, __: (200, {}, body)), [patch(1)])

    assert sent.tally == {}
    assert sent.sender.paused is not None
    assert "200 with" in str(sent.sender.paused)


@pytest.mark.parametrize("status", [202, 204])
def test_where_there_is_nothing_to_read_the_status_counts_and_is_in_the_receipt(
    status: int,
) -> None:
    sent = deliver_to(Table(lambda _, __: (status, {}, "")), [patch(1)])

    assert [(one.outcome, one.http_status) for one in sent.outcomes] == [("delivered", status)]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (error("validationError", pointer="/data/attributes/custom4"), "field_refused"),
        (error("resourceNotFound"), "not_found"),
        (error("somethingElse"), "bad_request"),
        ({"errors": [{"status": "403", "title": "No"}]}, "forbidden"),
        ({"errors": "none"}, "bad_request"),
    ],
)
def test_an_error_in_a_200_is_what_it_says(document: object, reason: str) -> None:
    sent = deliver_to(Table(lambda _, __: (200, {}, document)), [patch(1)])

    assert [(one.outcome, one.reason) for one in sent.outcomes] == [("rejected", reason)]


def test_a_field_that_holds_something_else_is_rejected_and_the_others_are_delivered() -> None:
    held = prospect("1", custom4="reali", custom5="b")
    sent = deliver_to(
        Table(lambda _, __: (200, {}, held)), [patch(1, custom4="realized", custom5="b")]
    )

    (rejected,) = sent.of("rejected")
    assert [change.field for change in rejected.changes] == ["custom4"]
    assert (rejected.reason, rejected.http_status) == ("not_kept", 200)
    assert "custom4 holds 'reali'" in (rejected.detail or "")
    assert [change.field for one in sent.of("delivered") for change in one.changes] == ["custom5"]


def test_the_answer_of_another_prospect_proves_nothing() -> None:
    sent = deliver_to(Table(lambda _, __: (200, {}, prospect(2, custom4="realized"))), [patch(1)])

    assert [(one.outcome, one.reason) for one in sent.outcomes] == [("rejected", "not_kept")]


def test_what_the_answer_does_not_show_is_no_difference() -> None:
    sent = deliver_to(Table(lambda _, __: (200, {}, prospect(firstName="Ann"))), [patch(1)])

    assert sent.tally == {"delivered": 1}


@pytest.mark.parametrize(
    ("fault", "outcome"), [("field_dropped", "rejected"), ("value_cut", "rejected")]
)
def test_the_sandbox_loses_a_value_and_it_is_not_called_delivered(fault: str, outcome: str) -> None:
    faults = FaultSettings.model_validate({fault: 1})
    with running_sandbox(SandboxOptions(prospects=10, faults=faults)) as sandbox:
        sent = deliver(sandbox.url, patches(range(1, 6)))

    assert sent.tally == {outcome: 5}
    assert {one.reason for one in sent.outcomes} == {"not_kept"}


def test_the_sandbox_answers_with_a_login_page_and_the_user_is_paused() -> None:
    with running_sandbox(
        SandboxOptions(prospects=10, faults=FaultSettings(login_page=1))
    ) as sandbox:
        sent = deliver(sandbox.url, patches(range(1, 6)))

    assert sent.tally == {}
    assert "Sign in" in str(sent.sender.paused)


@pytest.mark.parametrize(
    ("field", "sent", "held"),
    [
        ("custom1", " a  b ", "a b"),
        ("custom1", None, ""),
        ("custom1", "", None),
        ("custom1", [], None),
        ("custom1", 5, "5"),
        ("custom1", "5.0", 5),
        ("custom1", "1234.5", "$1,234.50"),
        ("custom1", "True", True),
        ("custom1", "2026-01-02", "2026-01-02T00:00:00.000Z"),
        ("custom1", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000+00:00"),
        ("emails", ["Ann@Example.com"], ["ann@example.com"]),
        ("tags", ["b", "a"], ["a", "b"]),
        ("workPhones", "+1 (555) 010-0000", "+15550100000"),
        ("linkedInUrl", "https://www.linkedin.com/in/a/", "linkedin.com/in/a"),
    ],
)
def test_outreachs_own_way_of_writing_a_value_is_no_difference(
    field: str, sent: object, held: object
) -> None:
    assert is_same_value(field, sent, held)


@pytest.mark.parametrize(
    ("field", "sent", "held"),
    [
        ("custom1", "realized", "exited"),
        ("custom1", "realized", "real"),
        ("custom1", "realized", "Realized"),
        ("custom1", "realized", None),
        ("custom1", None, "realized"),
        ("custom1", "10", "1"),
        ("custom1", True, False),
        ("custom1", "2026-01-02", "2026-01-03T00:00:00Z"),
        ("tags", ["a", "b"], ["a"]),
        ("workPhones", "+1 555 010", "+1 555 01"),
        ("custom1", "a" * 300, "a" * 255),
    ],
)
def test_another_value_is_a_difference(field: str, sent: object, held: object) -> None:
    assert not is_same_value(field, sent, held)
