"""The log of what was asked, and of what no client should have asked."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.sandbox.responses import ApiRequest, ApiResponse

_ANSWERS_KEPT = 200
"""Bodies of answers kept for the page: a prospect's is some five kilobytes."""

_VIOLATIONS_KEPT = 10_000

_OK = 200
_WRITES = frozenset({"PATCH", "DELETE"})


@dataclass(slots=True)
class LoggedRequest:
    """One request and its answer.

    Attributes:
      number: counted from 1.
      user: who asked; None where the token named nobody.
      body: as it came, but without secrets.
      status: of the answer; None while there is none, and where none was ever given.
      answer: its body, of the last few exchanges only.
      started_at: epoch seconds.
      finished_at: epoch seconds; None while in flight.
      fault: the fault that befell it, if one did.
      altered: how many fields took another value.
    """

    number: int
    method: str
    path: str
    query: str
    body: bytes
    started_at: float
    user: str | None = None
    status: int | None = None
    answer: bytes | None = None
    finished_at: float | None = None
    fault: str | None = None
    altered: int = 0


class Violation(NamedTuple):
    """Something a careful client never does.

    Attributes:
      kind: ``overlap`` (two writes in flight for one record), ``over_limit`` (more
        than the limit within some window's length), ``impatient`` (asked again before
        the instant that a 429 named), ``token_hurry`` (two token requests within a
        minute), ``token_reuse`` (a refresh token used twice), ``everybody`` (a bulk
        action without ids), ``batch_overlap`` (a write beside a batch of the field).
      at: epoch seconds.
    """

    kind: str
    detail: str
    user: str | None
    at: float


class RequestLog:
    """Remembers the last requests, and counts them all.

    Attributes:
      revision: grows with everything worth showing.
      statuses: how often each status was answered; None counts the unanswered.
      unaltering: PATCHes answered 200 that changed nothing.
      violations: the last of them, oldest first; ``broken`` counts all by kind.
    """

    def __init__(self, keep: int) -> None:
        self.revision = 0
        self.statuses: Counter[int | None] = Counter()
        self.unaltering = 0
        self.violations: deque[Violation] = deque(maxlen=_VIOLATIONS_KEPT)
        self.broken: Counter[str] = Counter()
        self.exchanges: deque[LoggedRequest] = deque(maxlen=keep)
        self._number = 0
        self._in_flight: dict[str, LoggedRequest] = {}

    @property
    def count(self) -> int:
        """Requests so far, remembered or not."""
        return self._number

    def begin(self, asked: ApiRequest, now: float) -> LoggedRequest:
        """Enters a request that has arrived."""
        self._number += 1
        self.revision += 1
        exchange = LoggedRequest(
            self._number, asked.method, asked.path, asked.query, asked.body, started_at=now
        )
        self.exchanges.append(exchange)
        return exchange

    def find(self, number: int) -> LoggedRequest | None:
        """The request of this number, if it is still remembered."""
        place = number - (self._number - len(self.exchanges)) - 1
        return self.exchanges[place] if 0 <= place < len(self.exchanges) else None

    def overlapping(self, exchange: LoggedRequest) -> LoggedRequest | None:
        """The write to the same record that is still in flight, if there is one."""
        return self._in_flight.get(exchange.path) if exchange.method in _WRITES else None

    def enter(self, exchange: LoggedRequest) -> None:
        """Marks a write as in flight, and an overlap with another as a violation."""
        if exchange.method not in _WRITES:
            return
        earlier = self._in_flight.get(exchange.path)
        if earlier is not None:
            self.violate(
                "overlap",
                f"{exchange.method} {exchange.path} while request {earlier.number} was in flight",
                exchange.user,
                exchange.started_at,
            )
        self._in_flight[exchange.path] = exchange

    def finish(self, exchange: LoggedRequest, answer: ApiResponse | None, now: float) -> None:
        """Enters the answer, or that there was none."""
        if self._in_flight.get(exchange.path) is exchange:
            del self._in_flight[exchange.path]
        exchange.finished_at = now
        if answer is not None and answer.fate == "sent":
            exchange.status = answer.status
            exchange.answer = answer.body
            if exchange.method == "PATCH" and answer.status == _OK and not exchange.altered:
                self.unaltering += 1
        self.statuses[exchange.status] += 1
        if len(self.exchanges) > _ANSWERS_KEPT:
            self.exchanges[-1 - _ANSWERS_KEPT].answer = None
        self.revision += 1

    def violate(self, kind: str, detail: str, user: str | None, now: float) -> None:
        """Enters a violation."""
        self.violations.append(Violation(kind, detail, user, now))
        self.broken[kind] += 1
