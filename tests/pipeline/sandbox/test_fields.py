from __future__ import annotations

import pytest

from pipeline.sandbox import SandboxOptions, running_sandbox
from pipeline.sandbox.custom_fields import CustomField, every_field, parse_field, types_document
from pipeline.sandbox.fields import ACCOUNT_FIELDS, FIELDS, FILTERABLE
from tests.support.servers.sandbox_client import ask, patch

pytestmark = pytest.mark.real

INTENT = "custom4:label=Enterprise, by intent,type=picklist,values=realized|existing|exited"


def test_a_field_is_set_up_from_one_line() -> None:
    assert parse_field(INTENT) == CustomField(
        "prospect",
        "custom4",
        "Enterprise, by intent",
        "inclusion",
        ("realized", "existing", "exited"),
    )
    assert parse_field("account.custom9:type=number,required=true") == CustomField(
        "account", "custom9", "Custom Field 9", "numerical", required=True
    )
    assert parse_field("custom1:max_length=40").max_length == 40


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("custom151:label=x", "custom151"),
        ("firstName:label=x", "firstName"),
        ("opportunity.custom1:label=x", "opportunity"),
        ("custom1:type=colour", "colour"),
        ("custom1:type=picklist", "values"),
        ("custom1:lable=x", "lable"),
        ("custom1:max_length=many", "many"),
    ],
)
def test_a_field_that_cannot_be_is_refused_by_what_is_wrong(spec: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_field(spec)


def test_types_are_published_in_the_shape_that_outreach_documents() -> None:
    document = types_document(
        every_field([parse_field(INTENT), parse_field("custom5:max_length=9")])
    )
    prospect, account = document["data"]  # type: ignore[misc]
    assert (prospect["type"], account["type"]) == ("prospect", "account")
    validations = prospect["meta"]["validations"]
    assert len(validations) == 150
    assert validations["custom4"] == {
        "type": "inclusion",
        "required": False,
        "label": "Enterprise, by intent",
        "definition": ("realized", "existing", "exited"),
    }
    assert validations["custom5"]["maxLength"] == 9
    assert validations["custom6"] == {
        "type": "string",
        "required": False,
        "label": "Custom Field 6",
        "definition": None,
    }


@pytest.mark.parametrize(
    ("setting", "fitting", "unfitting"),
    [
        ("type=boolean", [True, "false"], [1, 0, "yes", "", []]),
        ("type=date", ["2026-02-28"], ["2026-02-30", "28.2.2026", "2026-02-28T00:00:00Z", 5]),
        ("type=date_time", ["2026-02-28T01:02:03Z"], ["2026-02-28", "2026-02-28T25:00:00"]),
        ("type=number", [5, -1.5, "7", "0.5"], ["five", True, "1e3", ""]),
        ("type=currency", [5, "19.90"], ["5 EUR"]),
        ("type=picklist,values=a|b", ["a"], ["c", "A", "", ["a"]]),
        ("type=multi_inclusion,values=a|b", ["a", ["a", "b"]], [["a", "c"], "c"]),
        ("type=url", ["https://example.com/x"], ["example.com"]),
        ("type=phone_number", ["+1 (206) 555-0100"], ["call me"]),
        ("max_length=3", ["abc"], ["abcd", 5]),
        ("required=true", ["x"], [None]),
    ],
)
def test_a_typed_field_takes_what_fits_and_nothing_else(
    setting: str, fitting: list[object], unfitting: list[object]
) -> None:
    field = parse_field(f"custom4:{setting}")
    assert [value for value in fitting if field.refused(value)] == []
    assert [value for value in unfitting if not field.refused(value)] == []


def test_a_value_outside_the_picklist_is_refused_by_pointer_and_the_rest_waits() -> None:
    with running_sandbox(SandboxOptions(prospects=1, fields=(parse_field(INTENT),))) as sandbox:
        refused = patch(sandbox, 1, custom4="maybe", custom5="fine")
        assert (refused.status, refused.error["id"]) == (422, "validationError")
        assert refused.error["source"] == {"pointer": "/data/attributes/custom4"}
        assert sandbox.prospects()[1] == {}
        assert patch(sandbox, 1, custom4="exited").status == 200


def test_a_value_too_long_for_its_field_has_an_error_of_its_own() -> None:
    fields = (parse_field("custom4:max_length=5"),)
    with running_sandbox(SandboxOptions(prospects=1, fields=fields)) as sandbox:
        refused = patch(sandbox, 1, custom4="realized")
        assert (refused.status, refused.error["id"]) == (422, "validationDataTooLongError")


def test_vague_errors_point_at_the_document_only() -> None:
    with running_sandbox(SandboxOptions(prospects=1, vague_errors=True)) as sandbox:
        refused = patch(sandbox, 1, custom4=4)
        assert refused.error["source"] == {"pointer": "/data"}


def test_a_typed_value_is_answered_as_text() -> None:
    fields = (parse_field("custom4:type=boolean"), parse_field("custom5:type=number"))
    with running_sandbox(SandboxOptions(prospects=1, fields=fields)) as sandbox:
        attributes = patch(sandbox, 1, custom4=True, custom5=7).json["data"]["attributes"]
        assert (attributes["custom4"], attributes["custom5"]) == ("true", "7")


def test_labels_are_read_from_the_types_over_http() -> None:
    with running_sandbox(SandboxOptions(fields=(parse_field(INTENT),))) as sandbox:
        data = ask(sandbox, "GET", "/api/v2/types").json["data"]
        labels = {each["type"]: each["meta"]["validations"]["custom4"]["label"] for each in data}
        assert labels == {"prospect": "Enterprise, by intent", "account": "Custom Field 4"}


def test_accounts_are_made_read_and_changed_like_prospects() -> None:
    with running_sandbox() as sandbox:
        new = {"data": {"type": "account", "attributes": {"name": "Acme", "domain": "acme.test"}}}
        made = ask(sandbox, "POST", "/api/v2/accounts", new)
        assert (made.status, made.json["data"]["id"]) == (201, 1)
        change = {"data": {"type": "account", "id": 1, "attributes": {"custom150": "gold"}}}
        assert ask(sandbox, "PATCH", "/api/v2/accounts/1", change).status == 200
        found = ask(sandbox, "GET", "/api/v2/accounts", query={"filter[name]": "Acme"})
        assert found.json["data"][0]["attributes"]["custom150"] == "gold"
        assert sandbox.accounts() == {
            1: {"name": "Acme", "domain": "acme.test", "custom150": "gold"}
        }


def test_an_account_without_a_name_is_refused() -> None:
    with running_sandbox() as sandbox:
        new = {"data": {"type": "account", "attributes": {"domain": "acme.test"}}}
        refused = ask(sandbox, "POST", "/api/v2/accounts", new)
        assert refused.error["source"] == {"pointer": "/data/attributes/name"}


def test_an_email_that_another_prospect_has_is_a_duplicate() -> None:
    with running_sandbox() as sandbox:
        sandbox.seed({1: {"emails": ["ada@example.com"]}, 2: {}})
        refused = patch(sandbox, 2, emails=["Ada@example.com"])
        assert (refused.status, refused.error["id"]) == (422, "validationDuplicateValueError")
        assert patch(sandbox, 1, emails=["ada@example.com"]).status == 200
        assert patch(sandbox, 1, emails=["byron@example.com"]).status == 200
        assert patch(sandbox, 2, emails=["ada@example.com"]).status == 200


def test_a_deleted_prospect_is_gone() -> None:
    with running_sandbox(SandboxOptions(prospects=2)) as sandbox:
        assert ask(sandbox, "DELETE", "/api/v2/prospects/1").status == 204
        assert patch(sandbox, 1, custom1="x").status == 404
        assert list(sandbox.prospects()) == [2]


def test_what_can_be_filtered_on_is_an_attribute_and_never_a_custom_field() -> None:
    for kind, names in FILTERABLE.items():
        assert names <= FIELDS[kind].keys()
        assert not [name for name in names if name.startswith("custom")]
    assert len(ACCOUNT_FIELDS) == 150 + 25
