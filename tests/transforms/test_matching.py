"""When two domains or names are the same, and what is none."""

from __future__ import annotations

import pytest

from transforms.directory import entry_of
from transforms.formats.validation import Refused, read_domain, read_name
from transforms.matching import (
    ACCOUNT_KEYS,
    DOMAIN,
    EMAIL,
    NAME,
    folded_domain,
    kind_of,
    kinds_of,
    natural_keys,
)
from transforms.outreach.fields import OBJECTS


@pytest.mark.parametrize(
    "text",
    [
        "acme.com",
        " ACME.com ",
        "www.acme.com",
        "https://www.Acme.com/about?x=1#y",
        "http://acme.com:8080/",
        "acme.com.",
    ],
)
def test_what_surrounds_a_domain_makes_no_difference(text: str) -> None:
    assert folded_domain(text) == "acme.com"


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("www.com", "www.com"),
        ("shop.acme.co.uk", "shop.acme.co.uk"),
        ("Münch-Bräu.de", "münch-bräu.de"),
        ("www2.acme.com", "www2.acme.com"),
    ],
)
def test_what_belongs_to_a_domain_stays(text: str, domain: str) -> None:
    assert folded_domain(text) == domain


@pytest.mark.parametrize(
    "text", ["", " ", "acme", "n/a", "a@acme.com", "acme.com, acme.org", "name:acme.com", ".com"]
)
def test_what_is_no_domain_is_refused_and_gives_no_key(text: str) -> None:
    assert DOMAIN.key(text) == ""
    with pytest.raises(Refused) as refused:
        read_domain(text)
    assert refused.value.reason == "identity_invalid"


@pytest.mark.parametrize("value", ["", "  ", 7, None, "x" * 256])
def test_what_is_no_name_is_refused(value: object) -> None:
    with pytest.raises(Refused):
        read_name(value)


def test_names_differ_in_more_than_capitals_and_blanks() -> None:
    assert NAME.key(" Acme Inc ") == NAME.key("ACME INC")
    assert NAME.key("Acme Inc") != NAME.key("Acme, Inc")


def test_a_name_is_never_the_key_of_a_domain() -> None:
    assert NAME.key("acme.com") != DOMAIN.key("acme.com")
    assert kind_of(ACCOUNT_KEYS, NAME.key("acme.com")) is NAME
    assert kind_of(ACCOUNT_KEYS, DOMAIN.key("acme.com")) is DOMAIN


def test_a_name_stands_in_for_a_domain_and_not_the_other_way_round() -> None:
    assert kinds_of("domain") == ("domain", "name")
    assert kinds_of("name") == ("name",)
    assert kinds_of("outreach_id") == ("outreach_id",)
    assert natural_keys("external_id") == ()
    assert natural_keys("email") == (EMAIL,)


def test_an_account_is_kept_under_its_domain_and_its_name() -> None:
    attributes = {
        "name": " Acme ",
        "domain": "https://acme.com/",
        "updatedAt": "2026-01-02T03:04:05Z",
    }
    entry = entry_of({"id": 7, "attributes": attributes}, (), OBJECTS["account"])
    assert entry.emails == ("acme.com", "name:acme")
