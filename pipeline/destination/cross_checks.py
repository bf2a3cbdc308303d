"""Checks across keys of a destination file, each of which is valid by itself.

These rules read the plain data, before it is known to be right, so that everything
wrong with a file is said at once. They pass over what is not shaped as it should be:
`pipeline.destination.error_text` says that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args

from pipeline.destination.error_text import looks_secret, shown_unless_secret
from pipeline.destination.keys.sections import BearerAuth, Budget, OAuth
from pipeline.destination.types import TARGETS, custom_number
from pipeline.destination.yaml_reader import Document, Path, Problem, spell
from transforms.matching import BY_ID, Match
from transforms.outreach.fields import OBJECTS, PROSPECT
from transforms.plan import canonical
from transforms.relations import ACCOUNT_DOMAIN, targets_of
from transforms.text import nearest


def secrets_written(document: Document) -> list[Problem]:
    """Each secret that stands in the file itself; the secret is not repeated."""
    return [
        Problem(
            document.line(path),
            path,
            "a secret must not stand in this file (value hidden); withdraw it if the file was"
            " shared, and name an environment variable instead: token_env or client_secret_env",
        )
        for path, text in document.texts.items()
        if text and (looks_secret(text) or any(map(_names_secret, path)))
    ]


def unset_variables(document: Document, environ: Mapping[str, str] | None) -> list[Problem]:
    """Each environment variable that is named for a secret and not set; none without `environ`."""
    return [
        Problem(
            document.line(path),
            path,
            f"the environment variable {text} is not set; set it before starting",
        )
        for path, text in document.texts.items()
        if environ is not None
        and str(path[-1]).endswith("_env")
        and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,127}", text)
        and not looks_secret(text)
        and text not in environ
    ]


def contradictions(document: Document) -> Iterator[Problem]:
    """What entries cannot have both: a field, an audience, a name, tokens, enough requests."""
    yield from _users(document)
    yield from _sources(document)
    yield from _lanes(document)
    yield from _posted(document)
    yield from _audiences(document)
    yield from _attributes(document)
    yield from _mode(document)
    data = document.data
    if isinstance(data, dict) and not data.get("audiences") and not data.get("attributes"):
        yield Problem(1, (), "nothing is mapped; add audiences, each with segment and mapping_id")


_SECRET_KEYS: Final = {
    "accesstoken",
    "apikey",
    "authorization",
    "bearer",
    "bearertoken",
    "clientsecret",
    "jwt",
    "password",
    "passphrase",
    "privatekey",
    "refreshtoken",
    "secret",
    "token",
}


def _names_secret(part: str | int) -> bool:
    return str(part).lower().replace("_", "").replace("-", "") in _SECRET_KEYS


def _entries(document: Document, key: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The well-shaped entries of the list at `key`."""
    entries = document.data.get(key) if isinstance(document.data, dict) else None
    for n, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict):
            yield (key, n), entry


class _Claims:
    """What was claimed first, and by what; the second to claim it is the problem."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._first: dict[object, Path] = {}

    def twice(self, path: Path, claimed: object, what: str, remedy: str) -> Iterator[Problem]:
        """Notes that `path` claims `claimed`; yields a problem if another path had."""
        if not isinstance(claimed, str):
            return
        first = self._first.setdefault(claimed, path)
        if first == path:
            return
        line = self._document.line(first)
        value = shown_unless_secret(self._document.texts.get(path, claimed))
        what = what.format(claimed=shown_unless_secret(claimed))
        text = f"{what} {spell(first)} on line {line} ({value})"
        yield Problem(self._document.line(path), path, f"{text}; {remedy}")


def _users(document: Document) -> Iterator[Problem]:
    names, stores = _Claims(document), _Claims(document)
    for path, user in _entries(document, "users"):
        yield from names.twice(
            (*path, "name"), user.get("name"), "already taken by", "name each user differently"
        )
        auth = user.get("auth")
        if isinstance(auth, dict) and auth.get("type") == "oauth":
            # Refresh tokens are single-use: two users of one file would lock each other out.
            yield from stores.twice(
                (*path, "auth", "token_store"),
                auth.get("token_store"),
                "already taken by",
                "give each user a file of its own",
            )


def _sources(document: Document) -> Iterator[Problem]:
    """Where a secret is said to be twice, or nowhere."""
    for path, user in _entries(document, "users"):
        auth = user.get("auth")
        if not isinstance(auth, dict):
            continue
        for model, key in ((BearerAuth, "token"), (OAuth, "client_secret")):
            if auth.get("type") not in get_args(model.model_fields["type"].annotation):
                continue
            variable, file = ((*path, "auth", f"{key}_{place}") for place in ("env", "file"))
            given = [at for at in (variable, file) if auth.get(at[-1]) is not None]
            if not given:
                examples = model.model_fields[str(variable[-1])].examples or ()
                example = f"for example {variable[-1]}: {', '.join(examples)}"
                text = f"required and missing; add it, {example}"
                yield Problem(document.line(variable), variable, text)
            elif len(given) > 1:
                line = document.line(variable)
                text = f"{spell(variable)} on line {line} is in its place; write one of the two"
                yield Problem(document.line(file), file, text)


def _posted(document: Document) -> Iterator[Problem]:
    names = _Claims(document)
    for path, source in _entries(document, "sources"):
        yield from names.twice(
            (*path, "name"), source.get("name"), "already taken by", "name each source differently"
        )


def _object(document: Document) -> str:
    kind = document.data.get("object") if isinstance(document.data, dict) else None
    return str(kind) if kind in OBJECTS else PROSPECT


def _mode(document: Document) -> Iterator[Problem]:
    data = document.data if isinstance(document.data, dict) else {}
    kind, identity = OBJECTS[_object(document)], data.get("identity")
    match = identity.get("match") if isinstance(identity, dict) else None
    natural = [each.match for each in kind.keys]
    at = ("identity", "match")
    if match in get_args(Match) and match not in kind.matches:
        yield Problem(
            document.line(at),
            at,
            f"no {kind.name} is known by that ({match}); write one of {', '.join(kind.matches)}",
        )
    elif data.get("mode") == "upsert" and (match or kind.matched) not in natural:
        yield Problem(
            document.line(("mode",)),
            ("mode",),
            f"upsert creates {kind.plural} by their {natural[0]}s, and they are matched by"
            f" {match or BY_ID}; write identity: {{match: {natural[0]}}}",
        )


def _lanes(document: Document) -> Iterator[Problem]:
    delivery = document.data.get("delivery") if isinstance(document.data, dict) else None
    lanes = delivery.get("lanes") if isinstance(delivery, dict) else None
    if type(lanes) is not int:
        return
    at = ("delivery", "lanes")
    for path, user in _entries(document, "users"):
        terms = user.get("budget")
        known: dict[str, Any] = terms if isinstance(terms, dict) else {}
        requests, reserve = (
            known[key] if known.get(key) is not None else Budget.model_fields[key].default
            for key in ("requests", "reserve")
        )
        if type(requests) is int and type(reserve) is int and 0 < requests - reserve < lanes:
            text = (
                f"leaves a lane without a request: the budget of {spell(path)} on line"
                f" {document.line(path)} has {requests - reserve:,} ({lanes}); write fewer lanes"
            )
            yield Problem(document.line(at), at, text)


def _audiences(document: Document) -> Iterator[Problem]:
    fields = _Claims(document)
    mapped: dict[str, list[tuple[Path, object]]] = {}
    for path, audience in _entries(document, "audiences"):
        number = custom_number(audience.get("mapping_id"))
        yield from fields.twice(
            (*path, "mapping_id"),
            number and f"custom{number}",
            "{claimed} is already taken by",
            "give each audience a field of its own",
        )
        segment, namespace = audience.get("segment"), audience.get("namespace")
        if not isinstance(segment, str):
            continue
        same = mapped.setdefault(canonical(segment), [])
        at = (*path, "segment")
        for first, other in same:
            if namespace == other or namespace is None or other is None:
                yield _mapped_twice(document, at, first, segment)
                break
        same.append((at, namespace))


def _mapped_twice(document: Document, path: Path, first: Path, segment: str) -> Problem:
    return Problem(
        document.line(path),
        path,
        f"already mapped by {spell(first)} on line {document.line(first)}"
        f" ({shown_unless_secret(segment)});"
        " remove one of the two, or give each its own namespace",
    )


def _attributes(document: Document) -> Iterator[Problem]:
    owners = {
        f"custom{number}": path
        for path, audience in _entries(document, "audiences")
        if (number := custom_number(audience.get("mapping_id")))
    }
    targets = _Claims(document)
    kind = _object(document)
    writable = targets_of(OBJECTS[kind])
    empty: dict[str, tuple[Path, str]] = {}
    for path, attribute in _entries(document, "attributes"):
        source, does = attribute.get("source"), attribute.get("empty") or "clear"
        if isinstance(source, str) and isinstance(does, str):
            first, other = empty.setdefault(source, (path, does))
            if other != does:
                yield Problem(
                    document.line((*path, "empty")),
                    (*path, "empty"),
                    f"is {does}, and {other} for the same attribute in {spell(first)} on line"
                    f" {document.line(first)}; write the same for both",
                )
        at, target = (*path, "target"), attribute.get("target")
        if isinstance(target, str) and target in TARGETS and target not in writable:
            near = nearest(target, writable)
            remedy = f"did you mean {near}?" if near else "map it to another field"
            theirs = target in OBJECTS[kind].fields
            what = (
                f"is a {kind} field that Outreach itself sets"
                if theirs
                else (f"is no field of {kind}s that can be written")
            )
            text = f"{what} ({target}); {remedy}"
            yield Problem(document.line(at), at, text)
        if target == ACCOUNT_DOMAIN and document.texts.get(("delivery", "bulk", "mode")) == "auto":
            text = f"cannot go with bulk actions ({target}); write delivery.bulk.mode: off"
            yield Problem(document.line(at), at, text)
        if isinstance(target, str) and target in owners:
            owner = (*owners[target], "mapping_id")
            yield Problem(
                document.line(at),
                at,
                f"belongs to the audience of {spell(owner)} on line {document.line(owner)}"
                f" ({target}); write the attribute to another field",
            )
        yield from targets.twice(
            at, target, "already taken by", "write each attribute to a field of its own"
        )
