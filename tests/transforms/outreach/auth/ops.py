"""The user `ops`, who has connected to a sandbox by OAuth; only the clock is set by hand."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pipeline.sandbox import Sandbox
from tests.support.servers.sandbox_client import Clock, ask
from transforms.outreach.auth.credentials import (
    OAuthAuth,
    OAuthCredential,
)
from transforms.outreach.auth.token_store import TokenStore, open_store
from transforms.outreach.client import OutreachClient

BACK = "http://127.0.0.1:9/back"
SECRET_ENV = "TEST_OUTREACH_CLIENT_SECRET"
SECRET = "s3cr3t-of-the-application"
HOURS = 3600.0


class Ops:
    """The user `ops` of a sandbox, whose sleeps pass at once."""

    def __init__(
        self,
        sandbox: Sandbox,
        store: Path,
        clock: Clock,
        *,
        keeping: TokenStore | None = None,
        max_wait_seconds: float = 150.0,
        client_id: str = "app",
        secret_file: str | None = None,
        url: str | None = None,
    ) -> None:
        self.slept: list[float] = []
        self._clock = clock
        variable = SECRET_ENV if secret_file is None else None
        auth = OAuthAuth(client_id, variable, str(store), secret_file)
        self.credential = OAuthCredential(
            auth,
            "ops",
            OutreachClient(url or sandbox.url),
            keeping or open_store(str(store)),
            max_wait_seconds=max_wait_seconds,
            sleep=self._sleep,
        )

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._clock.now += seconds

    def token(self) -> str:
        return asyncio.run(self.credential.token(self._clock()))

    def refused(self, token: str) -> None:
        asyncio.run(self.credential.refused(token, self._clock()))


def consent(sandbox: Sandbox) -> str:
    query = {
        "client_id": "app",
        "redirect_uri": BACK,
        "response_type": "code",
        "scope": "prospects.read prospects.write",
        "state": "s",
    }
    answer = ask(sandbox, "GET", "/oauth/authorize", query=query)
    return parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]


def token_requests(sandbox: Sandbox) -> int:
    return sum(each.path == "/oauth/token" for each in sandbox.requests())


def stored(store: Path) -> dict[str, Any]:
    return dict(json.loads(store.read_bytes()))


def edit(store: Path, **changes: object) -> None:
    store.write_text(json.dumps(stored(store) | changes))
