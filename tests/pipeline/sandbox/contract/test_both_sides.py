"""What the program sends, and the sandbox answers, is what Outreach describes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import pytest

from pipeline.sandbox import SandboxOptions, running_sandbox
from pipeline.sandbox.custom_fields import CustomField
from tests.support.contract import breaches_of_answer, breaches_of_request, operation_of
from tests.support.data.trace import profile, segments
from tests.support.processes.program import TOKEN, environment, run, write_destination, write_lines
from tests.support.servers.connected import CLIENT_SECRET, CLIENT_SECRET_ENV, USER, connect, sign_up
from tests.support.servers.wire import Passed, recorded

pytestmark = pytest.mark.real

SEGMENTS = segments(2)
MOMENT = "2026-01-02T03:04:05Z"
PROSPECTS = 500
FORBIDDEN = 7
PICKLIST = CustomField("prospect", "custom5", "Intent", "inclusion", ("In", "Out"))


class Traffic(NamedTuple):
    """What passed between each command and a sandbox."""

    replay: list[Passed]
    validate: list[Passed]


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> Traffic:
    """Of three kinds of users, against a sandbox that refuses some and has some trouble."""
    folder = tmp_path_factory.mktemp("traffic")
    application = sign_up(folder)
    options = SandboxOptions(
        prospects=PROSPECTS - 3,
        tokens={TOKEN: "trial"},
        approve="ops",
        token_interval=0,
        s2s_key=folder / "public.pem",
        forbidden=frozenset({FORBIDDEN}),
        fields=(PICKLIST,),
    )
    with running_sandbox(options) as sandbox, recorded(sandbox.url) as (url, passed):
        sandbox.set_faults(error_500=0.02, error_502=0.02, reset_before=0.02)
        connect(sandbox, folder, hours_ago=3)
        write_lines(folder / "in.jsonl", list(profiles()))
        write_destination(
            folder,
            url,
            {SEGMENTS[0]: 4, SEGMENTS[1]: 5},
            users=[
                {"name": "trial", "auth": {"type": "bearer", "token_env": "OUTREACH_TOKEN"}},
                USER,
                application,
            ],
            attributes=[
                {"source": "person.name.firstName", "target": "firstName"},
                {"source": "person.score", "target": "score"},
                {"source": "person.tags", "target": "tags"},
                {"source": "person.optedOut", "target": "optedOut"},
                {"source": "person.birthday", "target": "dateOfBirth"},
            ],
        )
        variables = environment(**{CLIENT_SECRET_ENV: CLIENT_SECRET})
        plan = "--destination=destination.yaml"
        replayed = run(folder, "replay", "in.jsonl", plan, variables=variables)
        assert replayed.status == 3, replayed.stderr
        sandbox.set_faults(error_500=0, error_502=0, reset_before=0)
        of_replay, passed[:] = list(passed), []
        validated = run(folder, "validate", plan, "--live", variables=variables)
        assert validated.status == 2, validated.stderr  # the picklist that refuses the values
    return Traffic(of_replay, passed)


def profiles() -> Iterator[str]:
    """Prospects by the hundred for each user, with values of each kind; some are refused."""
    for prospect in range(1, PROSPECTS + 1):
        yield profile(
            prospect,
            {
                SEGMENTS[0]: ("realized", MOMENT),
                **({SEGMENTS[1]: ("exited", MOMENT)} if prospect % 50 == 0 else {}),
            },
            person={
                "name": {"firstName": f"Zoë {prospect}"},
                "score": prospect / 4,
                "tags": ["one", "two"],
                "optedOut": prospect % 2 == 0,
                "birthday": "1990-02-28",
            },
        )


def test_a_replay_asks_what_outreach_describes(traffic: Traffic) -> None:
    assert faults_in(traffic.replay, breaches_of_request) == {}
    assert names(traffic.replay) == {"write prospect", "read prospects", "token", "assertion"}
    written = [json.loads(each.body)["data"] for each in traffic.replay if each.method == "PATCH"]
    assert {data["id"] for data in written} == set(range(1, PROSPECTS + 1))
    assert all(data["attributes"] for data in written)


def test_validate_asks_what_outreach_describes(traffic: Traffic) -> None:
    assert faults_in(traffic.validate, breaches_of_request) == {}
    assert names(traffic.validate) == {"types", "write prospect", "read prospects", "assertion"}


def test_the_sandbox_answers_both_as_outreach_describes_it(traffic: Traffic) -> None:
    passed = traffic.replay + traffic.validate
    assert faults_in(passed, breaches_of_answer) == {}
    assert {each.status for each in passed} >= {200, 403, 404, 422, 500, 502, None}


def faults_in(passed: list[Passed], breaches: Callable[[Passed], list[str]]) -> dict[str, object]:
    return {f"{each.method} {each.target}": found for each in passed if (found := breaches(each))}


def names(passed: list[Passed]) -> set[str]:
    return {operation.name for each in passed if (operation := operation_of(each))}


def rewritten(passed: Passed, old: bytes, new: bytes) -> Passed:
    changed = passed._replace(
        body=re.sub(old, new, passed.body), answer=re.sub(old, new, passed.answer)
    )
    assert changed != passed
    return changed


def without(headers: Mapping[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in headers.items() if key.lower() != name}


BROKEN: dict[str, tuple[str, Callable[[Passed], Passed]]] = {
    "an id that is a string": (
        "write prospect",
        lambda it: rewritten(it, rb'"id":(\d+)', rb'"id":"\1"'),
    ),
    "an id of another prospect": ("write prospect", lambda it: rewritten(it, b'"id":', b'"id":9')),
    "a resource of another kind": (
        "write prospect",
        lambda it: rewritten(it, b'"prospect"', b'"account"'),
    ),
    "an attribute that does not exist": (
        "write prospect",
        lambda it: rewritten(it, b"custom4", b"custom0"),
    ),
    "an attribute that cannot be written": (
        "write prospect",
        lambda it: rewritten(it, b'"custom4"', b'"updatedAt"'),
    ),
    "a text that is a number": ("write prospect", lambda it: rewritten(it, b'"realized"', b"1")),
    "JSON of the usual media type": (
        "write prospect",
        lambda it: it._replace(headers={**it.headers, "Content-Type": "application/json"}),
    ),
    "no token": (
        "write prospect",
        lambda it: it._replace(headers=without(it.headers, "authorization")),
    ),
    "a parameter that does not exist": (
        "read prospects",
        lambda it: it._replace(target=f"{it.target}&a=b"),
    ),
    "a read of everybody": (
        "read prospects",
        lambda it: it._replace(target="/api/v2/prospects?count=false"),
    ),
    "a page that is too long": (
        "read prospects",
        lambda it: it._replace(target=it.target.replace("=1000", "=1001")),
    ),
    "a token request without its secret": (
        "token",
        lambda it: rewritten(it, b"client_secret", b"secret"),
    ),
    "a path that does not exist": (
        "write prospect",
        lambda it: it._replace(target="/api/v3/prospects/1"),
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_request_that_outreach_would_not_take_is_found_out(traffic: Traffic, broken: str) -> None:
    operation, breaking = BROKEN[broken]

    assert breaches_of_request(breaking(answered(traffic.replay, operation)))


MISTOLD: dict[str, tuple[str, Callable[[Passed], Passed]]] = {
    "an id that is a string": (
        "write prospect",
        lambda it: rewritten(it, rb'"id":(\d+)', rb'"id":"\1"'),
    ),
    "an attribute that does not exist": (
        "read prospects",
        lambda it: rewritten(it, b"custom4", b"custom0"),
    ),
    "a value of another kind": ("write prospect", lambda it: rewritten(it, b'"realized"', b"true")),
    "no word on what is left": (
        "write prospect",
        lambda it: it._replace(answer_headers=without(it.answer_headers, "x-ratelimit-remaining")),
    ),
    "a token of no known age": ("token", lambda it: rewritten(it, b"expires_in", b"expires")),
    "a status that is not described": ("write prospect", lambda it: it._replace(status=418)),
    "a refusal in the words of success": ("write prospect", lambda it: it._replace(status=422)),
}


@pytest.mark.parametrize("mistold", MISTOLD)
def test_an_answer_that_outreach_would_not_give_is_found_out(
    traffic: Traffic, mistold: str
) -> None:
    operation, misstating = MISTOLD[mistold]

    assert breaches_of_answer(misstating(answered(traffic.replay, operation)))


def answered(passed: list[Passed], name: str) -> Passed:
    """The first exchange of that name that went well."""
    for each in passed:
        operation = operation_of(each)
        if operation is not None and operation.name == name and each.status == 200:
            return each
    raise LookupError(name)
