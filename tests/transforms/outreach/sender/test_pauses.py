"""What is wrong with every request alike pauses the user, keeps the work, names the remedy."""

from __future__ import annotations

import pytest

from pipeline.sandbox import SandboxOptions, running_sandbox
from tests.support.data.changes import ids_of_patches, patches
from tests.support.in_process.delivering import (
    OK,
    Answer,
    Asked,
    Table,
    Tokens,
    deliver,
    deliver_to,
    error,
    prospects_of,
    statuses,
)

pytestmark = pytest.mark.real


def test_a_mistake_of_our_own_pauses_the_user_and_keeps_the_work() -> None:
    unsupported = error("unsupportedMediaType")
    table = Table(lambda _, __: (415, {}, unsupported))
    given = patches(range(1, 41))

    sent = deliver_to(table, given)

    assert sent.outcomes == []
    assert sorted(prospects_of(sent.left)) == prospects_of(given)
    assert sent.sender.paused is not None
    assert "415" in sent.sender.paused.problem
    assert len(table.asked) == 1, "the first goes alone, so nothing else is asked"


def test_a_missing_scope_pauses_the_user_and_says_which() -> None:
    options = SandboxOptions(prospects=9, tokens={"good": "ops"}, scopes=("prospects.read",))
    with running_sandbox(options) as sandbox:
        sent = deliver(sandbox.url, patches(range(1, 10)))

        assert sent.outcomes == []
        assert len(sent.left) == 9
        assert "prospects.write" in str(sent.sender.paused)
        assert statuses(sandbox) == [403]


def test_a_refused_token_is_replaced_and_the_request_repeated() -> None:
    with running_sandbox(SandboxOptions(prospects=40, tokens={"good": "ops"})) as sandbox:
        credential = Tokens(["expired", "good"])

        sent = deliver(sandbox.url, patches(range(1, 41)), credential=credential)

        assert sent.tally == {"delivered": 40}
        assert sent.sender.paused is None
        assert credential.refused_tokens == ["expired"]


def test_a_token_that_ends_under_way_costs_no_change() -> None:
    ended: list[str] = []

    def answers(asked: Asked, before: int) -> Answer:
        if before >= 20:
            ended.append("first") if not ended else None
        refused = asked.token in ended
        return (401, {}, {"error": "Invalid JWT token."}) if refused else OK

    table = Table(answers, delay_seconds=0.005)
    credential = Tokens(["first", "second"])

    sent = deliver_to(table, patches(range(1, 81)), credential=credential)

    assert sent.tally == {"delivered": 80}
    assert sent.sender.paused is None
    assert set(credential.refused_tokens) == {"first"}


def test_a_fresh_token_that_is_refused_too_pauses_the_user_and_keeps_all_patches() -> None:
    with running_sandbox(SandboxOptions(prospects=40, tokens={"good": "ops"})) as sandbox:
        given = patches(range(1, 41))

        sent = deliver(sandbox.url, given, credential=Tokens(["bad", "worse", "worst"]))

        assert sent.outcomes == []
        assert ids_of_patches(sent.left) == ids_of_patches(given)
        assert "fresh token is refused too" in str(sent.sender.paused)
        assert len(sandbox.requests()) == 2
        assert sent.standing.waits_for == ""


def test_a_user_without_another_token_is_paused_with_the_remedy() -> None:
    with running_sandbox(SandboxOptions(prospects=4, tokens={"good": "ops"})) as sandbox:
        sent = deliver(sandbox.url, patches(range(1, 5)), credential=Tokens(["bad"]))

        assert len(sent.left) == 4
        assert sent.sender.paused is not None
        assert sent.sender.paused.remedy == "connect the user again"


def test_a_pause_lets_what_is_in_flight_end() -> None:
    scope = error("unauthorizedOauthScope", "missing required scope 'prospects.write'")

    def answers(_: Asked, before: int) -> Answer:
        return (403, {}, scope) if before == 5 else OK

    table = Table(answers, delay_seconds=0.01)

    sent = deliver_to(table, patches(range(1, 41)))

    assert len(table.asked) < 40
    assert sent.tally == {"delivered": len(table.asked) - 1}
    assert len(sent.left) == 41 - len(table.asked)


def test_no_token_is_in_what_people_see(caplog: pytest.LogCaptureFixture) -> None:
    with running_sandbox(SandboxOptions(prospects=2, tokens={"good": "ops"})) as sandbox:
        sent = deliver(sandbox.url, patches([1, 2]), credential=Tokens(["s3cr3t", "s3cr3t-2"]))

        seen = f"{sent.sender.paused} {sent.standing} {sent.sender!r} {caplog.text}"
        assert sent.sender.paused is not None
        assert "s3cr3t" not in seen
