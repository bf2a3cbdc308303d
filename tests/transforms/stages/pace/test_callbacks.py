"""What each callback of Pace leaves in state and timers to the next."""

from __future__ import annotations

import pytest

from pipeline.sandbox import Sandbox
from tests.support.data.changes import patch, patches, tally
from tests.support.in_process.delivering import values
from tests.transforms.stages.pace.pacing import ALLOWANCE, Stage
from transforms.stages import patch_stateful

pytestmark = pytest.mark.real


def test_a_patch_of_nobody_fails_the_bundle(stage: tuple[Stage, Sandbox]) -> None:
    user, _ = stage
    user.key = "nobody"
    with pytest.raises(KeyError, match="no user whose patches go by 'nobody'"):
        user.process(patch(1))


def test_the_debit_is_left_to_be_committed_before_anything_is_sent(
    stage: tuple[Stage, Sandbox],
) -> None:
    user, sandbox = stage
    user.probe()
    for one in patches(range(1, 6)):
        user.process(one)

    user.grant()

    assert len(sandbox.requests()) == 1, "granting sends nothing"
    assert len(user.granted.elements) == 5
    assert user.budget().in_flight == user.allowed.read() >= 5
    assert user.budget().available(0.0) == ALLOWANCE - 1 - user.allowed.read()
    user.send()
    assert user.budget().in_flight == 0
    assert user.budget().available(0.0) == ALLOWANCE - 6


def test_a_turn_that_is_run_again_spends_no_more_than_it_was_granted(
    stage: tuple[Stage, Sandbox],
) -> None:
    user, sandbox = stage
    user.probe()
    for one in patches(range(1, 6)):
        user.process(one)
    user.grant()
    committed = [cell.copy() for cell in (user.queued, user.granted, user.allowed, user.spent)]
    user.send()  # and the worker is lost before that is committed

    user.queued, user.granted, user.allowed, user.spent = committed  # type: ignore[assignment]
    outcomes = user.send()

    assert tally(outcomes) == {"delivered": 5}
    assert user.budget().in_flight == 0
    assert user.budget().available(0.0) <= ALLOWANCE - 6
    assert values(sandbox).keys() == {1, 2, 3, 4, 5, 100}


def test_what_comes_amid_a_turn_waits_for_the_next_and_takes_no_budget_of_its_own(
    stage: tuple[Stage, Sandbox],
) -> None:
    user, _ = stage
    user.probe()
    user.process(patch(1))
    user.grant_timer.at = None  # it fires
    user.grant()
    granted = user.budget().in_flight

    user.process(patch(2))

    assert (user.grant_timer.at, user.send_timer.at) == (None, 0.0)
    assert user.budget().in_flight == granted
    assert tally(user.send()) == {"delivered": 1}
    assert user.grant_timer.at == 0.0
    assert (user.grant(), tally(user.send())) == ([], {"delivered": 1})


def test_what_comes_after_trouble_of_others_begins_a_turn_at_once(
    stage: tuple[Stage, Sandbox],
) -> None:
    user, sandbox = stage
    user.probe()
    sandbox.set_faults(error_500=1.0)
    user.process(patch(1))
    assert (user.grant(), user.send(), user.grant()) == ([], [], [])
    assert user.grant_timer.at == 400.0

    sandbox.set_faults(error_500=0.0)
    user.process(patch(2))

    assert user.grant_timer.at == 0.0
    assert (user.grant(), tally(user.send())) == ([], {"delivered": 1})


def test_what_comes_for_a_prospect_that_met_trouble_waits_with_it(
    stage: tuple[Stage, Sandbox],
) -> None:
    user, sandbox = stage
    user.probe()
    sandbox.set_faults(error_500=1.0)
    user.process(patch(1))
    user.grant()
    user.process(patch(1, custom5="x"))
    user.send()

    user.grant()

    assert (user.grant_timer.at, len(user.head.elements)) == (400.0, 1)
    assert len(user.head.elements[0].changes) == 2


def test_what_comes_amid_the_turn_of_what_met_trouble_begins_no_other(
    stage: tuple[Stage, Sandbox],
) -> None:
    user, sandbox = stage
    user.probe()
    sandbox.set_faults(error_500=1.0)
    user.process(patch(1))
    assert (user.grant(), user.send(), user.grant()) == ([], [], [])
    user.now, user.grant_timer.at = 400.0, None  # it fires
    user.grant()

    user.process(patch(2))

    assert (user.grant_timer.at, user.send_timer.at) == (None, 400.0)


def test_what_comes_while_the_server_is_left_alone_begins_no_turn(
    stage: tuple[Stage, Sandbox],
) -> None:
    user, sandbox = stage
    sandbox.maintain(100)
    user.process(patch(1))
    assert (user.grant(), user.send(), user.grant_timer.at) == ([], [], 100.0)

    user.process(patch(2))

    assert user.grant_timer.at == 100.0


def test_a_key_with_nothing_to_send_sets_no_timer(stage: tuple[Stage, Sandbox]) -> None:
    user, _ = stage
    user.probe()
    user.grant_timer.at = user.send_timer.at = None

    user.grant()

    assert (user.grant_timer.at, user.send_timer.at, user.awake.read()) == (None, None, None)


def test_a_worker_that_takes_over_sends_one_alone_before_it_trusts_the_count(
    stage: tuple[Stage, Sandbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    user, _ = stage
    user.probe()
    monkeypatch.setattr(patch_stateful, "PROCESS", "another")
    for one in patches(range(1, 6)):
        user.process(one)

    user.grant()
    assert len(user.granted.elements) == 1
    user.send()
    user.grant()
    assert len(user.granted.elements) == 4


def test_nothing_that_is_far_ahead_keeps_a_drained_job_waiting(
    stage: tuple[Stage, Sandbox],
) -> None:
    user, sandbox = stage
    user.probe()
    user.process(patch(1))
    user.grant_timer.at = 3600.0

    ended_ = user.end_window()

    assert tally(ended_) == {"deferred": 1}
    assert user.grant_timer.at == user.now
    assert (user.grant(), user.send()) == ([], [])
    assert user.grant_timer.at == user.now, "it is not set again for nothing"
    assert len(sandbox.requests()) == 1


def test_what_a_turn_leaves_undone_after_the_end_is_deferred_as_well(
    stage: tuple[Stage, Sandbox],
) -> None:
    user, _ = stage
    user.process(patch(1))
    user.end_timer.at = None  # it has fired

    user.grant()
    user.send()

    assert user.end_timer.at is not None
