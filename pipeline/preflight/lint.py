"""Valid settings that are probably mistakes; `validate` warns about them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from itertools import combinations

from pipeline.destination.file import Destination
from pipeline.destination.keys.mapping import Audience
from pipeline.destination.keys.sections import BearerAuth, User
from pipeline.destination.yaml_reader import Path, Problem
from transforms.outreach.auth.token_store import SECRET_PREFIX

OUTREACH_REQUESTS_PER_HOUR = 10_000
"""What Outreach allows each user unless it has agreed to more (its API documentation)."""


def requests_per_hour(user: User) -> float:
    """What `user` may spend in an hour: the budget without its reserve."""
    return (user.budget.requests - user.budget.reserve) * 3600 / user.budget.per_seconds


def suspicions(destination: Destination) -> list[Problem]:
    """All that is legal in `destination` and yet looks like a mistake, top to bottom."""
    found = [
        *_users(destination),
        *_audiences(destination),
        *_attributes(destination),
        *_delivery(destination),
    ]
    problems = (Problem(destination.line(*path), path, text) for path, text in found)
    return sorted(problems, key=lambda problem: problem.line)


def _users(destination: Destination) -> Iterator[tuple[Path, str]]:
    for n, user in enumerate(destination.users):
        budget = ("users", n, "budget")
        if user.budget.reserve == 0:
            yield (*budget, "reserve"), "leaves the user's other tools nothing to spend"
        hourly = user.budget.requests * 3600 / user.budget.per_seconds
        if hourly > OUTREACH_REQUESTS_PER_HOUR:
            allowed = f"{OUTREACH_REQUESTS_PER_HOUR:,} unless it has agreed to more"
            yield (*budget, "requests"), f"is {hourly:,.0f} an hour; Outreach allows {allowed}"
        yield from _files(user, ("users", n, "auth"))
    for (n, one), (m, other) in combinations(enumerate(destination.users), 2):
        if isinstance(one.auth, BearerAuth) and one.auth == other.auth:
            yield (
                ("users", m, "auth", "token_file" if one.auth.token_env is None else "token_env"),
                f"is the token of users[{n}] too; one Outreach user's budget is counted twice",
            )


def _files(user: User, path: Path) -> Iterator[tuple[Path, str]]:
    """What is odd about the files that hold a user's credentials."""
    for key in ("token_file", "client_secret_file", "token_store", "private_key_file"):
        file = getattr(user.auth, key, None)
        if file is not None and not file.startswith(SECRET_PREFIX):
            yield from _file(user, file, (*path, key), key)


def _file(user: User, file: str, path: Path, key: str) -> Iterator[tuple[Path, str]]:
    try:
        mode = os.stat(file).st_mode  # noqa: PTH116 - the path may be any text
    except (OSError, ValueError):
        if key == "token_store":
            yield path, f"holds no tokens yet; run connect --user {user.name!r}"
        return
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield path, f"can be read by others; run chmod 600 {file}"


def _audiences(destination: Destination) -> Iterator[tuple[Path, str]]:
    first: dict[str, int] = {}
    for n, audience in enumerate(destination.audiences):
        other = first.setdefault(audience.segment.casefold(), n)
        if destination.audiences[other].segment != audience.segment:
            text = f"differs from audiences[{other}].segment in capitals only; are both meant?"
            yield ("audiences", n, "segment"), text
        for key, text in _values(audience):
            yield ("audiences", n, "values", *key), text


def _values(audience: Audience) -> Iterator[tuple[Path, str]]:
    values = dict(audience.values)
    if values["exited"] in (values["realized"], values["existing"]):
        yield ("exited",), "is what a member has too; nobody can tell who left"
    for status, value in values.items():
        if value == "":
            yield (status,), "writes an empty text; null clears the field"


def _attributes(destination: Destination) -> Iterator[tuple[Path, str]]:
    for n, attribute in enumerate(destination.attributes):
        if attribute.target == "trashedAt":
            yield ("attributes", n, "target"), "deletes the prospects that have this attribute"


def _delivery(destination: Destination) -> Iterator[tuple[Path, str]]:
    delivery = destination.delivery
    if delivery.hold_seconds > 3600:  # noqa: PLR2004 - an hour
        hours = delivery.hold_seconds / 3600
        yield ("delivery", "hold_seconds"), f"keeps every change back for {hours:.1f} hours"
    if delivery.remember_days == 0:
        yield ("delivery", "remember_days"), "sends values again that a prospect already holds"
