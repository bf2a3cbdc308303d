"""Requests besides the sender's: one after the other, in one user's name, within its budget.

Reading the org, looking people up and bulk actions ask this way. What an answer means for the
budget, the token and the server's state is learnt as the sender learns it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from transforms.budget.budget import Budget
from transforms.budget.grant import Grant
from transforms.errors import CredentialError, Trouble
from transforms.outreach.auth.access_token import AccessToken
from transforms.outreach.auth.credentials import Credential
from transforms.outreach.backoff import CircuitBreaker
from transforms.outreach.client import OutreachClient, Reply
from transforms.outreach.proof import classify_read
from transforms.outreach.requests.exchange import LATER, Exchange, Judge
from transforms.outreach.responses import Classification, Fate


class NotNow(Exception):  # noqa: N818 - it passes
    """Nothing can be asked at present: the budget is spent, or the server is unwell.

    Attributes:
      why: for people.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class NotAllowedError(CredentialError):
    """Outreach does not let this user ask for that; what it says elsewhere is not affected."""


class Answer(NamedTuple):
    """What was answered.

    Attributes:
      verdict: its fate; `Fate.ACCEPTED`, or a refusal for good.
      body: as it came.
      headers: found in any case.
    """

    verdict: Classification
    reply: Reply


class Requester:
    """Asks in one user's name.

    Args:
      user: the user's name, for messages.
      client: with the connections.
      credential: of this user.
      budget: of this user; spent and corrected here.
      breaker: what earlier requests of this user learnt of the server; changed here.
      clock: seconds since the epoch.

    Attributes:
      user: the user's name.
      most_ids: that a request may name.
      exchange: counts what was sent.
    """

    def __init__(
        self,
        user: str,
        client: OutreachClient,
        credential: Credential,
        budget: Budget | Grant,
        breaker: CircuitBreaker,
        clock: Callable[[], float],
    ) -> None:
        self.user = user
        self.most_ids = client.most_ids
        self._client = client
        self._access_token = AccessToken(user, credential)
        self._budget = budget
        self._breaker = breaker
        self._clock = clock
        self.exchange = Exchange(budget, breaker, clock)

    async def ask(
        self,
        path: str,
        *,
        method: str = "GET",
        body: bytes | None = None,
        judge: Judge = classify_read,
    ) -> Answer:
        """Sends a request, and once more with another token where the first is refused.

        Args:
          path: of the API, with its query, percent-encoded.
          method: of HTTP.
          body: a JSON:API document.
          judge: decides the answer's fate.

        Raises:
          NotNow: there is no budget left, or the answer says to come later.
          CredentialError: a person has to mend something.
        """
        while True:
            now = self._clock()
            if self._breaker.held_until > now:
                raise NotNow(self._breaker.held_for)
            token = await self._token(now)
            granted, _ = self._budget.take(1, self._clock())
            if not granted:
                raise NotNow("budget")
            answer = await self._send(method, path, token, body, judge)
            verdict = answer.verdict
            if verdict.fate is Fate.UNAUTHENTICATED:
                continue  # The token's second refusal is an error of its credential.
            if verdict.fate in LATER:
                raise NotNow(verdict.detail)
            if verdict.fate is Fate.PAUSE:
                raise NotAllowedError(self.user, verdict.detail, verdict.remedy)
            return answer

    async def _token(self, now: float) -> str:
        try:
            return await self._access_token.show(now)
        except Trouble as trouble:
            self._breaker.refrain(str(trouble), now)
            raise NotNow(str(trouble)) from None

    async def _send(
        self, method: str, path: str, token: str, body: bytes | None, judge: Judge
    ) -> Answer:
        request = self._client.request(method, path, token, body)
        verdict, reply = await self.exchange.send(request, token, judge)
        if verdict.fate is Fate.UNAUTHENTICATED:
            now = self._clock()
            try:
                await self._access_token.refused(token, verdict.detail, now)
            except Trouble as trouble:
                self._breaker.refrain(str(trouble), now)
                raise NotNow(str(trouble)) from None
        elif verdict.fate not in LATER:
            self._access_token.accepted(token)
        return Answer(verdict, reply)
