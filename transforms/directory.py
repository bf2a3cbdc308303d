"""What Outreach holds of a prospect besides its id: by what it is found, and its mapped fields.

Plain data without Beam or I/O. A file of the directory has one such entry a line, as `pull
--output` writes it and ``--directory`` reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import orjson

from transforms.matching import folded, natural_keys
from transforms.outreach.fields import OutreachObject
from transforms.times import format_time, parse_time

_DIGEST_BYTES: Final = 16
DIGEST_LENGTH: Final = 2 * _DIGEST_BYTES
"""Hexadecimal digits of a digest."""


class DirectoryEntry(NamedTuple):
    """What Outreach was read to hold of one prospect.

    Attributes:
      outreach_id: the prospect.
      emails: its addresses, as `folded`, or digests of them; of an account, its natural keys.
      external_id: an id of another system's, if it has one.
      updated_at: microseconds since the epoch; Outreach tells it to the second.
      fields: the mapped fields that hold something, as the text of a JSON object.
    """

    outreach_id: int
    emails: Sequence[str]
    external_id: str | None
    updated_at: int
    fields: str


def digest_of(address: str) -> str:
    """Returns the digest that is stored in place of an address or key."""
    return blake2b(folded(address).encode(), digest_size=_DIGEST_BYTES).hexdigest()


def entry_of(
    resource: Mapping[str, Any], fields: Iterable[str], kind: OutreachObject
) -> DirectoryEntry:
    """The entry of a record as Outreach answers it.

    Args:
      resource: of JSON:API, with the attributes that `OutreachObject.listed` names.
      fields: names of the mapped fields.
      kind: what the record is.

    Raises:
      KeyError, TypeError, ValueError: it is no such resource.
    """
    attributes = resource["attributes"]
    held = {name: attributes.get(name) for name in fields}
    external_id = attributes.get("externalId")
    return DirectoryEntry(
        int(resource["id"]),
        tuple(dict.fromkeys(key for each in kind.keys for key in each.keys_in(attributes))),
        None if external_id in (None, "") else str(external_id),
        parse_time(attributes["updatedAt"]),
        orjson.dumps({name: value for name, value in held.items() if value is not None}).decode(),
    )


def entry_line(entry: DirectoryEntry) -> bytes:
    """An entry as a JSON object without a line end."""
    return orjson.dumps(
        {
            "outreach_id": entry.outreach_id,
            "emails": list(entry.emails),
            "external_id": entry.external_id,
            "updated_at": format_time(entry.updated_at),
            "fields": orjson.Fragment(entry.fields),
        }
    )


def read_entry(line: bytes) -> DirectoryEntry:
    """Reads a line of a directory's file.

    Raises:
      ValueError: it is none.
    """
    try:
        found = orjson.loads(line)
        return DirectoryEntry(
            int(found["outreach_id"]),
            tuple(folded(each) for each in found["emails"]),
            found["external_id"],
            parse_time(found["updated_at"]),
            orjson.dumps(found["fields"]).decode(),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no entry of a directory ({error!r})") from None


def keys_of(entry: DirectoryEntry, match: str) -> Sequence[str]:
    """By what a prospect is found."""
    if natural_keys(match):
        return entry.emails
    return () if entry.external_id is None else (entry.external_id,)
