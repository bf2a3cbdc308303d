"""What `validate --live` says of tokens that are refused and of scopes that are missing."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import orjson
import pytest

from pipeline.sandbox import Sandbox
from tests.pipeline.preflight.validating import ANN, SECRET, Validate, outreach, user
from tests.support.servers.sandbox_client import ask

pytestmark = pytest.mark.real


def test_a_token_that_is_refused_ends_with_2_and_names_where_to_put_another(
    validate: Validate,
) -> None:
    with outreach(tokens={ANN: "ann"}) as sandbox:
        validate.write(sandbox.url, users=[user("ops"), user("ann")])
        said = validate("--live")
    assert said.status == 2
    (error,) = said.texts("errors")
    assert error == (
        "users[0].auth: Outreach refuses its access token, which has expired or is not one; put a"
        " fresh one into the environment variable OPS_TOKEN and start again"
    )
    assert [each["token"] for each in said.found["live"]["users"]] == [False, True]
    assert said.found["live"]["fields"][0]["fits"] is True


def test_a_token_that_may_not_write_ends_with_2(validate: Validate) -> None:
    with outreach(scopes=["prospects.read"]) as sandbox:
        validate.write(sandbox.url)
        said = validate("--live")
    assert said.status == 2
    (error,) = said.texts("errors")
    assert error == (
        "users[0].auth: its token lacks the scope prospects.write, so nothing can be delivered;"
        " put a token that has it into the environment variable OPS_TOKEN"
    )
    scopes = said.found["live"]["users"][0]["scopes"]
    assert scopes == {"prospects.read": True, "prospects.write": False}


def test_a_token_that_may_not_see_or_create_the_accounts_to_be_tied_to_ends_with_2(
    validate: Validate,
) -> None:
    tied = {
        "attributes": [{"source": "site", "target": "account_domain"}],
        "identity": {"match": "email"},
        "mode": "upsert",
    }
    with outreach(scopes=["prospects.all"]) as sandbox:
        validate.write(sandbox.url, **tied)
        said = validate("--live")
    assert said.status == 2
    lacking = "users[0].auth: its token lacks the scope accounts"
    tied_to = "so the accounts that prospects are to be tied to cannot be"
    assert [each.partition(";")[0] for each in said.texts("errors")] == [
        f"{lacking}.read, {tied_to} found",
        f"{lacking}.write, {tied_to} created",
    ]
    with outreach(scopes=["prospects.all", "accounts.all"]) as sandbox:
        validate.write(sandbox.url, **tied)
        said = validate("--live")
    scopes = said.found["live"]["users"][0]["scopes"]
    assert (said.status, scopes["accounts.read"], scopes["accounts.write"]) == (0, True, True)


def test_a_token_that_may_not_read_is_a_warning(validate: Validate) -> None:
    with outreach(scopes=["prospects.write"]) as sandbox:
        validate.write(sandbox.url)
        said = validate("--live")
    assert said.status == 0
    (warning,) = said.texts("warnings")
    assert warning.startswith("users[0].auth: its token lacks the scope prospects.read, so a value")


def connected(sandbox: Sandbox, store: Path, scope: str, minutes_ago: float = 10) -> dict[str, Any]:
    """Stores tokens as `connect` does."""
    back = "http://127.0.0.1:9/back"
    query = {"client_id": "app", "redirect_uri": back, "response_type": "code", "scope": scope}
    sent = ask(sandbox, "GET", "/oauth/authorize", query=query)
    form = {
        "grant_type": "authorization_code",
        "code": parse_qs(urlsplit(sent.headers["Location"]).query)["code"][0],
        "client_id": "app",
        "client_secret": SECRET,
        "redirect_uri": back,
    }
    kind = "application/x-www-form-urlencoded"
    answer = ask(sandbox, "POST", "/oauth/token", urlencode(form).encode(), content_type=kind)
    tokens = {**answer.json, "created_at": time.time() - 60 * minutes_ago}
    store.write_text(json.dumps(tokens), encoding="ascii")
    store.chmod(0o600)
    return tokens


OAUTH = {
    "type": "oauth",
    "client_id": "app",
    "client_secret_env": "CLIENT_SECRET",
    "token_store": "ops-token.json",
}
CLIENT = {"clients": {"app": SECRET}, "approve": "ops", "token_interval": 0.0}


def test_scopes_are_read_from_the_token_store_and_spare_the_requests(validate: Validate) -> None:
    with outreach(**CLIENT) as sandbox:
        connected(sandbox, validate.folder / "ops-token.json", "prospects.read users.read")
        validate.write(sandbox.url, users=[{"name": "the ops", "auth": OAUTH}])
        said = validate("--live")
    assert said.status == 2
    assert said.found["live"]["requests"] == 1
    (error,) = said.texts("errors")
    assert error.endswith("run: outreach-activation connect --destination FILE --user 'the ops'")


def test_an_access_token_that_has_ended_is_renewed_on_the_way(validate: Validate) -> None:
    store = validate.folder / "ops-token.json"
    with outreach(**CLIENT) as sandbox:
        before = connected(sandbox, store, "prospects.all")
        sandbox.expire_tokens("ops")
        validate.write(sandbox.url, users=[{"name": "ops", "auth": OAUTH}])
        said = validate("--live")
    assert said.status == 0, said.err
    assert said.found["live"]["requests"] == 2
    assert orjson.loads(store.read_bytes())["access_token"] != before["access_token"]


def test_a_user_who_is_not_connected_or_no_longer_is_told_to_connect(validate: Validate) -> None:
    with outreach(**CLIENT) as sandbox:
        validate.write(sandbox.url, users=[{"name": "ops", "auth": OAUTH}])
        never = validate("--live")
        connected(sandbox, validate.folder / "ops-token.json", "prospects.all")
        sandbox.revoke_tokens("ops")
        no_longer = validate("--live")
    for said in (never, no_longer):
        assert said.status == 2
        assert "run: outreach-activation connect" in said.texts("errors")[0]
