"""A request and its answer: how it counts against the budget, and what it says of the server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from transforms.budget.budget import Budget
from transforms.budget.grant import Grant
from transforms.errors import Trouble
from transforms.outreach.backoff import CircuitBreaker
from transforms.outreach.client import Reply
from transforms.outreach.responses import Classification, Fate, read_limits, without

Judge = Callable[[Reply, float], Classification]
LATER: Final = (Fate.THROTTLED, Fate.MAINTENANCE, Fate.TROUBLE)
"""The fates of a request that is to be repeated, of which nothing else was learnt."""
NO_REPLY: Final = Reply(0, {}, b"")
"""What stands for the answer of a request that got none."""


class Exchange:
    """Awaits answers to requests that the budget has granted, and learns from each.

    Args:
      budget: is told how each request ended.
      breaker: is told how well the server is.
      clock: seconds since the epoch.

    Attributes:
      requests: sent.
      throttled: of them, those that were answered 429.
    """

    def __init__(
        self, budget: Budget | Grant, breaker: CircuitBreaker, clock: Callable[[], float]
    ) -> None:
        self._budget = budget
        self._breaker = breaker
        self._clock = clock
        self.requests = 0
        self.throttled = 0

    async def send(
        self, request: Awaitable[Reply], token: str, judge: Judge
    ) -> tuple[Classification, Reply]:
        """Sends a request; a refused token is left to the caller.

        Args:
          request: is sent when it is awaited.
          token: that it carries, which no text may tell.
          judge: decides the answer's fate.

        Returns:
          `Fate.TROUBLE` and `NO_REPLY` where there was no answer.
        """
        answers = self._budget.answers
        self.requests += 1
        try:
            reply = await request
        except Trouble as trouble:
            if trouble.sent:
                self._budget.unanswered(self._clock())
            else:
                self._budget.give_back()
                self.requests -= 1
            self._breaker.meet(str(trouble), self._clock())
            return Classification(Fate.TROUBLE, "unavailable", str(trouble)), NO_REPLY
        except BaseException:  # Cancelled, or a bug: it may have been carried out all the same.
            self._budget.unanswered(self._clock())
            raise
        now = self._clock()
        self._budget.learn(read_limits(reply.headers), now, answers_when_sent=answers)
        verdict = without(judge(reply, now), token)
        match verdict.fate:
            case Fate.THROTTLED:
                self.throttled += 1
                self._budget.exhausted(verdict.retry_at or now, now)
            case Fate.MAINTENANCE:
                self._breaker.refrain(verdict.detail, now, verdict.retry_at)
            case Fate.TROUBLE:
                self._breaker.meet(verdict.detail, now, verdict.retry_at)
            case Fate.UNAUTHENTICATED:
                pass
            case _:
                self._breaker.restore()
        return verdict, reply
