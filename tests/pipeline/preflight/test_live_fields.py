"""Whether the fields of the live org can hold what would be written."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from pipeline.destination.file import load_destination
from pipeline.preflight.field_types import FieldSetup, is_known, read_setups, unmet
from pipeline.sandbox import Sandbox
from tests.pipeline.preflight.validating import AUDIENCE, Validate, outreach, rows, user
from transforms.outreach.auth.token_response import allows, read_scopes

pytestmark = pytest.mark.real


@pytest.mark.parametrize(
    ("setup", "values", "refusal"),
    [
        (
            "type=picklist,values=In|Out",
            {},
            "(existing) and 'exited' (exited): it takes one of 'In', 'Out'; write what it takes",
        ),
        (
            "type=picklist,values=In|Out",
            {"realized": "In", "existing": "in", "exited": "Out"},
            "refuses 'in' (existing): it takes one of 'In', 'Out'; did you mean 'In'?",
        ),
        ("type=boolean", {}, "it takes true or false"),
        (
            "type=number",
            {"realized": "1", "existing": "1"},
            "refuses 'exited' (exited): it takes a",
        ),
        ("type=date", {}, "it takes a date such as 2026-01-31"),
        ("type=date_time", {}, "it takes a date and time"),
        ("type=url", {}, "it takes an address"),
        ("type=phone_number", {}, "it takes a telephone number"),
        (
            "type=text,max_length=7",
            {},
            "'realized' (realized) and 'existing' (existing): it takes at most 7 characters",
        ),
        (
            "type=text,required=true",
            {"exited": None},
            "refuses null (exited): it is required",
        ),
    ],
)
def test_a_field_that_cannot_hold_what_is_written_ends_with_2(
    validate: Validate, setup: str, values: dict[str, object], refusal: str
) -> None:
    with outreach(f"custom4:label=Enterprise intent,{setup}") as sandbox:
        validate.write(sandbox.url, [{**AUDIENCE, "values": values}])
        said = validate("--live")
    assert said.status == 2
    (error,) = said.texts("errors")
    assert error.startswith("audiences[0].values: custom4 (Enterprise intent) refuses ")
    assert refusal in error
    assert said.found["live"]["fields"][0]["fits"] is False
    assert f":{line_of(validate, 'values')}: audiences[0].values" in said.err


def line_of(validate: Validate, key: str) -> int:
    return load_destination(str(validate.path)).line("audiences", 0, key)


@pytest.mark.parametrize(
    ("setup", "values"),
    [
        ("type=boolean", {"realized": "true", "existing": "true", "exited": "false"}),
        ("type=number", {"realized": "1", "existing": "1.5", "exited": None}),
        ("type=date", {"realized": "2026-01-31", "existing": "2026-01-31", "exited": None}),
        ("type=multi_inclusion,values=realized|existing|exited", {}),
        ("type=text,max_length=8", {"exited": ""}),
    ],
)
def test_a_field_that_can_hold_what_is_written_is_fine(
    validate: Validate, setup: str, values: dict[str, object]
) -> None:
    with outreach(f"custom4:label=Enterprise intent,{setup}") as sandbox:
        validate.write(sandbox.url, [{**AUDIENCE, "values": values}])
        said = validate("--live")
    assert (said.status, said.found["errors"]) == (0, [])
    assert said.found["live"]["fields"][0]["fits"] is True


def test_a_field_that_outreach_does_not_have_ends_with_2(validate: Validate) -> None:
    with outreach() as sandbox:
        change_types(sandbox, lambda fields: [fields.pop(name) for name in ("custom4", "custom9")])
        validate.write(
            sandbox.url, attributes=[{"source": "a", "target": "custom9"}], identity=None
        )
        said = validate("--live")
    assert said.status == 2
    assert [text.partition(" is not among")[0] for text in said.texts("errors")] == [
        "audiences[0].mapping_id: custom4",
        "attributes[0].target: custom9",
    ]
    assert "custom4 Enterprise intent missing no" in rows(said)


def change_types(sandbox: Sandbox, change: Any) -> None:
    """Lets the sandbox answer something else about the prospect's fields than it has."""
    resources = sandbox._outreach.resources
    document = orjson.loads(resources._types)
    change(document["data"][0]["meta"]["validations"])
    resources._types = orjson.dumps(document)


def test_a_type_that_is_not_known_is_a_note(validate: Validate) -> None:
    with outreach() as sandbox:
        change_types(sandbox, lambda fields: fields["custom4"].update(type="hologram"))
        validate.write(sandbox.url)
        said = validate("--live")
        change_types(sandbox, lambda fields: fields.update(custom4=None))
        untold = validate("--live")
    assert (said.status, untold.status) == (0, 0)
    (note,) = said.texts("notes")
    assert "is of a type not known here (hologram)" in note
    assert "custom4 has no type" in untold.texts("notes")[0]
    assert said.found["live"]["fields"][0]["fits"] is None


def test_fields_that_are_not_told_are_a_note(validate: Validate) -> None:
    with outreach() as sandbox:
        validate.write(sandbox.url)
        sandbox._outreach.resources._types = b'{"data": []}'
        said = validate("--live")
    assert (said.status, said.found["live"]["fields"]) == (0, [])
    (note,) = said.texts("notes")
    assert "does not tell how its custom fields are set up, so they were not looked at" in note


@pytest.mark.parametrize(
    ("label", "doubt"),
    [
        ("Churn risk", "custom4 is labelled 'Churn risk' in Outreach, and this audience"),
        ("Webinar guests", "is the audience of custom5 here; are the two mixed up?"),
        ("Custom Field 4", "custom4 has no label in Outreach; call it 'Enterprise intent' there"),
    ],
)
def test_a_label_that_differs_from_the_audiences_name_is_a_warning(
    validate: Validate, label: str, doubt: str
) -> None:
    other = {"segment": "aaaa-2222", "name": "Webinar guests", "mapping_id": 5}
    with outreach(f"custom4:label={label}", "custom5:label=webinar  GUESTS!") as sandbox:
        validate.write(sandbox.url, [AUDIENCE, other])
        said = validate("--live")
    assert said.status == 0
    (warning,) = said.texts("warnings")
    assert warning.startswith("audiences[0].name: custom4 ")
    assert doubt in warning


def test_an_audience_without_a_name_is_not_compared_with_a_label(validate: Validate) -> None:
    with outreach("custom4:label=Anything") as sandbox:
        validate.write(sandbox.url, [{"segment": "aaaa-1111", "mapping_id": 4}])
        said = validate("--live")
    assert (said.status, said.found["warnings"]) == (0, [])


def test_users_who_see_other_fields_may_be_of_two_organisations(validate: Validate) -> None:
    with outreach() as sandbox:
        validate.write(sandbox.url, users=[user("ops"), user("ann")])
        answer = sandbox._outreach.resources.answer

        def answer_differently(*arguments: Any) -> Any:
            change_types(sandbox, lambda fields: fields["custom4"].update(type="inclusion"))
            if arguments[1].user == "ann":
                change_types(sandbox, lambda fields: fields["custom4"].update(type="string"))
            return answer(*arguments)

        sandbox._outreach.resources.answer = answer_differently
        said = validate("--live")
    assert said.status == 0
    assert said.texts("warnings") == [
        "users[1]: sees other custom fields than 'ops'; are both of one Outreach organisation?"
    ]


def test_what_an_answer_leaves_out_is_taken_in_the_fields_favour() -> None:
    assert read_setups(b"[]") is None
    assert read_setups(b"{") is None
    body = {
        "data": [
            {"type": "Account"},
            {"type": "Prospect", "meta": {"validations": {"custom1": {"type": "inclusion"}}}},
        ]
    }
    setups = read_setups(orjson.dumps(body))
    assert setups == {"custom1": FieldSetup("custom1", type="inclusion")}
    assert unmet(setups["custom1"], "anything") is None
    assert not is_known(setups["custom1"])


def test_a_scope_of_all_is_each_of_its_kind_and_of_no_other() -> None:
    granted = read_scopes(b'{"scope": "prospects.all users.read"}')
    assert granted is not None
    assert allows(granted, "prospects.write")
    assert allows(granted, "users.read")
    assert not allows(granted, "users.write")
    assert read_scopes(b'{"scope": ""}') is None
    assert read_scopes(b"[1]") is None
