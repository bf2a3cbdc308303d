"""One user's patches through a `Sender`, to the sandbox or to a server of a few lines."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from pipeline.sandbox import Sandbox
from pipeline.sandbox.custom_fields import CustomField
from tests.support.data.changes import ended, ids_of_patches, tally
from transforms.budget.budget import Budget
from transforms.budget.grant import Grant
from transforms.budget.terms import BudgetTerms
from transforms.clock import steady
from transforms.elements import Outcome, Patch
from transforms.errors import CredentialError
from transforms.outreach.auth.credentials import Credential
from transforms.outreach.client import OutreachClient, Timeouts
from transforms.outreach.delivery import Delivery, UserProgress
from transforms.outreach.sender import Sender

AMPLE = BudgetTerms(100_000, 3600.0, 0)
SHORT = CustomField("prospect", "custom5", "Short", max_length=3)
"""A field of a sandbox that refuses what is longer than three characters."""


@dataclass(slots=True)
class Tokens:
    """A credential that has these tokens, one after the other as each is refused."""

    tokens: list[str] = field(default_factory=lambda: ["good"])
    refused_tokens: list[str] = field(default_factory=list)

    async def token(self, now: float) -> str:
        del now
        return self.tokens[0]

    async def refused(self, token: str, now: float) -> None:
        del now
        self.refused_tokens.append(token)
        if token == self.tokens[0]:
            if len(self.tokens) == 1:
                raise CredentialError("ops", "there is no other token", "connect the user again")
            del self.tokens[0]


@dataclass(slots=True)
class Sent:
    """What came of a delivery."""

    outcomes: list[Outcome]
    left: list[Patch]
    sender: Sender
    budget: Budget | Grant

    @property
    def tally(self) -> dict[str, int]:
        return tally(self.outcomes)

    @property
    def standing(self) -> UserProgress:
        return self.sender.standing()

    def of(self, name: str) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.outcome == name]


Act = Callable[[Sender, list[Outcome]], Awaitable[None]]


async def delivering(
    url: str,
    patches: Sequence[Patch],
    *,
    credential: Credential | None = None,
    budget: Budget | Grant | None = None,
    delivery: Delivery | None = None,
    clock: Callable[[], float] = steady,
    timeouts: Timeouts | None = None,
    until: float = math.inf,
    seen: Callable[[Sender, Outcome], None] | None = None,
    act: Act | None = None,
    most_ids: int = 600,
) -> Sent:
    """Delivers, and checks that each change ended exactly once or is left.

    Args:
      url: of the server.
      patches: to be sent.
      credential: one that is always let in, if none is given.
      budget: ample, if none is given.
      delivery: as by default.
      clock: the real one, if none is given.
      timeouts: as by default.
      until: see `Sender.deliver`.
      seen: is told each outcome as it is known.
      act: runs beside the delivery and is cancelled when that ends.
      most_ids: prospects that one request may read.
    """
    outcomes: list[Outcome] = []

    def emit(outcome: Outcome) -> None:
        outcomes.append(outcome)
        if seen is not None:
            seen(sender, outcome)

    spending = budget or Budget(AMPLE)
    async with OutreachClient(url, timeouts=timeouts, most_ids=most_ids) as client:
        sender = Sender(
            "ops", client, credential or Tokens(), spending, delivery or Delivery(), emit, clock
        )
        beside = None if act is None else asyncio.create_task(_run(act, sender, outcomes))
        try:
            left = await sender.deliver(patches, until)
        finally:
            if isinstance(spending, Budget):
                assert spending.in_flight == 0, "a grant was neither used nor given back"
        if beside is not None:
            beside.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beside
    assert sorted(ended(outcomes) + ids_of_patches(left)) == ids_of_patches(patches)
    assert sender.standing().in_flight == sender.standing().waiting == 0
    return Sent(outcomes, left, sender, spending)


async def _run(act: Act, sender: Sender, outcomes: list[Outcome]) -> None:
    await act(sender, outcomes)


async def until_it_waits(sender: Sender) -> str:
    """Returns when a sender waits, with its reason."""
    while not sender.standing().waits_for:  # noqa: ASYNC110 - it tells nobody, it is asked
        await asyncio.sleep(0.002)
    return sender.standing().waits_for


def deliver(url: str, patches: Sequence[Patch], **how: Any) -> Sent:
    """As `delivering`, in a loop of its own."""
    return asyncio.run(delivering(url, patches, **how))


@dataclass(slots=True)
class Asked:
    """One request that a `Table` was asked.

    Attributes:
      prospect: its id; 0 where many were to be read.
      attributes: to be written.
      token: that it carried.
      beside: how many others were in flight when it came.
    """

    prospect: int
    attributes: dict[str, Any]
    token: str
    beside: int


ECHO = "what was written"

Answer = tuple[int, Mapping[str, str], object] | None
"""Status, headers and body (JSON, or text); None to hang up without an answer."""


class Table:
    """A server of which each answer is looked up: for what the sandbox never answers.

    Args:
      answers: gives the answer to a request and how many came before it.
      delay_seconds: how long each answer takes.
    """

    def __init__(self, answers: Callable[[Asked, int], Answer], delay_seconds: float = 0.0) -> None:
        self.asked: list[Asked] = []
        self._answers = answers
        self._delay_seconds = delay_seconds
        self._in_flight = 0

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        data = json.loads(body)["data"] if body else {"id": 0, "attributes": {}}
        token = request.headers["Authorization"].removeprefix("Bearer ")
        asked = Asked(data["id"], data["attributes"], token, self._in_flight)
        before = len(self.asked)
        self.asked.append(asked)
        self._in_flight += 1
        try:
            await asyncio.sleep(self._delay_seconds)
        finally:
            self._in_flight -= 1
        answer = self._answers(asked, before)
        if answer is None:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        status, headers, content = answer
        if content == ECHO:
            content = {"data": {"type": "prospect", **data} if asked.prospect else []}
        text = content if isinstance(content, str) else json.dumps(content)
        return web.Response(status=status, headers=headers, text=text)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0.1)  # type: ignore[arg-type]
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        try:
            yield f"http://{host}:{port}"
        finally:
            await runner.cleanup()


def deliver_to(table: Table, patches: Sequence[Patch], **how: Any) -> Sent:
    """As `deliver`, to a server that is there for so long."""

    async def run() -> Sent:
        async with table.serving() as url:
            return await delivering(url, patches, **how)

    return asyncio.run(run())


def error(kind: str, detail: str = "so it is", pointer: str | None = None) -> dict[str, object]:
    """An error document of the API."""
    member: dict[str, object] = {"id": kind, "title": kind, "detail": detail}
    if pointer is not None:
        member["source"] = {"pointer": pointer}
    return {"errors": [member]}


OK: Answer = (200, {}, ECHO)
"""The prospect that was written, with what was written; a list of nobody where it was read."""


def values(sandbox: Sandbox, field_name: str = "custom4") -> dict[int, object]:
    """What one field holds, by prospect, where it holds something."""
    found = {who: attributes.get(field_name) for who, attributes in sandbox.prospects().items()}
    return {who: value for who, value in found.items() if value is not None}


def statuses(sandbox: Sandbox, method: str = "PATCH") -> list[int | None]:
    """Of the answers to requests, in the order of asking."""
    return [each.status for each in sandbox.requests() if each.method == method]


def most_at_once(sandbox: Sandbox) -> int:
    """The most requests that were ever in flight together."""
    spans = [(each.started_at, each.finished_at or math.inf) for each in sandbox.requests()]
    return max(sum(start <= at < end for start, end in spans) for at, _ in spans)


def prospects_of(patches: Iterable[Patch]) -> list[int]:
    return [one.outreach_id for one in patches]
