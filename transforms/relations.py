"""A prospect's account: changes name it by its domain, and Outreach by its id.

Such a change has the field `ACCOUNT_DOMAIN`, which is no attribute: it is sent, and read, as the
relationship ``account`` (JSON:API 1.0, "Resource Object Linkage"). Plain functions without I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from transforms.elements import Change
from transforms.matching import folded_domain
from transforms.outreach.fields import PROSPECT, OutreachObject
from transforms.text import shown

ACCOUNT_DOMAIN: Final = "account_domain"
"""The field of a change that names a prospect's account."""
ACCOUNT: Final = "account"
"""What Outreach calls the relationship, and what it leads to."""

Accounts = Mapping[str, int]
"""Ids of accounts by their domains."""

_FREEMAIL_DOMAINS: Final = """
    126.com 163.com aim.com aol.com comcast.net fastmail.com free.fr gmail.com gmx.at gmx.ch
    gmx.com gmx.de gmx.net googlemail.com hey.com hotmail.co.uk hotmail.com hotmail.de hotmail.fr
    icloud.com laposte.net libero.it live.com mac.com mail.com mail.ru me.com msn.com naver.com
    orange.fr outlook.com outlook.de outlook.fr pm.me proton.me protonmail.com qq.com
    rediffmail.com rocketmail.com t-online.de tutanota.com verizon.net wanadoo.fr web.de
    yahoo.ca yahoo.co.in yahoo.co.jp yahoo.co.uk yahoo.com yahoo.de yahoo.es yahoo.fr yahoo.it
    yandex.com yandex.ru ymail.com zoho.com"""
_freemail: Final = frozenset(_FREEMAIL_DOMAINS.split())


def targets_of(kind: OutreachObject) -> tuple[str, ...]:
    """What a profile attribute may be written to: the object's fields, and a prospect's account."""
    return (*kind.writable, ACCOUNT_DOMAIN) if kind.name == PROSPECT else kind.writable


def fit_domain(value: object) -> str | None:
    """A domain as accounts are compared by it; None where nothing is given, which clears.

    Raises:
      ValueError: it is no domain.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    domain = folded_domain(value) if isinstance(value, str) else ""
    if not domain:
        raise ValueError(f"{ACCOUNT_DOMAIN} takes a domain such as acme.com, not {shown(value)}")
    return domain


def is_freemail(domain: str) -> bool:
    """Whether a domain is one at which anybody has an address, so that no account has it."""
    return domain in _freemail


def domains_in(changes: Iterable[Change]) -> list[str]:
    """The domains of accounts that changes name, each once, in their order."""
    named = (orjson.loads(each.value) for each in changes if each.field == ACCOUNT_DOMAIN)
    return list(dict.fromkeys(domain for domain in named if domain is not None))


def attributes_of(changes: Iterable[Change]) -> str:
    """What a request's ``attributes`` hold, as the text of a JSON object."""
    fields = (f'"{each.field}":{each.value}' for each in changes if each.field != ACCOUNT_DOMAIN)
    return "{" + ",".join(fields) + "}"


def relationships_of(changes: Iterable[Change], accounts: Accounts) -> str:
    """What its ``relationships`` hold, likewise; empty where the changes name no account.

    Raises:
      KeyError: an account is not known.
    """
    for change in changes:
        if change.field == ACCOUNT_DOMAIN:
            domain = orjson.loads(change.value)
            account = None if domain is None else {"type": ACCOUNT, "id": accounts[domain]}
            return orjson.dumps({ACCOUNT: {"data": account}}).decode()
    return ""


def asked_fields(changes: Iterable[Change]) -> Sequence[str]:
    """What is to be read to know whether changes are so already, as ``fields`` names it."""
    names = {each.field for each in changes}
    return sorted(ACCOUNT if name == ACCOUNT_DOMAIN else name for name in names)


def held_by(resource: Mapping[str, Any], accounts: Accounts) -> dict[str, object]:
    """What a record holds, by the fields of changes; absent where the answer does not say.

    Its account is the domain that it is known by, else its id.

    Args:
      resource: of JSON:API.
      accounts: those that changes name.
    """
    attributes = resource.get("attributes")
    held: dict[str, object] = dict(attributes) if isinstance(attributes, dict) else {}
    relationships = resource.get("relationships")
    linked = relationships.get(ACCOUNT) if isinstance(relationships, dict) else None
    if isinstance(linked, dict) and "data" in linked:
        data = linked["data"]
        account = int(data["id"]) if isinstance(data, dict) else None
        domains = {known: domain for domain, known in accounts.items()}
        held[ACCOUNT_DOMAIN] = None if account is None else domains.get(account, account)
    return held
