"""Fault drills: the program, as its user runs it, against a sandbox that is rude on purpose.

Whatever goes wrong, the prospects end as the oracle says, each change has one receipt, the
budget holds, no prospect is written to twice at once, and no secret is found anywhere.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.sandbox import running_sandbox
from tests.end_to_end.safety.drilling import (
    BUDGET,
    IN_FLIGHT,
    LINES,
    answers,
    asked,
    assert_all_is_well,
    assert_careful,
    assert_silent,
    drill,
    halfway,
    held,
    rude,
    token_requests,
    told,
)
from tests.support.data.three_audiences import FIELDS
from tests.support.data.trace import expected
from tests.support.servers.connected import (
    TOKEN_STORE,
    USER,
    connect,
)

pytestmark = [pytest.mark.drill, pytest.mark.real]


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
