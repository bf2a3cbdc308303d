"""An Outreach user who has connected by OAuth, and every secret that came of it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from pipeline.sandbox import Sandbox
from tests.sandbox_client import ask

BACK = "http://127.0.0.1:9/back"
CLIENT_ID = "audience-app"
CLIENT_SECRET = "app-secret-4e1d90c2b7"
CLIENT_SECRET_ENV = "OUTREACH_CLIENT_SECRET"
TOKEN_STORE = "ops-token.json"
SCOPES = "prospects.read prospects.write"
HOUR = 3600

USER = {
    "name": "ops",
    "auth": {
        "type": "oauth",
        "client_id": CLIENT_ID,
        "client_secret_env": CLIENT_SECRET_ENV,
        "token_store": TOKEN_STORE,
    },
}
"""A user of a destination file; its sandbox needs `approve="ops"`."""


def connect(sandbox: Sandbox, folder: Path, *, hours_ago: float = 1) -> None:
    """Connects `ops`, and dates the stored tokens back: within a minute none may be renewed."""
    query = {
        "client_id": CLIENT_ID,
        "redirect_uri": BACK,
        "response_type": "code",
        "scope": SCOPES,
    }
    answer = ask(sandbox, "GET", "/oauth/authorize", query=query, token=None)
    code = parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]
    form = {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "redirect_uri": BACK,
        "grant_type": "authorization_code",
        "code": code,
    }
    body, kind = urlencode(form).encode(), "application/x-www-form-urlencoded"
    reply = ask(sandbox, "POST", "/oauth/token", body, token=None, content_type=kind)
    assert reply.status == 200, reply.body
    tokens = {**reply.json, "created_at": int(time.time() - hours_ago * HOUR)}
    (folder / TOKEN_STORE).write_text(json.dumps(tokens), encoding="utf-8")


def secrets_of(sandbox: Sandbox) -> set[str]:
    """Every token the sandbox ever took or issued, and the application's secret."""
    tokens, oauth = sandbox._outreach.tokens, sandbox._outreach.oauth
    issued = {*tokens._grants, *tokens._dead, *oauth._codes, *oauth._refreshes, *oauth._used}
    return {*issued, *oauth._clients.values()}
