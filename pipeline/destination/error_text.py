"""What is wrong with a value, in words a person can act on.

pydantic finds what is wrong; this says where in the file, shows the offending value
unless it may be a secret, and says what to do about it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from pipeline.destination.yaml_reader import Document, Path, Problem
from transforms.text import nearest


class RefusalError(ValueError):
    """Raised by a validator of the destination file's keys.

    Attributes:
      what: what is wrong with the value, to be followed by the value itself.
      remedy: what to do about it.
    """

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}; {remedy}")
        self.what = what
        self.remedy = remedy


def problems_of(
    error: ValidationError, model: type[BaseModel], document: Document
) -> list[Problem]:
    """Every complaint of `error`, about `document` as a `model`, with its line."""
    return [_problem(each, model, document) for each in error.errors(include_url=False)]


def shown_unless_secret(text: str) -> str:
    """`text` as it may be shown: on one line, not too long, and nothing of a secret."""
    if looks_secret(text):
        return _HIDDEN
    line = "".join(c if c.isprintable() else "␣" for c in text[: _SHOWN + 1])
    return f"{line[:_SHOWN]}…" if len(line) > _SHOWN else line or '""'


def looks_secret(text: str) -> bool:
    """Whether `text` has the shape of a token, a key, or an address with a password."""
    return _SECRET.search(text) is not None


_Models = tuple[type[BaseModel], ...]

_SHOWN: Final = 80
_HIDDEN: Final = "value hidden"
_SECRET: Final = re.compile(
    r"eyJ[\w-]{8,}\.[\w-]+"  # a JSON Web Token
    r"|-----BEGIN"  # PEM
    r"|(?i:\bbearer\s+(?=\S*[0-9])\S{20,})"
    r"|://[^/\s@]*:[^/\s@]*@"
)
_ADDRESS: Final = re.compile(r"(?:[\w+.-]{1,20}://)?[\w.:\[\]-]*")


def _problem(error: ErrorDetails, model: type[BaseModel], document: Document) -> Problem:
    path, parent, inside = _locate(error["loc"], model)
    what, remedy = _words(error, parent, inside, str(path[-1]) if path else "")
    if error["type"] == "union_tag_invalid":
        path = (*path, "type")
    value = _offending(path, document)
    if value and error["type"] not in {"extra_forbidden", "missing"}:
        what = f"{what} ({value})"
    return Problem(document.line(path), path, f"{what}; {remedy}")


def _offending(path: Path, document: Document) -> str:
    """The offending value as it was written; empty where there is none to show.

    A bad value among the credentials may be the credential, put in the wrong place,
    and the tail of an address may be one too.
    """
    text = document.texts.get(path)
    if text is None:
        return ""
    if "auth" in path and path[-1] != "type":
        return _HIDDEN
    if path[-1] in {"base_url", "webhook"}:
        start = _ADDRESS.match(text)
        return _HIDDEN if "@" in text or not start else f"{start[0]}{'…' * (start[0] != text)}"
    return shown_unless_secret(text)


def _words(
    error: ErrorDetails, parent: type[BaseModel], inside: _Models, key: str
) -> tuple[str, str]:
    """What is wrong, and what to do about it."""
    context = error.get("ctx", {})
    field = parent.model_fields.get(key)
    example = f"for example {key}: {_example(field)}"
    match error["type"]:
        case "value_error" if isinstance(context["error"], RefusalError):
            return context["error"].what, context["error"].remedy
        case "extra_forbidden":
            return "unknown key", _instead(key, parent.model_fields)
        case "union_tag_invalid":
            tags = re.findall(r"'(\w+)'", context["expected_tags"])
            return "unknown type of credential", _instead(context["tag"], tags, "types")
        case "string_type":
            return _not_text(error["input"])
        case kind if kind in _SENTENCES:
            keys = "type, and those of that type"
            if len(inside) == 1:
                keys = ", ".join(inside[0].model_fields)
            what, remedy = _SENTENCES[kind]
            return what.format(**context), remedy.format(example=example, keys=keys)
    return error["msg"], example


_SENTENCES: Final[Mapping[str, tuple[str, str]]] = {
    "missing": ("required and missing", "add it, {example}"),
    "int_type": ("must be a whole number", "{example}"),
    "int_from_float": ("must be a whole number", "{example}"),
    "float_type": ("must be a number", "{example}"),
    "finite_number": ("must be a number", "{example}"),
    "greater_than": ("must be more than {gt:g}", "{example}"),
    "greater_than_equal": ("must be at least {ge:g}", "{example}"),
    "less_than_equal": ("must be at most {le:,.0f}", "{example}"),
    "string_pattern_mismatch": (
        "must be one line, neither empty nor with spaces around it",
        "{example}",
    ),
    "string_too_long": ("must have at most {max_length:,} characters", "shorten it"),
    "too_short": ("must have at least one entry", "add one"),
    "tuple_type": ("must be a list", "begin each entry with a dash"),
    "model_type": ("must be a group of keys", "indent its keys below it: {keys}"),
    "model_attributes_type": ("must be a group of keys", "indent its keys below it: {keys}"),
    "union_tag_not_found": ("has no type", "add type: bearer, type: oauth or type: s2s"),
}


def _instead(word: str, known: Iterable[str], plural: str = "keys") -> str:
    near = nearest(word, known)
    return f"did you mean {near}?" if near else f"the {plural} here are {', '.join(known)}"


def _not_text(value: object) -> tuple[str, str]:
    if isinstance(value, list | dict):
        kind = "a list" if isinstance(value, list) else "a group of keys"
        return f"must be text, not {kind}", "write one value"
    if isinstance(value, bool):
        return "must be text, and YAML reads this as true or false", "put it in quotes"
    return "must be text, and YAML reads this as a number", "put it in quotes"


def _example(field: FieldInfo | None) -> str:
    example = field.examples[0] if field and field.examples else "…"
    return example if isinstance(example, str) else json.dumps(example)


def _locate(
    loc: tuple[int | str, ...], model: type[BaseModel]
) -> tuple[Path, type[BaseModel], _Models]:
    """Where in the file pydantic's `loc` is, what model has its last key, what it may hold.

    pydantic puts the tag of a tagged union into `loc`; no such key is in the file.
    """
    path: Path = ()
    parent = model
    inside: _Models = (model,)
    for part in loc:
        if len(inside) > 1:
            inside = tuple(m for m in inside if part in get_args(m.model_fields["type"].annotation))
            continue
        path = (*path, part)
        if isinstance(part, str) and inside:
            parent = inside[0]
            field = parent.model_fields.get(part)
            inside = tuple(_models(field.annotation)) if field else ()
    return path, parent, inside


def _models(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - any annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
