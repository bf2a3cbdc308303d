"""The badge: which refusals of a token are news, and which pause its user."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.in_process.delivering import Tokens
from transforms.errors import CredentialError, Trouble
from transforms.outreach.auth.access_token import AccessToken

NOW = 1_800_000_000.0


def test_a_refused_token_is_replaced_once_whoever_says_so() -> None:
    async def run() -> tuple[str, list[str]]:
        credential = Tokens(["old", "new"])
        access_token = AccessToken("ops", credential)
        await access_token.show(NOW)
        await asyncio.gather(*(access_token.refused("old", "ended", NOW) for _ in range(2)))
        assert access_token.unproven
        return await access_token.show(NOW), credential.refused_tokens

    assert asyncio.run(run()) == ("new", ["old"])


def test_what_is_said_of_an_earlier_token_is_no_news() -> None:
    async def run() -> None:
        credential = Tokens(["old", "new"])
        access_token = AccessToken("ops", credential)
        await access_token.show(NOW)
        await access_token.refused("old", "ended", NOW)
        await access_token.show(NOW)
        access_token.accepted("new")
        await access_token.refused("old", "ended", NOW)  # it was slow
        assert not access_token.unproven
        assert credential.refused_tokens == ["old"]

    asyncio.run(run())


def test_a_fresh_token_that_is_refused_too_is_for_a_person_to_mend() -> None:
    async def run() -> None:
        access_token = AccessToken("ops", Tokens(["old", "new", "newer"]))
        await access_token.show(NOW)
        await access_token.refused("old", "ended", NOW)
        await access_token.show(NOW)
        access_token.accepted("old")  # which was let in before it ended
        with pytest.raises(CredentialError, match="fresh token is refused too: why"):
            await access_token.refused("new", "why", NOW)

    asyncio.run(run())


def test_tokens_that_end_one_after_the_other_pause_nobody() -> None:
    async def run() -> list[str]:
        tokens = [f"token-{number}" for number in range(5)]
        credential = Tokens(list(tokens))
        access_token = AccessToken("ops", credential)
        for token in tokens[:-1]:
            assert await access_token.show(NOW) == token
            access_token.accepted(token)
            await access_token.refused(token, "ended", NOW)
        assert await access_token.show(NOW) == tokens[-1]
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
        access_token = AccessToken("ops", TakingTurns(["old", "new", "newer"]))
        await access_token.show(NOW)
        first, second = (access_token.refused("old", "ended", NOW) for _ in range(2))
        slow = asyncio.gather(first, second)
        for _ in range(3):
            await asyncio.sleep(0)
        assert access_token.unproven
        assert await access_token.show(NOW) == "new"
        access_token.accepted("new")
        await slow
        assert not access_token.unproven

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
        access_token = AccessToken("ops", Stubborn())
        await access_token.refused(await access_token.show(NOW), "ended", NOW)
        with pytest.raises(CredentialError, match="there is no other") as raised:
            await access_token.show(NOW)
        assert "s3cr3t" not in f"{raised.value}{access_token!r}"

    asyncio.run(run())


class Waiting(Stubborn):
    """A credential that cannot renew just now."""

    async def refused(self, token: str, now: float) -> None:
        del token, now
        raise Trouble("one token a minute")


def test_a_token_that_cannot_be_replaced_just_now_may_be_tried_again() -> None:
    async def run() -> str:
        access_token = AccessToken("ops", Waiting())
        token = await access_token.show(NOW)
        with pytest.raises(Trouble):
            await access_token.refused(token, "ended", NOW)
        return await access_token.show(NOW)

    assert asyncio.run(run()) == "s3cr3t"
