"""The way in: whose request it is, whether it fits the budget, what goes wrong with it."""

from __future__ import annotations

from pipeline.sandbox.api.resources import Resources
from pipeline.sandbox.auth.oauth import OAuth
from pipeline.sandbox.auth.tokens import TokenGrant, TokenRegistry
from pipeline.sandbox.faults import BEFORE_BUDGET, Faults, altered, answer_instead, marred
from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.rate_limit import Allowance, headers, too_many
from pipeline.sandbox.request_log import LoggedRequest, RequestLog
from pipeline.sandbox.responses import (
    ApiRequest,
    ApiResponse,
    bad_token,
    maintenance,
    plain,
    rate_limited,
)

_GRACE_SECONDS = 1.0
"""What was on its way when a 429 was answered arrives within this; it is not impatience."""


class ApiMiddleware:
    """Lets requests in to `Resources`, or turns them away.

    Attributes:
      allowances: user name to what is left of the hour.
    """

    def __init__(
        self,
        options: SandboxOptions,
        tokens: TokenRegistry,
        oauth: OAuth,
        resources: Resources,
        faults: Faults,
        request_log: RequestLog,
    ) -> None:
        self.allowances: dict[str, Allowance] = {}
        self._options = options
        self._tokens = tokens
        self._oauth = oauth
        self._resources = resources
        self._faults = faults
        self._request_log = request_log
        self._told_to_wait: dict[str, tuple[float, float]] = {}
        self._foreign: dict[str, tuple[float, float]] = {}

    def allowance(self, user: str) -> Allowance:
        """The allowance of a user, new if the user is."""
        options = self._options
        if user not in self.allowances:
            self.allowances[user] = Allowance(options.limit, options.hour, options.window)
        return self.allowances[user]

    def revoke(self, user: str) -> int:
        """Ends all tokens of a user; returns how many access tokens there were."""
        self._oauth.revoke(user)
        return self._tokens.revoke(user)

    def answer(self, asked: ApiRequest, exchange: LoggedRequest, now: float) -> ApiResponse:
        """Answers one request to the API: token, then budget, then trouble, then the work."""
        if len(asked.path) + len(asked.query) > self._options.max_url_bytes:
            return plain(414, "Request-URI Too Large\n")
        grant = self._tokens.identify(asked.authorization, now)
        if isinstance(grant, str):
            return bad_token(grant)
        exchange.user = grant.user
        self._request_log.enter(exchange)
        fault = self._faults.befalling(asked.method, asked.path)
        if fault in BEFORE_BUDGET:
            return self._turn_away(fault, grant, exchange, now)
        limit = self._options.limit
        if not limit:
            return self._let_in(asked, grant, exchange, fault, now)
        self._spend_elsewhere(grant.user, now)
        standing = self.allowance(grant.user).spend(now)
        if standing.over:
            self._request_log.violate(
                "over_limit", f"more than {limit:,} requests in a window", grant.user, now
            )
        if standing.allowed:
            answer = self._let_in(asked, grant, exchange, fault, now)
        else:
            self._note_impatience(grant.user, standing.reset, now)
            answer = rate_limited(*too_many(standing, limit))
        return answer.wearing(headers(standing, limit))

    def _turn_away(
        self, fault: str, grant: TokenGrant, exchange: LoggedRequest, now: float
    ) -> ApiResponse:
        self._strike(fault, exchange)
        if fault == "expire_token":
            grant.expires_at = now
            return bad_token("The JWT token has expired.")
        if fault == "revoke_token":
            self.revoke(grant.user)
        return bad_token("The JWT token could not be decoded.")

    def _let_in(
        self,
        asked: ApiRequest,
        grant: TokenGrant,
        exchange: LoggedRequest,
        fault: str | None,
        now: float,
    ) -> ApiResponse:
        faults = self._faults
        if now < faults.maintenance_until:
            self._strike("error_503", exchange)
            return maintenance(faults.maintenance_until)
        if fault is None:
            return self._resources.answer(asked, grant, exchange, now)
        self._strike(fault, exchange)
        instead = answer_instead(fault, faults.settings, now)
        if instead is not None:
            return instead
        answer = self._resources.answer(altered(asked, fault), grant, exchange, now)
        return marred(answer, fault, faults.settings)

    def _strike(self, fault: str, exchange: LoggedRequest) -> None:
        exchange.fault = fault
        self._faults.struck[fault] += 1

    def _spend_elsewhere(self, user: str, now: float) -> None:
        """Counts what the user's other tools have spent since this was last asked."""
        per_second = self._options.foreign_per_hour / self._options.hour
        if not per_second:
            return
        since, carried = self._foreign.get(user, (now, 0.0))
        due = carried + per_second * min(now - since, self._options.hour)
        self._foreign[user] = (now, due % 1)
        self.allowance(user).spend_elsewhere(int(due), now)

    def _note_impatience(self, user: str, reset: float, now: float) -> None:
        told_at, until = self._told_to_wait.get(user, (now, now))
        if now >= until:
            self._told_to_wait[user] = (now, reset)
        elif now > told_at + _GRACE_SECONDS:
            self._request_log.violate("impatient", f"asked {until - now:.1f} s early", user, now)
