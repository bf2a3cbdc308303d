"""An account is named by its domain in changes, and by its id at Outreach."""

from __future__ import annotations

import json
from typing import Any

import pytest

from transforms.elements import Change
from transforms.outreach.client import Reply
from transforms.outreach.proof import NOT_KEPT, classify_write
from transforms.outreach.responses import Fate
from transforms.relations import (
    attributes_of,
    domains_in,
    fit_domain,
    held_by,
    is_freemail,
    relationships_of,
)

ACCOUNTS = {"acme.com": 7}


def change(field: str, value: object) -> Change:
    return Change("c", 1, "ops", field, json.dumps(value), None, None, "site", None, 1)


def tied(account: object, **attributes: Any) -> dict[str, Any]:
    return {
        "type": "prospect",
        "id": 1,
        "attributes": attributes,
        "relationships": {"account": {"data": account}},
    }


@pytest.mark.parametrize(
    ("given", "domain"),
    [
        ("https://www.Acme.com/about", "acme.com"),
        (" acme.com. ", "acme.com"),
        ("", None),
        ("  ", None),
        (None, None),
    ],
)
def test_a_domain_is_taken_as_accounts_are_compared_by_it(
    given: object, domain: str | None
) -> None:
    assert fit_domain(given) == domain


@pytest.mark.parametrize("given", ["Acme Inc.", "ann@acme.com", "localhost", 7, ["acme.com"], {}])
def test_what_is_no_domain_is_refused_with_what_is_wanted(given: object) -> None:
    with pytest.raises(ValueError, match=r"account_domain takes a domain such as acme\.com, not"):
        fit_domain(given)


def test_a_change_of_the_account_is_a_relationship_and_no_attribute() -> None:
    changes = [change("custom4", "realized"), change("account_domain", "acme.com")]
    assert json.loads(attributes_of(changes)) == {"custom4": "realized"}
    assert json.loads(relationships_of(changes, ACCOUNTS)) == {
        "account": {"data": {"type": "account", "id": 7}}
    }
    assert json.loads(relationships_of([change("account_domain", None)], {})) == {
        "account": {"data": None}
    }
    assert relationships_of(changes[:1], ACCOUNTS) == ""
    assert domains_in([*changes, change("account_domain", None), changes[1]]) == ["acme.com"]


@pytest.mark.parametrize(
    ("account", "held"),
    [({"type": "account", "id": 7}, "acme.com"), ({"type": "account", "id": 8}, 8), (None, None)],
)
def test_a_record_holds_the_domain_of_an_account_that_is_known_else_its_id(
    account: object, held: object
) -> None:
    assert held_by(tied(account, custom4="x"), ACCOUNTS) == {"custom4": "x", "account_domain": held}


def test_of_an_answer_without_the_relationship_nothing_is_known() -> None:
    assert held_by({"attributes": {}}, ACCOUNTS) == {}
    assert held_by({"attributes": {}, "relationships": {"account": {"links": {}}}}, {}) == {}


@pytest.mark.parametrize(("account", "fields"), [(7, ()), (8, ("account_domain",))])
def test_an_answer_that_shows_another_account_than_was_sent_is_not_kept(
    account: int, fields: tuple[str, ...]
) -> None:
    body = json.dumps({"data": tied({"type": "account", "id": account}, custom4="realized")})
    changes = [change("custom4", "realized"), change("account_domain", "acme.com")]
    verdict = classify_write(Reply(200, {}, body.encode()), 1, changes, 0.0, accounts=ACCOUNTS)
    assert (verdict.fate, verdict.fields) == (Fate.ACCEPTED, fields)
    assert (verdict.reason == NOT_KEPT) is bool(fields)


def test_freemail_providers_are_told_from_companies() -> None:
    assert is_freemail("gmail.com")
    assert is_freemail("web.de")
    assert not is_freemail("acme.com")
