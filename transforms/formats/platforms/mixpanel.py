"""Mixpanel's cohort webhook: people who entered, who left, and the whole cohort in pages.

    {"action": "add_members",
     "parameters": {"mixpanel_cohort_id": "99", "mixpanel_cohort_name": "VIP",
                    "mixpanel_session_id": "…", "page_info": {"total_pages": 2, "page_count": 1},
                    "members": [{"email": "…", "mixpanel_distinct_id": "1234"}]}}

``members`` is a page of the whole cohort: who is on it is a member. Who is on no page of a session
has left, which `refresh_page` is for.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from transforms.formats.context import RecordContext
from transforms.formats.platforms.members import (
    IdPaths,
    add_listed,
    prospects_in,
    read_list,
    segment_in,
)
from transforms.formats.validation import Refused, read_object
from transforms.text import did_you_mean, shown

SHAPE: Final = "a Mixpanel cohort (action, parameters.members)"
ACTIONS: Final = ("members", "add_members", "remove_members")

_ID_PATHS: Final = IdPaths(
    own=("mixpanel_distinct_id", "$distinct_id", "distinct_id", "$user_id", "user_id")
)


class RefreshPage(NamedTuple):
    """One page of a whole audience.

    Attributes:
      segment: the audience.
      session: what the pages of one refresh have in common.
      page: counted from 1.
      pages: how many there are.
      members: who is on it: OutreachIds, or the keys that people are known by.
    """

    segment: str
    session: str
    page: int
    pages: int
    members: list[int | str]


def matches(record: dict[str, Any]) -> bool:
    """See `Format`."""
    parameters = record.get("parameters")
    return "action" in record and type(parameters) is dict and _is_cohort(parameters)


def read(record: dict[str, Any], reading: RecordContext) -> None:
    """See `Format`."""
    action, parameters = record["action"], record["parameters"]
    if action not in ACTIONS:
        near = did_you_mean(action[:40], ACTIONS) if type(action) is str else ""
        raise Refused(
            "status_unknown", f"action {shown(action)} is not one of {', '.join(ACTIONS)}{near}"
        )
    members = read_list(parameters.get("members"), "parameters.members")
    segment = _segment(parameters, reading)
    is_in = action != "remove_members"
    add_listed(
        reading,
        members if is_in else (),
        () if is_in else members,
        segment,
        reading.published,
        _ID_PATHS,
    )


def refresh_page(record: dict[str, Any], reading: RecordContext) -> RefreshPage | None:
    """The page of a whole cohort that a record is; None where it is none.

    Raises:
      Refused: it is one, and does not say which.
    """
    if not matches(record) or record["action"] != "members":
        return None
    parameters = record["parameters"]
    info = read_object(parameters.get("page_info"), "page_info")
    page, pages = info.get("page_count", 1), info.get("total_pages", 1)
    if type(page) is not int or type(pages) is not int or not 1 <= page <= pages:
        raise Refused("unknown_shape", f"page_info says page {shown(page)} of {shown(pages)}")
    members: list[int | str] = []
    for member in read_list(parameters.get("members"), "parameters.members"):
        try:
            found = prospects_in(reading, (member,), _ID_PATHS)
            members += [reading.key_of(each) for each in found]
        except Refused:
            continue  # Said where the page's memberships are read.
    session = str(parameters.get("mixpanel_session_id") or "")
    return RefreshPage(_segment(parameters, reading), session, page, pages, members)


def _is_cohort(parameters: dict[str, Any]) -> bool:
    return any(key.startswith("mixpanel_") for key in parameters) or "members" in parameters


def _segment(parameters: dict[str, Any], reading: RecordContext) -> str:
    named = ("mixpanel_cohort_id", "mixpanel_cohort_name")
    return segment_in(reading, [parameters.get(key) for key in named])
