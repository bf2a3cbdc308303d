"""Experience Data Model entities: profiles whose keys have the prefix ``xdm:``.

{"xdm:identityMap": {"Oid": [{"xdm:id": "1234"}]},
 "xdm:segmentMembership": {"ups": {"5114…": {"xdm:status": "realized"}}}}
{"header": {…}, "body": {"xdmMeta": {…}, "xdmEntity": {…}}}
"""

from __future__ import annotations

from typing import Any, Final

from transforms.formats import profile
from transforms.formats.context import RecordContext
from transforms.formats.validation import Refused

SHAPE: Final = "an XDM entity (xdm:segmentMembership, or body.xdmEntity)"

_PREFIX: Final = "xdm:"
_DEEPEST: Final = 30


def matches(record: dict[str, Any]) -> bool:
    """See `Format`."""
    return _entity(record) is not None or any(
        f"{_PREFIX}{key}" in record for key in ("segmentMembership", "identityMap")
    )


def read(record: dict[str, Any], reading: RecordContext) -> None:
    """See `Format`."""
    entity = _entity(record)
    plain = _plain(record if entity is None else entity, _DEEPEST)
    if not profile.matches(plain):
        raise Refused("unknown_shape", "the entity has neither segmentMembership nor identityMap")
    profile.read(plain, reading)


def _entity(record: dict[str, Any]) -> dict[str, Any] | None:
    body = record.get("body")
    entity = body.get("xdmEntity") if type(body) is dict else record.get("xdmEntity")
    return entity if type(entity) is dict else None


def _plain(value: Any, deepest: int) -> Any:  # noqa: ANN401 - any JSON value
    """The same without the prefix of its keys."""
    if not deepest:
        return value
    if type(value) is dict:
        return {key.removeprefix(_PREFIX): _plain(held, deepest - 1) for key, held in value.items()}
    if type(value) is list:
        return [_plain(each, deepest - 1) for each in value]
    return value
