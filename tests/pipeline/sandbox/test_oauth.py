from __future__ import annotations

import base64
import hashlib
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from tests.support.servers.sandbox_client import Clock, Reply, ask, patch

pytestmark = pytest.mark.real

BACK = "http://127.0.0.1:9/back"
AUTHORIZE = {
    "client_id": "app",
    "redirect_uri": BACK,
    "response_type": "code",
    "scope": "prospects.read prospects.write",
    "state": "s&=1",
}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sandbox(clock: Clock) -> Iterator[Sandbox]:
    options = SandboxOptions(prospects=1, approve="ops", tokens={"unused": "other"})
    with running_sandbox(options, clock) as running:
        yield running


def _sent_back(sandbox: Sandbox, **changes: str) -> dict[str, list[str]]:
    answer = ask(sandbox, "GET", "/oauth/authorize", query=AUTHORIZE | changes)
    assert answer.status == 302, answer.body
    return parse_qs(urlsplit(answer.headers["Location"]).query)


def _request(sandbox: Sandbox, as_json: bool = False, **form: str) -> Reply:
    form = {"client_id": "app", "client_secret": "s3cret", "redirect_uri": BACK} | form
    if as_json:
        return ask(sandbox, "POST", "/oauth/token", form, content_type="application/json")
    body = urlencode(form).encode()
    kind = "application/x-www-form-urlencoded"
    return ask(sandbox, "POST", "/oauth/token", body, content_type=kind, token=None)


def _connect(sandbox: Sandbox, **changes: str) -> dict[str, Any]:
    code = _sent_back(sandbox, **changes)["code"][0]
    answer = _request(sandbox, grant_type="authorization_code", code=code)
    assert answer.status == 200, answer.body
    return answer.json


def _refresh(sandbox: Sandbox, token: str) -> Reply:
    return _request(sandbox, grant_type="refresh_token", refresh_token=token)


def test_a_granted_code_buys_a_pair_of_tokens(sandbox: Sandbox, clock: Clock) -> None:
    answer = _sent_back(sandbox)
    assert answer["state"] == ["s&=1"]
    pair = _request(sandbox, grant_type="authorization_code", code=answer["code"][0]).json
    assert pair["token_type"] == "bearer"
    assert pair["expires_in"] == 7_200
    assert pair["created_at"] == int(clock.now)
    assert pair["scope"] == AUTHORIZE["scope"]
    assert patch(sandbox, 1, pair["access_token"], custom1="x").status == 200
    assert sandbox.requests()[-1].user == "ops"


def test_form_and_json_bodies_are_both_read(sandbox: Sandbox, clock: Clock) -> None:
    pair = _connect(sandbox)
    clock.now += 60
    again = _request(
        sandbox, as_json=True, grant_type="refresh_token", refresh_token=pair["refresh_token"]
    )
    assert again.status == 200


def test_a_refresh_token_works_once(sandbox: Sandbox, clock: Clock) -> None:
    first = _connect(sandbox)
    clock.now += 60
    second = _refresh(sandbox, first["refresh_token"]).json
    assert second["refresh_token"] != first["refresh_token"]
    clock.now += 60
    reused = _refresh(sandbox, first["refresh_token"])
    assert (reused.status, reused.json["error"]) == (400, "invalid_grant")
    assert [each.kind for each in sandbox.violations()] == ["token_reuse"]
    assert _refresh(sandbox, second["refresh_token"]).status == 200


def test_a_lenient_sandbox_takes_a_refresh_token_again(clock: Clock) -> None:
    options = SandboxOptions(approve="ops", lenient_refresh=True)
    with running_sandbox(options, clock) as sandbox:
        pair = _connect(sandbox)
        for _ in range(2):
            clock.now += 60
            assert _refresh(sandbox, pair["refresh_token"]).status == 200


def test_a_second_token_request_within_a_minute_is_429_in_plain_text(
    sandbox: Sandbox, clock: Clock
) -> None:
    pair = _connect(sandbox)
    clock.now += 59
    hurried = _refresh(sandbox, pair["refresh_token"])
    assert (hurried.status, hurried.body) == (429, b"Retry later\n")
    assert [each.kind for each in sandbox.violations()] == ["token_hurry"]
    clock.now += 1
    assert _refresh(sandbox, pair["refresh_token"]).status == 200


def test_an_access_token_dies_after_two_hours_and_a_refresh_token_after_two_weeks(
    sandbox: Sandbox, clock: Clock
) -> None:
    pair = _connect(sandbox)
    clock.now += 7_199
    assert patch(sandbox, 1, pair["access_token"]).status == 200
    clock.now += 1
    dead = patch(sandbox, 1, pair["access_token"])
    assert (dead.status, dead.json["error"]) == (401, "Invalid JWT token.")
    clock.now += 14 * 86_400
    assert _refresh(sandbox, pair["refresh_token"]).status == 400


def test_a_wrong_secret_is_401_and_a_wrong_code_400(sandbox: Sandbox) -> None:
    code = _sent_back(sandbox)["code"][0]
    grant = {"grant_type": "authorization_code", "code": code}
    assert _request(sandbox, **grant | {"code": "guess"}).status == 400
    assert _request(sandbox, **grant, client_secret="wrong").status == 401
    assert _request(sandbox, **grant, redirect_uri="http://127.0.0.1:9/other").status == 400
    assert _request(sandbox, **grant).status == 200
    assert _request(sandbox, **grant).status == 400


def test_only_listed_applications_are_let_in_where_some_are_listed() -> None:
    options = SandboxOptions(approve="ops", clients={"app": "s3cret"})
    with running_sandbox(options) as sandbox:
        assert ask(sandbox, "GET", "/oauth/authorize", query=AUTHORIZE).status == 302
        stranger = AUTHORIZE | {"client_id": "stranger"}
        assert ask(sandbox, "GET", "/oauth/authorize", query=stranger).status == 400


def test_writing_does_not_imply_reading(sandbox: Sandbox) -> None:
    pair = _connect(sandbox, scope="prospects.write")
    assert patch(sandbox, 1, pair["access_token"]).status == 200
    refused = ask(sandbox, "GET", "/api/v2/prospects/1", token=pair["access_token"])
    assert (refused.status, refused.error["id"]) == (403, "unauthorizedOauthScope")
    assert "prospects.read" in refused.error["detail"]


def test_a_code_challenge_must_be_met(sandbox: Sandbox) -> None:
    verifier = "v" * 43
    digest = hashlib.sha256(verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    code = _sent_back(sandbox, code_challenge=challenge, code_challenge_method="S256")["code"][0]
    grant = {"grant_type": "authorization_code", "code": code}
    assert _request(sandbox, **grant, code_verifier="w" * 43).status == 400
    assert _request(sandbox, **grant, code_verifier=verifier).status == 200


def test_a_user_is_asked_and_may_refuse() -> None:
    with running_sandbox() as sandbox:
        page = ask(sandbox, "GET", "/oauth/authorize", query=AUTHORIZE | {"client_id": "<b>app"})
        assert b"&lt;b&gt;app" in page.body
        path = f"/oauth/authorize?{urlencode(AUTHORIZE)}"
        kind = "application/x-www-form-urlencoded"
        allowed = ask(sandbox, "POST", path, b"user=ann&decision=allow", content_type=kind)
        assert "code=" in allowed.headers["Location"]
        denied = ask(sandbox, "POST", path, b"user=ann&decision=deny", content_type=kind)
        assert denied.headers["Location"] == f"{BACK}?error=access_denied&state=s%26%3D1"


@pytest.mark.parametrize(
    "change", [{"response_type": "token"}, {"client_id": ""}, {"redirect_uri": "javascript:x"}]
)
def test_an_authorize_request_that_makes_no_sense_is_not_sent_back(
    sandbox: Sandbox, change: dict[str, str]
) -> None:
    assert ask(sandbox, "GET", "/oauth/authorize", query=AUTHORIZE | change).status == 400


def test_a_revoked_user_must_connect_again(sandbox: Sandbox, clock: Clock) -> None:
    pair = _connect(sandbox)
    assert sandbox.revoke_tokens("ops") == 1
    clock.now += 60
    assert patch(sandbox, 1, pair["access_token"]).status == 401
    assert _refresh(sandbox, pair["refresh_token"]).status == 400


def test_an_expired_token_can_be_refreshed(sandbox: Sandbox, clock: Clock) -> None:
    pair = _connect(sandbox)
    assert sandbox.expire_tokens("ops") == 1
    assert patch(sandbox, 1, pair["access_token"]).status == 401
    clock.now += 60
    fresh = _refresh(sandbox, pair["refresh_token"]).json
    assert patch(sandbox, 1, fresh["access_token"]).status == 200


def test_the_hundred_and_first_token_ends_the_oldest(sandbox: Sandbox, clock: Clock) -> None:
    first = pair = _connect(sandbox)
    for _ in range(100):
        clock.now += 60
        pair = _refresh(sandbox, pair["refresh_token"]).json
    assert patch(sandbox, 1, first["access_token"]).status == 401
    assert patch(sandbox, 1, pair["access_token"]).status == 200


def test_the_log_holds_no_secret(sandbox: Sandbox, clock: Clock) -> None:
    pair = _connect(sandbox)
    clock.now += 60
    again = _refresh(sandbox, pair["refresh_token"]).json
    patch(sandbox, 1, again["access_token"])
    ask(sandbox, "POST", "/oauth/token?client_secret=s3cret", {})
    told = repr(sandbox.requests()) + repr(sandbox.violations()) + repr(sandbox.options)
    for secret in ["s3cret", "unused", *[p[k] for p in (pair, again) for k in p if "_token" in k]]:
        assert secret not in told
    assert b'"client_id":"app"' in sandbox.requests()[0].body


def _encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def _assertion(key: rsa.RSAPrivateKey, **claims: object) -> str:
    head = _encoded(json.dumps({"alg": "RS256", "typ": "JWT"}).encode())
    message = f"{head}.{_encoded(json.dumps(claims).encode())}"
    signature = key.sign(message.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{message}.{_encoded(signature)}"


def test_a_signed_assertion_buys_an_hours_token(tmp_path: Path, clock: Clock) -> None:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pem").write_bytes(pem)
    path = "/api/app/installs/in-7/actions/accessToken"
    options = SandboxOptions(prospects=1, s2s_key=tmp_path / "key.pem", tokens={"unused": "other"})
    with running_sandbox(options, clock) as sandbox:
        times = {"iat": clock.now, "exp": clock.now + 60}
        good = _assertion(key, **times, iss="app-guid")
        token = ask(sandbox, "POST", path, token=good).json["data"]["meta"]["accessToken"]
        assert patch(sandbox, 1, token).status == 200
        assert sandbox.requests()[-1].user == "s2s-in-7"
        assert good not in repr(sandbox.requests())
        assert token not in repr(sandbox.requests())
        stranger = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        for bad in [
            _assertion(stranger, **times, iss="app-guid"),
            _assertion(key, **times),
            _assertion(key, iat=clock.now, exp=clock.now, iss="app-guid"),
            "not.a.token",
            "",
        ]:
            assert ask(sandbox, "POST", path, token=bad).status == 401
        clock.now += 3_600
        assert patch(sandbox, 1, token).status == 401


def test_without_a_key_there_are_no_assertions() -> None:
    with running_sandbox() as sandbox:
        connection = http.client.HTTPConnection(urlsplit(sandbox.url).netloc)
        connection.request("POST", "/api/app/installs/in-7/actions/accessToken")
        assert connection.getresponse().status == 404
        connection.close()
