"""A drill: lines, a sandbox that is rude, and what must be so when it ends."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline.sandbox import Sandbox, SandboxOptions
from pipeline.sandbox.faults import FaultSettings
from pipeline.sandbox.request_log import LoggedRequest
from pipeline.sandbox.responses import ApiRequest, ApiResponse
from tests.support.data.three_audiences import FIELDS, NUMBERS, SEGMENTS
from tests.support.data.trace import expected, flat_lines
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
    secrets_of,
)

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
