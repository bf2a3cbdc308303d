"""The badge: which refusals of a token are news, and which pause its user."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.delivering import Tokens
from transforms.errors import CredentialError, Trouble
from transforms.outreach.auth.access_token import Badge

NOW = 1_800_000_000.0


def test_a_refused_token_is_replaced_once_whoever_says_so() -> None:
    async def run() -> tuple[str, list[str]]:
        credential = Tokens(["old", "new"])
        badge = Badge("ops", credential)
        await badge.show(NOW)
        await asyncio.gather(*(badge.refused("old", "ended", NOW) for _ in range(2)))
        assert badge.unproven
        return await badge.show(NOW), credential.refused_tokens

    assert asyncio.run(run()) == ("new", ["old"])


def test_what_is_said_of_an_earlier_token_is_no_news() -> None:
    async def run() -> None:
        credential = Tokens(["old", "new"])
        badge = Badge("ops", credential)
        await badge.show(NOW)
        await badge.refused("old", "ended", NOW)
        await badge.show(NOW)
        badge.accepted("new")
        await badge.refused("old", "ended", NOW)  # it was slow
        assert not badge.unproven
        assert credential.refused_tokens == ["old"]

    asyncio.run(run())


def test_a_fresh_token_that_is_refused_too_is_for_a_person_to_mend() -> None:
    async def run() -> None:
        badge = Badge("ops", Tokens(["old", "new", "newer"]))
        await badge.show(NOW)
        await badge.refused("old", "ended", NOW)
        await badge.show(NOW)
        badge.accepted("old")  # which was let in before it ended
        with pytest.raises(CredentialError, match="fresh token is refused too: why"):
            await badge.refused("new", "why", NOW)

    asyncio.run(run())


def test_tokens_that_end_one_after_the_other_pause_nobody() -> None:
    async def run() -> list[str]:
        tokens = [f"token-{number}" for number in range(5)]
        credential = Tokens(list(tokens))
        badge = Badge("ops", credential)
        for token in tokens[:-1]:
            assert await badge.show(NOW) == token
            badge.accepted(token)
            await badge.refused(token, "ended", NOW)
        assert await badge.show(NOW) == tokens[-1]
        return credential.refused_tokens

    assert len(asyncio.run(run())) == 4


class TakingTurns(Tokens):
    """A credential that lets whoever was refused wait, the later the longer."""

    async def refused(self, token: str, now: float) -> None:
        turn = len(self.refused_tokens)
        await Tokens.refused(self, token, now)
        for _ in range(1 + 5 * turn):
            await asyncio.sleep(0)


def test_who_waited_while_the_token_was_replaced_does_not_make_the_new_one_doubtful() -> None:
    async def run() -> None:
        badge = Badge("ops", TakingTurns(["old", "new", "newer"]))
        await badge.show(NOW)
        first, second = (badge.refused("old", "ended", NOW) for _ in range(2))
        slow = asyncio.gather(first, second)
        for _ in range(3):
            await asyncio.sleep(0)
        assert badge.unproven
        assert await badge.show(NOW) == "new"
        badge.accepted("new")
        await slow
        assert not badge.unproven

    asyncio.run(run())


class Stubborn:
    """A credential that has nothing new to show."""

    async def token(self, now: float) -> str:
        del now
        return "s3cr3t"

    async def refused(self, token: str, now: float) -> None:
        del token, now


def test_the_same_token_after_its_refusal_is_for_a_person_to_mend() -> None:
    async def run() -> None:
        badge = Badge("ops", Stubborn())
        await badge.refused(await badge.show(NOW), "ended", NOW)
        with pytest.raises(CredentialError, match="there is no other") as raised:
            await badge.show(NOW)
        assert "s3cr3t" not in f"{raised.value}{badge!r}"

    asyncio.run(run())


class Waiting(Stubborn):
    """A credential that cannot renew just now."""

    async def refused(self, token: str, now: float) -> None:
        del token, now
        raise Trouble("one token a minute")


def test_a_token_that_cannot_be_replaced_just_now_may_be_tried_again() -> None:
    async def run() -> str:
        badge = Badge("ops", Waiting())
        token = await badge.show(NOW)
        with pytest.raises(Trouble):
            await badge.refused(token, "ended", NOW)
        return await badge.show(NOW)

    assert asyncio.run(run()) == "s3cr3t"
