"""All that a sandbox is, apart from sockets and clocks."""

from __future__ import annotations

from pipeline.sandbox.api.persistence import StateSaver, read_records, restore
from pipeline.sandbox.api.records import LINKED, Collection
from pipeline.sandbox.api.resources import Resources
from pipeline.sandbox.auth.oauth import OAuth
from pipeline.sandbox.auth.s2s import exchange_assertion, verifier
from pipeline.sandbox.auth.tokens import TokenRegistry, bearer
from pipeline.sandbox.custom_fields import every_field
from pipeline.sandbox.faults import Faults
from pipeline.sandbox.fields import ResourceKind
from pipeline.sandbox.middleware import ApiMiddleware
from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.request_log import LoggedRequest, RequestLog
from pipeline.sandbox.responses import ApiRequest, ApiResponse, internal_error, not_found


class Outreach:
    """The parts of a sandbox, put together.

    Args:
      options: how it behaves.
      now: epoch seconds, at which what it starts with was created.

    Raises:
      ConfigurationError: a file that the options name holds something else.
      OSError: such a file cannot be read or written.
    """

    def __init__(self, options: SandboxOptions, now: float) -> None:
        self.options = options
        self.collections: dict[ResourceKind, Collection] = {
            "prospect": Collection("prospect"),
            "account": Collection("account"),
        }
        self.custom_fields = every_field(options.fields)
        self.request_log = RequestLog(options.keep_requests)
        self.tokens = TokenRegistry(options.tokens, options.scopes)
        self.oauth = OAuth(options, self.tokens, self.request_log)
        self.faults = Faults(options.faults, options.seed)
        self.resources = Resources(
            self.collections, self.custom_fields, options, self.faults, self.request_log
        )
        self.middleware = ApiMiddleware(
            options, self.tokens, self.oauth, self.resources, self.faults, self.request_log
        )
        self._verify = verifier(options.s2s_key) if options.s2s_key else None
        self._keeper = StateSaver(options.data, self.collections) if options.data else None
        known = self._keeper.open(now) if self._keeper else False
        if not known:
            for record_id in range(1, options.prospects + 1):
                self.collections["prospect"].add(record_id, {}, now)
            if options.prospects_from is not None:
                restore(read_records(options.prospects_from), self.collections, now)

    def close(self) -> None:
        """Closes the file that the records are kept in."""
        if self._keeper is not None:
            self._keeper.close()

    def answer_api(self, asked: ApiRequest, exchange: LoggedRequest, now: float) -> ApiResponse:
        """Answers a request under ``/api/v2/``."""
        return self.middleware.answer(asked, exchange, now)

    def answer_token(self, asked: ApiRequest, exchange: LoggedRequest, now: float) -> ApiResponse:
        """Answers a request to the token endpoint."""
        fault = self.faults.befalling_token(asked.method, asked.path)
        if fault is not None:
            exchange.fault = fault
            self.faults.struck[fault] += 1
        if fault == "token_error":
            exchange.body = b""
            return internal_error()
        answer = self.oauth.token(asked, exchange, now)
        return answer._replace(fate="reset") if fault == "token_lost" else answer

    def answer_assertion(
        self, asked: ApiRequest, install_id: str, exchange: LoggedRequest, now: float
    ) -> ApiResponse:
        """Answers a server-to-server token request."""
        if self._verify is None:
            return not_found("This sandbox was given no key for server-to-server assertions.")
        exchange.user = f"s2s-{install_id}"
        assertion = bearer(asked.authorization)
        return exchange_assertion(assertion, install_id, self.tokens, self._verify, now)

    def delete(self, kind: ResourceKind, record_id: int, now: float) -> None:
        """Deletes a record; nobody is tied to an account that is gone."""
        self.collections[kind].remove(record_id, now)
        if kind == LINKED:
            self.collections["prospect"].unlink(record_id, now)

    def users(self) -> list[str]:
        """Every user known, in order of appearance."""
        return list(dict.fromkeys([*self.tokens.users(), *self.middleware.allowances]))
