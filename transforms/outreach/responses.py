"""What an answer of Outreach means: one pure function decides its fate.

The statuses and error ids are those of Outreach's API reference; what it does not document
is decided by one rule. What is wrong with one prospect refuses that prospect's changes,
for good; what would be wrong with every request alike (the token, the address, ourselves)
pauses the user and keeps the work, so that no mistake in a configuration turns thousands
of good changes into dead letters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from enum import Enum
from http import HTTPStatus
from math import isfinite
from typing import Final

from transforms.budget.rate_limits import RateLimits
from transforms.errors import CredentialError
from transforms.outreach.error_body import ErrorBody, read_error_body
from transforms.times import parse_time

_EPOCH_FROM: Final = 10**9
_MILLIS_FROM: Final = 10**11
"""A number below the first is a delay in seconds, below the second an epoch in seconds."""

_INSTANT: Final = re.compile(
    rb"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?"
    rb"(?:Z|[+-][0-9]{2}:?[0-9]{2})?"
)
_BODY_SEARCHED: Final = 4096


class Fate(Enum):
    """The fate of a request, decided by its answer.

    ACCEPTED: done. REFUSED: for good; a dead letter. FIELD_REFUSED: drop the named fields
    and send the rest; where none is named, one of them is to blame. THROTTLED: the budget
    is spent, wait. MAINTENANCE: announced, wait. TROUBLE: repeat with backoff.
    UNAUTHENTICATED: refresh the token once and repeat. PAUSE: nothing of this user can
    succeed before a person mends something; keep the work.
    """

    ACCEPTED = "accepted"
    REFUSED = "refused"
    FIELD_REFUSED = "field_refused"
    THROTTLED = "throttled"
    MAINTENANCE = "maintenance"
    TROUBLE = "trouble"
    UNAUTHENTICATED = "unauthenticated"
    PAUSE = "pause"


@dataclass(frozen=True, slots=True)
class Classification:
    """An answer's fate and why.

    Attributes:
      fate: what to do.
      reason: a code for receipts and dead letters; empty where it was accepted.
      detail: for people: one line, bounded, with nothing in it that looks like a token.
      status: of the answer; None where there was none.
      retry_at: epoch seconds, as the server told it and so to be bounded by the caller.
      fields: prospect attributes that the answer blames, each once.
      scope: the OAuth scope that the token lacks.
      remedy: what a person has to do about a PAUSE.
    """

    fate: Fate
    reason: str = ""
    detail: str = ""
    status: int | None = None
    retry_at: float | None = None
    fields: tuple[str, ...] = ()
    scope: str | None = None
    remedy: str = ""

    def problem_of(self, user: str) -> CredentialError:
        """Returns the error that a PAUSE is reported as, with its remedy."""
        return CredentialError(user, self.detail, self.remedy)


_ACCEPTED: Final = {
    status: Classification(Fate.ACCEPTED, status=status) for status in range(200, 300)
}

_SERVERS_TROUBLE: Final = HTTPStatus.INTERNAL_SERVER_ERROR
_TRANSIENT: Final = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.CONFLICT,
        HTTPStatus.LOCKED,
        HTTPStatus.TOO_EARLY,
    }
)
"""Somebody else's edit, or bad luck: to repeat an absolute write is harmless."""

_OF_THIS_PROSPECT: Final = {
    HTTPStatus.BAD_REQUEST: "bad_request",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.GONE: "not_found",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "bad_request",
    HTTPStatus.REQUEST_URI_TOO_LONG: "bad_request",
    HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS: "forbidden",
}


def classify(  # noqa: PLR0911 - one return a fate reads like the table it is
    status: int, headers: Mapping[str, str], body: bytes, now: float
) -> Classification:
    """Decides an answer's fate; raises nothing, whatever came.

    Args:
      status: of HTTP.
      headers: in any case.
      body: as it came; JSON or not.
      now: epoch seconds, from which delays count.
    """
    accepted = _ACCEPTED.get(status)
    if accepted is not None:
        return accepted
    said = read_error_body(body)
    detail = said.text or f"Outreach answered {status} and did not say why"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        retry_at = read_retry_at(headers, body, now)
        return Classification(Fate.THROTTLED, "throttled", detail, status, retry_at)
    if status == HTTPStatus.UNAUTHORIZED:
        return Classification(Fate.UNAUTHENTICATED, "unauthenticated", detail, status)
    if status == HTTPStatus.FORBIDDEN:
        return _classify_forbidden(said, detail)
    if status == HTTPStatus.UNPROCESSABLE_ENTITY:
        return Classification(
            Fate.FIELD_REFUSED, "field_refused", detail, status, fields=said.fields
        )
    if status in _OF_THIS_PROSPECT:
        return _classify_of_prospect(HTTPStatus(status), said, detail)
    announced = "scheduledServerMaintenance" in said.ids
    # Every answer carries X-RateLimit-Reset; only on a 429 is it what to wait for.
    retry_at = read_retry_at(headers, body if announced else b"", now, by_reset=False)
    if announced:
        return Classification(Fate.MAINTENANCE, "unavailable", detail, status, retry_at)
    if status in _TRANSIENT or not HTTPStatus.CONTINUE <= status < _SERVERS_TROUBLE:
        return Classification(Fate.TROUBLE, "unavailable", detail, status, retry_at)
    remedy = "check outreach.base_url; if it is right, this is a bug to report"
    return Classification(Fate.PAUSE, "misconfigured", f"{status}: {detail}", status, remedy=remedy)


def without(verdict: Classification, token: str) -> Classification:
    """The verdict with its words clear of the token, which a server may have repeated."""
    if not token or token not in verdict.detail:
        return verdict
    return replace(verdict, detail=verdict.detail.replace(token, "***"))


def _classify_of_prospect(status: HTTPStatus, said: ErrorBody, detail: str) -> Classification:
    if not said.is_outreachs:
        detail += " (not in the words of Outreach's API: is outreach.base_url right?)"
    is_missing = status == HTTPStatus.NOT_FOUND
    if is_missing and ("routeNotFound" in said.ids or said.is_page):
        remedy = "check outreach.base_url: nothing at that address knows prospects"
        return Classification(Fate.PAUSE, "misconfigured", f"404: {detail}", status, remedy=remedy)
    return Classification(Fate.REFUSED, _OF_THIS_PROSPECT[status], detail, status.value)


def _classify_forbidden(said: ErrorBody, detail: str) -> Classification:
    status = HTTPStatus.FORBIDDEN.value
    if "unauthorizedOauthScope" in said.ids:
        missing = f"the scope {said.scope}" if said.scope else "the scope that it lacks"
        remedy = f"connect the user again and grant {missing}"
        return Classification(
            Fate.PAUSE, "scope_missing", detail, status, scope=said.scope, remedy=remedy
        )
    if said.is_page:
        detail = f"403 with a web page: {detail}"
        remedy = "something in front of Outreach refuses this machine; ask who runs its network"
        return Classification(Fate.PAUSE, "misconfigured", detail, status, remedy=remedy)
    return Classification(Fate.REFUSED, "forbidden", detail, status)


def read_limits(headers: Mapping[str, str]) -> RateLimits:
    """Reads the three ``X-RateLimit-*`` headers.

    Remaining may hold two values, ``9999, 19988``, as seen in production; the first is the
    hour's. A reset that is no epoch is left out.
    """
    remaining = _header(headers, "X-RateLimit-Remaining")
    reset = _number(_header(headers, "X-RateLimit-Reset"))
    if reset is not None:
        reset = None if reset < _EPOCH_FROM else _epoch(reset)
    return RateLimits(
        _whole(_header(headers, "X-RateLimit-Limit")),
        _whole(remaining),
        reset,
    )


def read_retry_at(
    headers: Mapping[str, str], body: bytes, now: float, *, by_reset: bool = True
) -> float | None:
    """When the server says to try again, in epoch seconds; None where it does not.

    ``Retry-After`` may be a delay, an epoch (on a 429, where Outreach documents it as an
    alias of the reset), an ISO 8601 instant (on a 503) or an HTTP date; then
    ``X-RateLimit-Reset``; then an instant in the body's text. The first that is yet to
    come is taken, else the first. An instant without a zone is in UTC.

    Args:
      headers: in any case.
      body: as it came.
      now: epoch seconds, from which a delay counts.
      by_reset: whether the reset of the budget is what is waited for.
    """
    found = _INSTANT.search(body[:_BODY_SEARCHED])
    told = (
        _header(headers, "Retry-After"),
        _header(headers, "X-RateLimit-Reset") if by_reset else None,
        found[0].decode() if found else None,
    )
    instants = [at for text in told if text and (at := _instant(text.strip(), now)) is not None]
    return next((at for at in instants if at > now), instants[0] if instants else None)


def _header(headers: Mapping[str, str], name: str) -> str | None:
    value = headers.get(name)
    if value is None:
        lower = name.lower()
        value = next((value for key, value in headers.items() if key.lower() == lower), None)
    return value


def _whole(text: str | None) -> int | None:
    number = _number(text)
    return None if number is None else int(number)


def _number(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        number = float(text.partition(",")[0])
    except ValueError:
        return None
    return number if number >= 0 and isfinite(number) else None


def _epoch(number: float) -> float:
    return number if number < _MILLIS_FROM else number / 1000


def _instant(text: str, now: float) -> float | None:
    number = _number(text)
    if number is not None:
        return now + number if number < _EPOCH_FROM else _epoch(number)
    try:
        return parse_time(text) / 1_000_000
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
