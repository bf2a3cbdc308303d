"""What the body of an unsuccessful answer says, for a machine and for people."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import orjson

from transforms.relations import ACCOUNT, ACCOUNT_DOMAIN

_TEXT_MOST: Final = 300
_BODY_MOST: Final = 1 << 20
_ERRORS_MOST: Final = 200

_ATTRIBUTES: Final = "/data/attributes/"
_ACCOUNT: Final = f"/data/relationships/{ACCOUNT}/"
_SCOPE: Final = re.compile(r"\b[A-Za-z]+\.(?:read|write|delete|all)\b")
_PAGE_TITLE: Final = re.compile(r"<title[^>]*>(.{1,300}?)</title", re.IGNORECASE | re.DOTALL)
_SECRET: Final = re.compile(
    r"""
    eyJ[\w-]+(?:\.[\w-]*)*                                    # a JWT, or what is left of one
    | (?i:bearer)\s+[^\s'",;]+
    | (?i:token|secret|assertion|code)["']?\s*[=:]\s*["']?[^\s'",;&]+
    | [\w+/=-]{40,}                                           # longer than a UUID
    """,
    re.VERBOSE,
)
_HIDDEN: Final = "[hidden]"


class ErrorBody(NamedTuple):
    """An error body, read.

    Attributes:
      ids: of the errors, such as ``validationError``.
      text: titles and details on one line, at most 300 characters and without anything
        that looks like a token; empty where the body says nothing.
      fields: prospect attributes that the errors point at, each once, in their order.
      scope: the OAuth scope that is named.
      is_outreachs: whether it has the shape of the API's errors.
      is_page: whether it is a web page, which the API never answers.
    """

    ids: frozenset[str]
    text: str
    fields: tuple[str, ...]
    scope: str | None
    is_outreachs: bool
    is_page: bool


def read_error_body(body: bytes) -> ErrorBody:
    """Reads an error body of any shape; raises nothing.

    Known shapes: the API's ``{"errors": [{"id", "title", "detail", "source"}]}``, whose
    415 says ``details``; the gateway's ``{"error", "description"}``; the token endpoint's
    ``{"error", "error_description"}``; plain text; a proxy's web page.
    """
    errors = _errors(body)
    if errors is None:
        text = body[:_BODY_MOST].decode("utf-8", "replace").strip()
        page = text.startswith("<")
        if page:
            title = _PAGE_TITLE.search(text)
            text = title[1] if title else ""
        return ErrorBody(frozenset(), bounded(text), (), None, is_outreachs=False, is_page=page)
    told = [_told(error) for error in errors]
    scopes = (_SCOPE.search(text) for text in told)
    return ErrorBody(
        frozenset(kind for error in errors if isinstance(kind := error.get("id"), str)),
        bounded("; ".join(dict.fromkeys(filter(None, told)))),
        tuple(dict.fromkeys(_fields(errors))),
        next((scope[0] for scope in scopes if scope), None),
        is_outreachs=any("id" in error for error in errors),
        is_page=False,
    )


def bounded(text: str) -> str:
    """Text of a stranger, fit for a log: one line, bounded, with no token in it."""
    # A token at the cut would no longer look like one: it is hidden before.
    line = " ".join(_SECRET.sub(_HIDDEN, text[: 16 * _TEXT_MOST]).split())
    line = "".join(letter for letter in line if letter.isprintable())
    return line if len(line) <= _TEXT_MOST else f"{line[: _TEXT_MOST - 1]}…"


def _errors(body: bytes) -> list[Mapping[str, object]] | None:
    if len(body) > _BODY_MOST:
        return None
    try:
        found = orjson.loads(body)
    except ValueError:
        return None
    if isinstance(found, dict):
        listed = found.get("errors", found)
        found = listed if isinstance(listed, list) else [listed]
    elif not isinstance(found, list):
        found = [found]
    return [
        error if isinstance(error, dict) else {"detail": error} for error in found[:_ERRORS_MOST]
    ]


def _told(error: Mapping[str, object]) -> str:
    title = error.get("title") or error.get("error")
    detail = error.get("detail") or error.get("details") or error.get("description")
    detail = detail or error.get("error_description") or error.get("message")
    return ": ".join(part for part in (title, detail) if isinstance(part, str))


def _fields(errors: Iterable[Mapping[str, object]]) -> Iterable[str]:
    for error in errors:
        source = error.get("source")
        pointer = source.get("pointer") if isinstance(source, dict) else None
        if isinstance(pointer, str) and pointer.startswith(_ATTRIBUTES):
            field = pointer[len(_ATTRIBUTES) :].partition("/")[0]
            field = field.replace("~1", "/").replace("~0", "~")  # RFC 6901
            if field:
                yield field
        elif isinstance(pointer, str) and f"{pointer}/".startswith(_ACCOUNT):
            yield ACCOUNT_DOMAIN
