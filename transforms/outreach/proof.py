"""What a 2xx proves: that the answer is the prospect, and holds what was sent.

A status alone proves nothing. A proxy's login page is answered with 200 as well, an error may hide
in one, and a field may have been dropped or cut short. A PATCH is answered with the whole prospect
(Outreach's API reference), so that it can be looked at. 202 and 204 have no body to look at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

import orjson

from transforms.elements import Change
from transforms.outreach.client import Reply
from transforms.outreach.error_body import bounded, read_error_body
from transforms.outreach.fields import PROSPECT
from transforms.outreach.normalisation import is_same_value
from transforms.outreach.responses import Classification, Fate, classify
from transforms.relations import Accounts, held_by
from transforms.text import shown

NOT_KEPT: Final = "not_kept"
_WITHOUT_BODY: Final = (HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT)
_REMEDY: Final = (
    "something between here and Outreach answers in its place, or outreach.base_url is another"
    " server's; check the address and the network's proxy"
)
_STATUS_OF: Final[Mapping[str, HTTPStatus]] = {
    "resourceNotFound": HTTPStatus.NOT_FOUND,
    "routeNotFound": HTTPStatus.NOT_FOUND,
    "unauthorizedRequest": HTTPStatus.FORBIDDEN,
    "unauthorizedOauthScope": HTTPStatus.FORBIDDEN,
    "unsupportedMediaType": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "validationError": HTTPStatus.UNPROCESSABLE_ENTITY,
    "validationDuplicateValueError": HTTPStatus.UNPROCESSABLE_ENTITY,
    "validationDataTooLongError": HTTPStatus.UNPROCESSABLE_ENTITY,
    "rateLimitExceeded": HTTPStatus.TOO_MANY_REQUESTS,
    "scheduledServerMaintenance": HTTPStatus.SERVICE_UNAVAILABLE,
}
"""With which status Outreach sends an error of that id."""


def classify_write(
    reply: Reply,
    outreach_id: int,
    changes: Sequence[Change],
    now: float,
    kind: str = PROSPECT,
    accounts: Accounts | None = None,
) -> Classification:
    """Decides the fate of a PATCH; raises nothing, whatever came.

    Args:
      reply: as it came.
      outreach_id: the prospect that was to be changed.
      changes: that the request carried.
      now: epoch seconds.
      kind: the object, ``prospect`` or ``account``.
      accounts: that changes name.

    Returns:
      `Fate.ACCEPTED` only where the answer is that prospect; `Classification.fields` then names
      the fields that hold something else than what was sent, and the reason is `NOT_KEPT`.
    """
    verdict, data = _read(reply, now)
    if verdict.fate is not Fate.ACCEPTED or reply.status in _WITHOUT_BODY:
        return verdict
    if not isinstance(data, dict) or data.get("type") != kind:
        return _no_answer_of_outreach(reply)
    if str(data.get("id")) != str(outreach_id):
        detail = f"the answer is {kind} {shown(data.get('id'))}, and {outreach_id} was sent"
        return Classification(Fate.REFUSED, NOT_KEPT, bounded(detail), reply.status)
    lost = _not_kept(changes, held_by(data, accounts or {}))
    if not lost:
        return verdict
    detail = "; ".join(f"{field} holds {held}" for field, held in lost.items())
    return replace(verdict, reason=NOT_KEPT, detail=bounded(detail), fields=tuple(lost))


def classify_read(reply: Reply, now: float) -> Classification:
    """Decides the fate of a read of many prospects, which is accepted only where it is a list."""
    verdict, data = _read(reply, now)
    if verdict.fate is Fate.ACCEPTED and not isinstance(data, list):
        return _no_answer_of_outreach(reply)
    return verdict


def classify_document(reply: Reply, now: float, kind: str) -> Classification:
    """Decides the fate of an answer that is accepted only where it is a resource of this type."""
    verdict, data = _read(reply, now)
    is_one = isinstance(data, dict) and data.get("type") == kind
    if verdict.fate is Fate.ACCEPTED and not is_one:
        return _no_answer_of_outreach(reply)
    return verdict


def is_elsewhere(verdict: Classification) -> bool:
    """Whether the answer shows that whoever answers is not Outreach, whatever is asked."""
    return verdict.fate is Fate.PAUSE and verdict.status in (HTTPStatus.OK, HTTPStatus.NOT_FOUND)


def _read(reply: Reply, now: float) -> tuple[Classification, Any]:
    """The fate by status, or by the error that hides in a 2xx; and the document's ``data``."""
    verdict = classify(*reply, now)
    if verdict.fate is not Fate.ACCEPTED or reply.status in _WITHOUT_BODY:
        return verdict, None
    try:
        document = orjson.loads(reply.body)
    except ValueError:
        return _no_answer_of_outreach(reply), None
    if not isinstance(document, dict):
        return _no_answer_of_outreach(reply), None
    if "errors" in document:
        status = _status_of(document["errors"])
        hidden = classify(status, reply.headers, reply.body, now)
        return replace(hidden, status=reply.status), None
    return verdict, document.get("data")


def _status_of(errors: object) -> int:
    """The status with which these errors should have been answered; 400 if nothing tells."""
    for error in errors if isinstance(errors, list) else [errors]:
        if not isinstance(error, dict):
            continue
        told = str(error.get("status"))
        if told.isdecimal() and HTTPStatus.BAD_REQUEST <= int(told) < 600:  # noqa: PLR2004
            return int(told)
        kind = error.get("id")
        if isinstance(kind, str) and kind in _STATUS_OF:
            return _STATUS_OF[kind]
    return HTTPStatus.BAD_REQUEST


def _not_kept(changes: Iterable[Change], attributes: Mapping[str, object]) -> dict[str, str]:
    """Returns the fields that hold something other than what was sent, with it as text."""
    return {
        change.field: shown(attributes[change.field])
        for change in changes
        if change.field in attributes
        and not is_same_value(change.field, orjson.loads(change.value), attributes[change.field])
    }


def _no_answer_of_outreach(reply: Reply) -> Classification:
    said = read_error_body(reply.body)
    what = "a web page" if said.is_page else "something that is not the document asked for"
    title = f" ({said.text})" if said.is_page and said.text else ""
    detail = f"{reply.status} with {what}{title}"
    return Classification(Fate.PAUSE, "misconfigured", detail, reply.status, remedy=_REMEDY)
