"""Trouble on request: what goes wrong, how often, and always with the same requests.

Which requests a fault befalls is drawn from the seed, the method, the path and how often
that pair was asked, never from the order in which requests arrive: a run can be repeated
however its requests interleave.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Annotated, Final

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline.sandbox.responses import (
    ApiRequest,
    ApiResponse,
    bad_gateway,
    internal_error,
    login_page,
    maintenance,
)

Rate = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, le=86_400)]

API_FAULTS: Final[Mapping[str, str]] = {
    "error_500": "Internal server error",
    "error_502": "Bad gateway, in HTML",
    "error_503": "Scheduled maintenance, Retry-After an instant",
    "reset_before": "Connection reset before the write",
    "reset_after": "Connection reset after the write",
    "timeout": "Written, but never answered",
    "slow": "Written, and answered late",
    "login_page": "A proxy's login page, with 200",
    "field_dropped": "200, but a field is not kept",
    "value_cut": "200, but a value is cut short",
    "unauthorized": "401 once, though the token is good",
    "expire_token": "The access token expires",
    "revoke_token": "The user disconnects: all tokens end",
}
"""Faults of requests to the API, which exclude each other."""

TOKEN_FAULTS: Final[Mapping[str, str]] = {
    "token_error": "Token endpoint: internal server error",
    "token_lost": "Token endpoint: the new pair is lost on its way",
}
"""Faults of requests to the token endpoint."""

BATCH_FAULTS: Final[Mapping[str, str]] = {
    "batch_hangs": "Batch: confirmed, and never carried out",
    "batch_fails": "Batch: fails half-way",
    "batch_skips": "Batch: finished, and a tenth is left out",
    "batch_miscounts": "Batch: claims more records than were named",
}
"""Faults of bulk actions, drawn when one is created."""

BEFORE_BUDGET: Final = frozenset({"unauthorized", "expire_token", "revoke_token"})
"""Faults at the gateway, which cost no budget."""

_DRAW_BYTES = 7
_DRAWS = 2 ** (8 * _DRAW_BYTES)


class FaultSettings(BaseModel):
    """How often each fault strikes, as a share of requests, and how long some last."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    error_500: Rate = 0
    error_502: Rate = 0
    error_503: Rate = 0
    reset_before: Rate = 0
    reset_after: Rate = 0
    timeout: Rate = 0
    slow: Rate = 0
    login_page: Rate = 0
    field_dropped: Rate = 0
    value_cut: Rate = 0
    unauthorized: Rate = 0
    expire_token: Rate = 0
    revoke_token: Rate = 0
    token_error: Rate = 0
    token_lost: Rate = 0
    batch_hangs: Rate = 0
    batch_fails: Rate = 0
    batch_skips: Rate = 0
    batch_miscounts: Rate = 0
    slow_seconds: Seconds = 2
    timeout_seconds: Seconds = 300
    maintenance_seconds: Seconds = 30

    @model_validator(mode="after")
    def _exclude_each_other(self) -> FaultSettings:
        for names in (API_FAULTS, TOKEN_FAULTS, BATCH_FAULTS):
            total = sum(self.rates(names).values())
            if total > 1 + 1e-9:
                raise ValueError(f"{', '.join(names)} add up to {total:g}, more than 1")
        return self

    def rates(self, names: Iterable[str]) -> dict[str, float]:
        """The rates of those faults, by name."""
        return {name: getattr(self, name) for name in names}


def changed(settings: FaultSettings, changes: Mapping[str, object]) -> FaultSettings:
    """The same settings but for some.

    Raises:
      ValueError: there is no such setting, or it cannot be that; the text says so.
    """
    try:
        return FaultSettings.model_validate(settings.model_dump() | dict(changes))
    except ValidationError as problem:
        first = problem.errors()[0]
        place = ".".join(str(each) for each in first["loc"])
        raise ValueError(f"{place}: {first['msg']}" if place else first["msg"]) from None


class Faults:
    """Decides which requests go wrong.

    Attributes:
      maintenance_until: epoch seconds until which nothing but 503 is answered.
      struck: how often each fault has.
    """

    def __init__(self, settings: FaultSettings, seed: int) -> None:
        self.maintenance_until = 0.0
        self.struck: Counter[str] = Counter()
        self._seed = seed
        self._asked: Counter[tuple[str, str]] = Counter()
        self.settings = settings

    @property
    def settings(self) -> FaultSettings:
        """What is in force."""
        return self._settings

    @settings.setter
    def settings(self, settings: FaultSettings) -> None:
        self._settings = settings
        self._api = {name: rate for name, rate in settings.rates(API_FAULTS).items() if rate}
        self._token = {name: rate for name, rate in settings.rates(TOKEN_FAULTS).items() if rate}
        self._batch = {name: rate for name, rate in settings.rates(BATCH_FAULTS).items() if rate}

    def befalling(self, method: str, path: str) -> str | None:
        """The fault that befalls this request to the API."""
        return self._draw(self._api, method, path) if self._api else None

    def befalling_token(self, method: str, path: str) -> str | None:
        """The fault that befalls this request to the token endpoint."""
        return self._draw(self._token, method, path) if self._token else None

    def of_batch(self, number: int) -> str | None:
        """The fault that befalls a bulk action; it strikes at once."""
        fault = self._draw(self._batch, "BATCH", str(number)) if self._batch else None
        if fault is not None:
            self.struck[fault] += 1
        return fault

    def _draw(self, rates: Mapping[str, float], method: str, path: str) -> str | None:
        times = self._asked[method, path]
        self._asked[method, path] = times + 1
        key = f"{self._seed} {method} {path} {times}".encode()
        drawn = int.from_bytes(blake2b(key, digest_size=_DRAW_BYTES).digest()) / _DRAWS
        for name, rate in rates.items():
            if drawn < rate:
                return name
            drawn -= rate
        return None


def answer_instead(fault: str, settings: FaultSettings, now: float) -> ApiResponse | None:
    """What is answered in place of the work; None for a fault that leaves it done."""
    match fault:
        case "error_500":
            return internal_error()
        case "error_502":
            return bad_gateway()
        case "error_503":
            return maintenance(now + settings.maintenance_seconds)
        case "login_page":
            return login_page()
        case "reset_before":
            return ApiResponse(0, fate="reset")
        case _:
            return None


def altered(asked: ApiRequest, fault: str) -> ApiRequest:
    """The request as it is worked on: less of its first attribute, where the fault is that."""
    if asked.method != "PATCH" or fault not in {"field_dropped", "value_cut"}:
        return asked
    try:
        document = orjson.loads(asked.body)
        attributes = document["data"]["attributes"]
        name, value = next(iter(attributes.items()))
    except (ValueError, LookupError, TypeError, AttributeError, StopIteration):
        return asked
    if fault == "field_dropped":
        del attributes[name]
    elif isinstance(value, str):
        attributes[name] = value[: len(value) // 2]
    return asked._replace(body=orjson.dumps(document))


def marred(answer: ApiResponse, fault: str, settings: FaultSettings) -> ApiResponse:
    """The answer to work that was done, as its client gets to see it."""
    match fault:
        case "reset_after":
            return answer._replace(fate="reset")
        case "timeout":
            return answer._replace(fate="silence", delay_seconds=settings.timeout_seconds)
        case "slow":
            return answer._replace(delay_seconds=settings.slow_seconds)
        case _:
            return answer
