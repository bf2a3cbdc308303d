"""Amplitude's cohort webhook.

{"cohort_id": "7k", "cohort_name": "VIP", "in_cohort": true, "computed_time": "1767323045",
 "message_id": "…::enter::0", "users": [{"user_id": "1234", "user_properties": {…}}]}
"""

from __future__ import annotations

from typing import Any, Final

from transforms.formats.context import RecordContext
from transforms.formats.platforms.members import (
    IdPaths,
    add_listed,
    boolean,
    read_list,
    segment_in,
)
from transforms.formats.validation import Refused, read_instant
from transforms.text import shown

SHAPE: Final = "an Amplitude cohort (cohort_id, in_cohort, users)"

_ID_PATHS: Final = IdPaths(within=("user_properties",), own=("user_id",))


def matches(record: dict[str, Any]) -> bool:
    """See `Format`."""
    return "in_cohort" in record and ("cohort_id" in record or "cohort_name" in record)


def read(record: dict[str, Any], reading: RecordContext) -> None:
    """See `Format`."""
    is_in = boolean(record["in_cohort"])
    if is_in is None:
        raise Refused(
            "status_unknown", f"in_cohort is {shown(record['in_cohort'])}; it must be true or false"
        )
    time = read_instant(record.get("computed_time"), "computed_time", reading.published)
    segment = segment_in(reading, (record.get("cohort_id"), record.get("cohort_name")))
    users = [_user(each) for each in read_list(record.get("users"), "users")]
    add_listed(reading, users if is_in else (), () if is_in else users, segment, time, _ID_PATHS)


def _user(user: object) -> dict[str, Any]:
    if type(user) is not dict:
        return {"user_id": user}
    about = user.get("user_properties")
    return {**about, **user} if type(about) is dict else user
