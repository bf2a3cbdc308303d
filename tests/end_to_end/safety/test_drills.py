"""Fault drills: the program, as its user runs it, against a sandbox that is rude on purpose.

Whatever goes wrong, the prospects end as the oracle says, each change has one receipt, the
budget holds, no prospect is written to twice at once, and no secret is found anywhere.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from pipeline.sandbox.faults import FaultSettings
from pipeline.sandbox.request_log import LoggedRequest
from pipeline.sandbox.responses import ApiRequest, ApiResponse
from tests.support.data.trace import expected, flat_lines, segments
from tests.support.processes.program import (
    TOKEN,
    Ended,
    environment,
    write_destination,
    write_lines,
)
from tests.support.servers.connected import (
    CLIENT_SECRET,
    CLIENT_SECRET_ENV,
    TOKEN_STORE,
    USER,
    connect,
    secrets_of,
)

pytestmark = [pytest.mark.drill, pytest.mark.real]

SEGMENTS = segments(3)
NUMBERS = {segment: number for number, segment in enumerate(SEGMENTS, 4)}
FIELDS = {segment: f"custom{number}" for segment, number in NUMBERS.items()}
OUTCOMES = ("delivered", "unchanged", "superseded", "rejected", "deferred")

PROSPECTS = 150
LINES = list(flat_lines(360, PROSPECTS, SEGMENTS))
"""They change some 135 prospects: enough to be read before they are written."""
BUDGET = {"requests": 150, "per_seconds": 1.0, "reserve": 30}
IN_FLIGHT = 16
HALFWAY = 30

IMPATIENT = """
import functools
from transforms.outreach import client
client.Timeouts = functools.partial(client.Timeouts, total_seconds=0.4)
from pipeline.cli import main
main()
"""
"""The program, but that it waits less than the half a minute for an answer."""


def rude(**faults: float) -> SandboxOptions:
    """A sandbox whose hour is short, with such faults."""
    return SandboxOptions(
        prospects=PROSPECTS,
        limit=int(BUDGET["requests"]),
        hour=BUDGET["per_seconds"],
        window="sliding",
        latency_seconds=0.02,
        tokens={TOKEN: "ops"},
        approve="ops",
        token_interval=1.0,
        faults=FaultSettings.model_validate(faults),
    )


def drill(
    sandbox: Sandbox,
    folder: Path,
    *more: str,
    budget: Mapping[str, float] = BUDGET,
    **destination: object,
) -> Ended:
    """Replays `LINES`."""
    write_lines(folder / "in.jsonl", LINES)
    write_destination(folder, sandbox.url, NUMBERS, budget=budget, **destination)
    ended = subprocess.run(
        [
            *(sys.executable, "-c", IMPATIENT, "replay", "in.jsonl"),
            "--destination=destination.yaml",
            "--receipts=receipts.jsonl",
            "--dead_letters=dead_letters.jsonl",
            "--summary=summary.json",
            *more,
        ],
        cwd=folder,
        env=environment(**{CLIENT_SECRET_ENV: CLIENT_SECRET}),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr, folder)


def halfway(sandbox: Sandbox, act: Callable[[], object]) -> None:
    """Does something to a sandbox when it is asked for the thirtieth time from now."""
    middleware = sandbox._outreach.middleware
    answer, places = middleware.answer, itertools.count(1)

    def answer_or_act(asked: ApiRequest, exchange: LoggedRequest, now: float) -> ApiResponse:
        if next(places) == HALFWAY:
            act()
        return answer(asked, exchange, now)

    middleware.answer = answer_or_act  # type: ignore[method-assign]


def assert_all_is_well(sandbox: Sandbox, ended: Ended, *, throttled: int = 0) -> None:
    """What holds of every drill that ends by itself, whatever went wrong in it."""
    assert ended.status == 0, ended.stderr
    assert held(sandbox) == expected(LINES, FIELDS)
    summary = ended.summary
    assert summary["changes"] == sum(summary[outcome] for outcome in OUTCOMES) == len(LINES)
    assert Counter(map(told, ended.receipts)) == Counter(map(told, map(json.loads, LINES)))
    assert ended.dead_letters == []
    assert summary["throttled"] == answers(sandbox).count(429) <= throttled
    assert_careful(sandbox)
    assert_silent(sandbox, ended)


def assert_careful(sandbox: Sandbox) -> None:
    """Never two writes at once to a prospect, nor more than the budget in any span."""
    assert sandbox.violations() == []
    arrivals = [one.started_at for one in asked(sandbox)]
    allowance = BUDGET["requests"] - BUDGET["reserve"]
    for start in arrivals:
        ends = start + sandbox.options.hour
        assert sum(start <= arrival < ends for arrival in arrivals) <= allowance


def assert_silent(sandbox: Sandbox, ended: Ended) -> None:
    """No secret in anything that the program wrote, but for the tokens' own store."""
    outputs = {path.name: path.read_bytes() for path in ended.folder.iterdir()}
    outputs |= {"stdout": ended.stdout.encode(), "stderr": ended.stderr.encode()}
    assert {"receipts.jsonl", "dead_letters.jsonl", "summary.json"} < outputs.keys()
    outputs.pop(TOKEN_STORE, None)
    secrets = [secret.encode() for secret in {*secrets_of(sandbox, ended.folder), TOKEN}]
    assert [name for name, text in outputs.items() if any(map(text.__contains__, secrets))] == []


def asked(sandbox: Sandbox) -> list[LoggedRequest]:
    """Requests to the API."""
    return [one for one in sandbox.requests() if one.path.startswith("/api/")]


def answers(sandbox: Sandbox) -> list[int | None]:
    return [one.status for one in asked(sandbox)]


def held(sandbox: Sandbox) -> dict[int, dict[str, object]]:
    return {prospect: fields for prospect, fields in sandbox.prospects().items() if fields}


def told(change: dict[str, object]) -> tuple[object, ...]:
    """What tells a change from others, of a line and of a receipt alike."""
    status = change.get("status", change.get("value"))
    return change["outreach_id"], change["segment"], change["event_time"], status


def token_requests(sandbox: Sandbox) -> list[LoggedRequest]:
    return [one for one in sandbox.requests() if one.path == "/oauth/token"]


@pytest.mark.parametrize(
    ("fault", "settings"),
    [
        ("error_500", {}),
        ("error_502", {}),
        ("reset_before", {}),
        ("reset_after", {}),
        ("timeout", {"timeout_seconds": 30}),
        ("slow", {"slow_seconds": 0.2}),
    ],
)
def test_a_fault_of_the_server_loses_nothing(
    tmp_path: Path, fault: str, settings: dict[str, float]
) -> None:
    with running_sandbox(rude(**{fault: 0.15}, **settings)) as sandbox:
        ended = drill(sandbox, tmp_path)

        assert_all_is_well(sandbox, ended)
        struck = [one for one in asked(sandbox) if one.fault == fault]
        prospects = len(expected(LINES, FIELDS))
        assert len(struck) > 10
        # One request to read, one to write each prospect, and one for each that came to nothing.
        in_vain = sum(status != 200 for status in answers(sandbox))
        assert len(asked(sandbox)) <= 1 + prospects + in_vain


def test_maintenance_is_waited_for_until_the_instant_it_names(tmp_path: Path) -> None:
    with running_sandbox(rude()) as sandbox:
        halfway(sandbox, lambda: sandbox.maintain(1.0))

        ended = drill(sandbox, tmp_path)

        assert_all_is_well(sandbox, ended)
        # Those in flight when it began, and none of them again before it ended.
        assert 0 < answers(sandbox).count(503) <= IN_FLIGHT


def test_an_expired_token_is_renewed_once_by_all_who_need_it(tmp_path: Path) -> None:
    with running_sandbox(rude()) as sandbox:
        connect(sandbox, tmp_path)
        first = json.loads((tmp_path / TOKEN_STORE).read_text())
        halfway(sandbox, lambda: sandbox.expire_tokens("ops"))

        ended = drill(sandbox, tmp_path, users=[USER | {"budget": BUDGET}])

        assert_all_is_well(sandbox, ended)
        assert 0 < answers(sandbox).count(401) <= IN_FLIGHT
        assert [one.status for one in token_requests(sandbox)] == [200, 200]
        stored = json.loads((tmp_path / TOKEN_STORE).read_text())
        assert stored["refresh_token"] != first["refresh_token"]
        assert (tmp_path / TOKEN_STORE).stat().st_mode & 0o777 == 0o600


def test_a_revoked_token_pauses_and_the_same_input_finishes_the_work(tmp_path: Path) -> None:
    with running_sandbox(rude()) as sandbox:
        connect(sandbox, tmp_path)
        halfway(sandbox, lambda: sandbox.revoke_tokens("ops"))
        users = [USER | {"budget": BUDGET}]

        ended = drill(sandbox, tmp_path, users=users)

        assert ended.status == 1
        assert "outreach-activation connect" in ended.stderr
        assert "Traceback" not in ended.stderr
        assert ended.dead_letters == []
        state = expected(LINES, FIELDS)
        written = held(sandbox)
        assert 0 < len(written) < len(state)
        assert all(fields == state[prospect] for prospect, fields in written.items())
        assert not Counter(map(told, ended.receipts)) - Counter(map(told, map(json.loads, LINES)))
        assert_careful(sandbox)
        assert_silent(sandbox, ended)

        connect(sandbox, tmp_path)
        again = drill(sandbox, tmp_path, users=users)

        assert_all_is_well(sandbox, again)
        assert again.summary["unchanged"] > 0


def test_what_other_tools_spend_evenly_is_left_to_them_without_a_429(tmp_path: Path) -> None:
    with running_sandbox(replace(rude(), foreign_per_hour=25)) as sandbox:
        ended = drill(sandbox, tmp_path)

        assert_all_is_well(sandbox, ended)


def test_what_other_tools_spend_at_once_is_waited_for_after_one_round_of_429(
    tmp_path: Path,
) -> None:
    with running_sandbox(replace(rude(), hour=3.0)) as sandbox:
        halfway(sandbox, lambda: sandbox.spend_elsewhere("ops", 1_000))

        ended = drill(sandbox, tmp_path, budget=BUDGET | {"per_seconds": 3.0})

        # What was in flight when the others spent it could not be known to be too much.
        assert_all_is_well(sandbox, ended, throttled=IN_FLIGHT)
        assert 429 in answers(sandbox)


# Seeds by which no prospect meets trouble more than twice in a row: the wait doubles each time.
@pytest.mark.parametrize(
    ("seed", "more"),
    [(7, []), (23, []), (26, ["--ledger=ledger.sqlite"])],
    ids=["once", "twice", "with a ledger"],
)
def test_all_faults_together_lose_nothing(tmp_path: Path, seed: int, more: list[str]) -> None:
    faults = rude(
        error_500=0.05,
        error_502=0.05,
        error_503=0.01,
        maintenance_seconds=0.2,
        reset_before=0.05,
        reset_after=0.05,
        timeout=0.03,
        timeout_seconds=30,
        slow=0.05,
        slow_seconds=0.2,
    )
    with running_sandbox(replace(faults, seed=seed, foreign_per_hour=20)) as sandbox:
        connect(sandbox, tmp_path)
        halfway(sandbox, lambda: sandbox.expire_tokens("ops"))

        ended = drill(sandbox, tmp_path, *more, users=[USER | {"budget": BUDGET}])

        assert_all_is_well(sandbox, ended)
        struck = {one.fault for one in asked(sandbox)}
        assert struck >= {"error_500", "error_502", "reset_before", "reset_after", "timeout"}
        assert 401 in answers(sandbox)
        assert [one.status for one in token_requests(sandbox)] == [200, 200]
