"""Asks a running sandbox the way any HTTP client would, one connection a request."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from pipeline.sandbox import Sandbox

JSON_API = "application/vnd.api+json"
ANYONE = "anyone"


class Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        return self.json["errors"][0]


def ask(
    sandbox: Sandbox | str,
    method: str,
    path: str,
    body: object = None,
    *,
    query: Mapping[str, object] | None = None,
    token: str | None = ANYONE,
    content_type: str | None = JSON_API,
    timeout: float = 10,
) -> Reply:
    headers = {}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    if content_type is not None and body is not None:
        headers["Content-Type"] = content_type
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    url = sandbox if isinstance(sandbox, str) else sandbox.url
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=timeout)
    try:
        target = f"{path}?{urlencode(query)}" if query else path
        connection.request(method, target, body, headers)
        answer = connection.getresponse()
        return Reply(answer.status, dict(answer.getheaders()), answer.read())
    finally:
        connection.close()


def patch(
    sandbox: Sandbox | str, prospect: int, token: str = ANYONE, **attributes: object
) -> Reply:
    body = {"data": {"type": "prospect", "id": prospect, "attributes": attributes}}
    return ask(sandbox, "PATCH", f"/api/v2/prospects/{prospect}", body, token=token)


class Clock:
    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def wait_for(what: Callable[[], object], seconds: float = 10, every: float = 0.05) -> Any:
    """The first truthy value, looked for so often; fails when there was none in time."""
    until = time.monotonic() + seconds
    while not (value := what()):
        assert time.monotonic() < until, "waited in vain"
        time.sleep(every)
    return value


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
