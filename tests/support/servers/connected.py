"""Who may ask Outreach: a user who has connected by OAuth, an application that signs."""

from __future__ import annotations

import json
import time
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from pipeline.sandbox import Sandbox
from tests.support.servers.sandbox_client import ask

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


def sign_up(folder: Path) -> dict[str, object]:
    """Writes an application's keys; gives it as a user of a destination file.

    The sandbox needs ``s2s_key=folder / "public.pem"``.
    """
    key = rsa.generate_private_key(65537, 2048)
    private, public = folder / "key.pem", folder / "public.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    private.chmod(0o600)
    public.write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    auth = {
        "type": "s2s",
        "install_id": "6c1f0d0a-3b1e",
        "issuer": CLIENT_ID,
        "private_key_file": private.name,
    }
    return {"name": "app", "auth": auth}


def secrets_of(sandbox: Sandbox, folder: Path) -> set[str]:
    """Every token that the sandbox knows or `ops` has stored, and the application's secret."""
    tokens, oauth = sandbox._outreach.tokens, sandbox._outreach.oauth
    found = {*tokens._grants, *tokens._dead, *oauth._codes, *oauth._refreshes, *oauth._used}
    store = folder / TOKEN_STORE
    if store.exists():
        stored = json.loads(store.read_text(encoding="utf-8"))
        found |= {stored["access_token"], stored["refresh_token"]}
    return {*found, *oauth._clients.values(), CLIENT_SECRET}
