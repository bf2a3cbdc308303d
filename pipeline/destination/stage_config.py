"""From a destination file, as a person writes it, to what the stages take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from pipeline.destination.file import Destination
from pipeline.destination.keys.sections import BearerAuth, OAuth, User
from transforms.budget.terms import BudgetTerms
from transforms.errors import ConfigurationError
from transforms.mapping import Attribute, Audience, OutreachUser, Plan
from transforms.outreach.auth import credentials as auth
from transforms.outreach.delivery import Delivery
from transforms.outreach.sender_pool import Access
from transforms.plan import Source
from transforms.relations import ACCOUNT_DOMAIN

DAY_SECONDS = 86_400.0


def plan_of(destination: Destination) -> Plan:
    """What goes where."""
    return Plan(
        identity=destination.identity.of_profiles,
        object=destination.object,
        match=destination.identity.match,
        audiences=tuple(
            Audience(
                audience.segment,
                audience.namespace,
                audience.name,
                audience.field,
                tuple(
                    (status, orjson.dumps(value).decode())
                    for status, value in audience.values.model_dump().items()
                ),
                None if audience.only_if is None else audience.only_if.as_rule(),
            )
            for audience in destination.audiences
        ),
        attributes=tuple(
            Attribute(each.source, each.target, each.write == "if_empty", each.empty == "keep")
            for each in destination.attributes
        ),
        users=tuple(
            OutreachUser(user.name, terms.allowance / terms.per_seconds)
            for user, terms in ((user, budget_of(user)) for user in destination.users)
        ),
        clock_skew=round(destination.delivery.clock_skew_minutes * 60e6),
        paths=destination.identity.path,
        only_if=None if destination.only_if is None else destination.only_if.as_rule(),
        posted=tuple(
            Source(each.name, each.identity.namespace, each.identity.path, each.segment)
            for each in destination.sources
        ),
    )


def accesses_of(destination: Destination) -> list[Access]:
    """The users, with where their credentials are read from; no secret among it."""
    return [Access(user.name, auth_of(user), budget_of(user)) for user in destination.users]


@dataclass(frozen=True, slots=True)
class Place:
    """Which Outreach, and by which users.

    Attributes:
      base_url: of the API.
      accesses: the users.
    """

    base_url: str
    accesses: Sequence[Access]

    @classmethod
    def of(cls, destination: Destination) -> Place:
        """The destination's own."""
        return cls(destination.outreach.base_url, accesses_of(destination))


def remember_seconds_of(destination: Destination) -> float:
    """Seconds for which a delivered value is remembered."""
    return destination.delivery.remember_days * DAY_SECONDS


def delivery_of(destination: Destination) -> Delivery:
    """How patches are sent."""
    return Delivery(
        in_flight=destination.delivery.in_flight,
        give_up_seconds=destination.delivery.give_up_hours * 3600.0,
        lanes=destination.delivery.lanes,
        if_empty=plan_of(destination).if_empty,
        object=destination.object,
    )


def account_scopes(destination: Destination) -> tuple[str, ...]:
    """The scopes that tying prospects to their accounts takes; none where that is not done."""
    if all(each.target != ACCOUNT_DOMAIN for each in destination.attributes):
        return ()
    creates = destination.mode == "upsert"
    return ("accounts.read", "accounts.write") if creates else ("accounts.read",)


def refuse_what_needs_a_ledger(destination: Destination) -> None:
    """Makes sure that nothing is asked for that needs a ledger, where there is none.

    Raises:
      ConfigurationError: it is; a batch whose process died would be found by nobody, and who is to
        be created would be created twice.
    """
    if destination.mode == "upsert":
        raise ConfigurationError(
            f"{destination.where('mode')}: upsert needs a ledger, and another runner keeps none;"
            " write mode: update, or run it on this machine"
        )
    for place, attribute in enumerate(destination.attributes):
        if attribute.target == ACCOUNT_DOMAIN:
            raise ConfigurationError(
                f"{destination.where('attributes', place, 'target')}: {ACCOUNT_DOMAIN} needs a"
                " ledger, and another runner keeps none; leave the attribute out, or run it on this"
                " machine"
            )
    if destination.delivery.bulk.mode != "off":
        raise ConfigurationError(
            f"{destination.where('delivery', 'bulk', 'mode')}: bulk actions need a ledger, and"
            " another runner keeps none; write delivery.bulk.mode: off, or run it on this machine"
        )


def budget_of(user: User) -> BudgetTerms:
    """What a user may spend."""
    terms = user.budget
    return BudgetTerms(terms.requests, terms.per_seconds, terms.reserve)


def auth_of(user: User) -> auth.Auth:
    """Where a user's credential is read from."""
    match user.auth:
        case BearerAuth() as bearer:
            return auth.BearerAuth(bearer.token_env, bearer.token_file)
        case OAuth() as oauth:
            return application_of(oauth)
        case s2s:
            return auth.S2SAuth(s2s.install_id, s2s.issuer, s2s.private_key_file)


def application_of(oauth: OAuth) -> auth.OAuthAuth:
    """Where the credential is read from of a user who has connected."""
    return auth.OAuthAuth(
        oauth.client_id, oauth.client_secret_env, oauth.token_store, oauth.client_secret_file
    )
