"""What a single value of the destination file must be, each kind a type for pydantic."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
)

from pipeline.destination.error_text import RefusalError, looks_secret
from transforms.elements import FROM_RECEIPT
from transforms.outreach.auth.token_store import SECRET_PREFIX
from transforms.outreach.base_url import is_loopback
from transforms.outreach.fields import CUSTOM_FIELDS, CUSTOM_MAX_LENGTH, OBJECTS
from transforms.relations import targets_of
from transforms.text import nearest

TARGETS: Final = tuple(
    dict.fromkeys(name for each in OBJECTS.values() for name in targets_of(each))
)
"""The fields that a profile attribute may be written to, of a prospect or of an account."""


def custom_number(value: object) -> int | None:
    """The N of customN that a `mapping_id` stands for; None for what stands for none."""
    if isinstance(value, str) and re.fullmatch("[1-9][0-9]{0,2}", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 1 <= value <= CUSTOM_FIELDS else None


def _mapping_id(value: object) -> int:
    number = custom_number(value)
    if number is None:
        named = re.fullmatch(r"custom[\s_-]*(?:field)?[\s_-]*([0-9]+)", str(value), re.IGNORECASE)
        meant = custom_number(named[1].lstrip("0")) if named else None
        raise RefusalError(
            f"must be a whole number from 1 to {CUSTOM_FIELDS}",
            "use the N of the Custom Field N that this audience is written to"
            if meant is None
            else f"did you mean {meant}?",
        )
    return number


def _variable(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,127}", name):
        raise RefusalError(
            "must be the name of an environment variable", "for example OUTREACH_TOKEN"
        )
    if _looks_like_a_token(name):
        raise RefusalError(
            "looks like a secret rather than the name of an environment variable",
            "put the secret in an environment variable and write that variable's name here",
        )
    return name


def _looks_like_a_token(name: str) -> bool:
    """A token may well be spelled with nothing but letters, digits and underscores."""
    least = _TOKEN_WITH_UNDERSCORES if "_" in name else _TOKEN
    kinds = ("[a-zA-Z]", "[0-9]") if least == _TOKEN else ("[a-z]", "[A-Z]", "[0-9]")
    return len(name) >= least and all(re.search(kind, name) for kind in kinds)


_SECRET_NAME: Final = r"projects/[\w:.-]+/secrets/[A-Za-z0-9_-]{1,255}(/versions/latest)?"  # noqa: S105 - of a name
_TOKEN: Final = 24
_TOKEN_WITH_UNDERSCORES: Final = 40


def _beside(value: str, info: ValidationInfo) -> str:
    """Takes a relative path from the folder of the destination file, if that is known."""
    if not value.strip() or not value.isprintable():
        raise RefusalError("must be the path of a file", "for example ops-token.json")
    if value.startswith(SECRET_PREFIX) and not re.fullmatch(_SECRET_NAME, value):
        raise RefusalError(
            "must be projects/PROJECT/secrets/SECRET, as Google Secret Manager names secrets",
            "the latest version is read; write ./ before the path of a file",
        )
    if "://" in value or value.startswith(SECRET_PREFIX):
        return value  # It is in no folder.
    folder = (info.context or {}).get("folder", "")
    return posixpath.join(folder, value) if "://" in folder else str(Path(folder, value))


def _secret_path(value: str) -> str:
    if re.fullmatch(r"[\w-]+", value) and _looks_like_a_token(value):
        raise RefusalError(
            "looks like a secret rather than the name of a file",
            "put the secret into a file or into Google Secret Manager, and write its name here",
        )
    return value


def _address(value: str, example: str = "https://api.outreach.io") -> SplitResult:
    remedy = f"write an address such as {example}"
    if not value.isprintable() or " " in value:
        raise RefusalError("must be a web address", remedy)
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise RefusalError("must be a web address", remedy) from None
    if parts.scheme not in {"http", "https"} or not host:
        raise RefusalError("must be a web address", remedy)
    if parts.username is not None or looks_secret(value):
        raise RefusalError("holds a user name or a secret", "remove it from the address")
    if parts.scheme == "http" and not is_loopback(host):
        raise RefusalError(
            "must be encrypted", "write https://; plain http is only for this machine itself"
        )
    return parts


def _base_url(value: str) -> str:
    parts = _address(value)
    if parts.query or parts.fragment:
        raise RefusalError("must be the start of an address", "remove what follows the ? or #")
    return value.rstrip("/")


def _attribute_path(value: str) -> str:
    if value.startswith(FROM_RECEIPT):
        raise RefusalError(
            f"must not begin with {FROM_RECEIPT}, which is for what receipts say",
            "rename the attribute at its source",
        )
    return value


def _source_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", value):
        raise RefusalError(
            "must be of letters, digits, dots, dashes and underscores", "for example aep"
        )
    return value


def _header_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}", value):
        raise RefusalError("must be the name of a header", "for example X-Api-Key")
    return value


WEBHOOK_EXAMPLE: Final = "https://hooks.example.com/outreach"


def _webhook(value: str) -> str:
    _address(value, WEBHOOK_EXAMPLE)
    return value


def redirect_uri(value: str) -> str:
    """The address that an authorization's answer is sent to, if it can be one.

    Raises:
      RefusalError: it is no address, or not encrypted although it leaves this machine.
    """
    if _address(value, "http://localhost:8910/callback").fragment:
        raise RefusalError("must be without a fragment", "remove the # and what follows it")
    return value


def _target(name: str) -> str:
    if name in TARGETS:
        return name
    near = nearest(name, TARGETS)
    remedy = (
        f"did you mean {near}?"
        if near
        else "docs/destination-file.md lists those that can be written"
    )
    if name == "emails":
        raise RefusalError(
            "cannot be written by this tool: Outreach answers changes to it by refusing the"
            " whole request as a duplicate",
            "leave e-mail addresses to the tool that creates prospects",
        )
    if any(name in each.fields for each in OBJECTS.values()):
        raise RefusalError("is a prospect field that Outreach itself sets", remedy)
    raise RefusalError("is not a prospect field", remedy)


_ONE_LINE: Final = r"^[^\s\x00-\x1f\x7f]([^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?$"

Line = Annotated[str, StringConstraints(max_length=255, pattern=_ONE_LINE)]
Variable = Annotated[str, AfterValidator(_variable)]
FilePath = Annotated[str, AfterValidator(_beside)]
SecretPath = Annotated[str, AfterValidator(_secret_path), AfterValidator(_beside)]
MappingId = Annotated[
    int,
    BeforeValidator(_mapping_id),
    WithJsonSchema(
        {
            "type": ["integer", "string"],
            "minimum": 1,
            "maximum": CUSTOM_FIELDS,
            "pattern": "^[1-9][0-9]{0,2}$",
        }
    ),
]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
RedirectUri = Annotated[str, AfterValidator(redirect_uri)]
Webhook = Annotated[str, AfterValidator(_webhook)]
AttributePath = Annotated[Line, AfterValidator(_attribute_path)]
SourceName = Annotated[str, AfterValidator(_source_name)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
Target = Annotated[str, AfterValidator(_target)]
Value = Annotated[str, Field(max_length=CUSTOM_MAX_LENGTH)] | None
