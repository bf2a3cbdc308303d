"""Bodies and headers of answers, as Outreach writes them."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z
HEADERS = {
    "X-RateLimit-Limit": "10000",
    "X-RateLimit-Remaining": "9999, 19988",
    "X-RateLimit-Reset": "1767229200",
}


def errors(*members: Mapping[str, object]) -> bytes:
    return orjson.dumps({"errors": members})


def error(
    kind: str, detail: str = "Something is wrong.", pointer: str | None = None
) -> dict[str, object]:
    member: dict[str, object] = {"id": kind, "title": "A Title", "detail": detail}
    if pointer is not None:
        member["source"] = {"pointer": pointer}
    return member


TOO_MANY = errors(
    error(
        "rateLimitExceeded",
        "You have exceeded your permitted rate limit of 10,000; "
        "please try again at 2026-01-01T00:30:00.",
    )
)
