"""A person who allows it is connected, by any way back; one who denies it is not."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from pipeline.oauth_flow.request import AuthorizationRequest
from pipeline.sandbox import Sandbox
from tests.pipeline.commands.connect.connecting import (
    HOSTED,
    SECRET,
    changed,
    connecting,
    decide,
    go,
    stored,
    variables,
    write_destination,
)
from tests.support.browser.chromium import browser
from tests.support.processes.program import Ended, command, run
from tests.support.servers.sandbox_client import free_port, patch, wait_for
from transforms.errors import ActivationError

pytestmark = pytest.mark.real


def test_a_user_who_allows_it_is_connected_and_the_tokens_are_kept_as_they_came(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    write_destination(tmp_path, sandbox.url)
    with connecting(tmp_path, "--no_browser") as program:
        address = program.address()
        back = decide(address)
        page = go(back)
        status, said = program.end()
    assert status == 0, said
    assert page.status == 200
    assert "You may close this window" in page.body.decode()
    store = tmp_path / "ops-token.json"
    assert stat.S_IMODE(store.stat().st_mode) == 0o600
    tokens = stored(tmp_path)
    assert {"access_token", "refresh_token", "expires_in", "created_at"} <= set(tokens)
    assert patch(sandbox, 1, tokens["access_token"], custom1="x").status == 200
    assert sandbox.requests()[-1].user == "ops"
    # The token request carried what the authorization request promised.
    asked = dict(parse_qsl(urlsplit(address).query))
    assert asked["redirect_uri"] == back.partition("?")[0]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/callback", asked["redirect_uri"])
    assert asked["code_challenge_method"] == "S256"
    assert asked["scope"] == "prospects.read prospects.write users.read"
    assert asked["client_id"] == "app"
    assert f"connected ops; its tokens are in {store} and renew themselves" in said
    assert "warning" not in said


def test_neither_what_is_said_nor_the_page_holds_a_code_a_secret_or_a_token(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    write_destination(tmp_path, sandbox.url)
    with connecting(tmp_path, "--no-browser") as program:
        back = decide(program.address())
        page = go(back)
        _, said = program.end()
    code = parse_qs(urlsplit(back).query)["code"][0]
    tokens = stored(tmp_path)
    for secret in (code, SECRET, tokens["access_token"], tokens["refresh_token"]):
        assert secret not in said + page.body.decode() + str(page.headers)


@pytest.mark.parametrize(
    ("more", "scopes"),
    [
        ({}, "prospects.read prospects.write users.read accounts.read"),
        (
            {"mode": "upsert", "identity": {"match": "email"}},
            "prospects.read prospects.write users.read accounts.read accounts.write",
        ),
    ],
)
def test_tying_prospects_to_accounts_asks_for_their_scopes(
    tmp_path: Path, sandbox: Sandbox, more: dict[str, Any], scopes: str
) -> None:
    tied = [{"source": "site", "target": "account_domain"}]
    path = write_destination(tmp_path, sandbox.url)
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "attributes": tied, **more}))
    with connecting(tmp_path, "--no_browser") as program:
        address = program.address()
        go(decide(address))
        program.end()
    assert dict(parse_qsl(urlsplit(address).query))["scope"] == scopes


def test_what_is_asked_for_can_be_chosen_and_what_was_not_granted_is_said(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    write_destination(tmp_path, sandbox.url)
    flags = ("--scope=prospects.write", "--scope=prospects.read", "--no_pkce")
    with connecting(tmp_path, "--no_browser", *flags) as program:
        address = program.address()
        asked = dict(parse_qsl(urlsplit(address).query))
        assert asked["scope"] == "prospects.write prospects.read"
        assert "code_challenge" not in asked
        go(decide(changed(address, scope="prospects.write")))
        status, said = program.end()
    assert status == 0
    assert said.splitlines()[-1] == "warning not granted: prospects.read"


def test_a_registered_port_is_listened_to(tmp_path: Path, sandbox: Sandbox) -> None:
    write_destination(tmp_path, sandbox.url)
    port = free_port()
    with connecting(tmp_path, "--no_browser", f"--port={port}") as program:
        back = decide(program.address())
        assert back.startswith(f"http://127.0.0.1:{port}/callback?")
        go(back)
        assert program.end()[0] == 0


def test_the_destination_file_may_name_the_redirect_uri(tmp_path: Path, sandbox: Sandbox) -> None:
    uri = f"http://localhost:{free_port()}/oauth/outreach"
    write_destination(tmp_path, sandbox.url, redirect_uri=uri)
    with connecting(tmp_path, "--no_browser") as program:
        back = decide(program.address())
        assert back.startswith(f"{uri}?")
        assert go(uri).status == 200  # whoever looks in early ends nothing
        assert go(uri.removesuffix("/oauth/outreach")).status == 404
        assert go(back).status == 200
        assert program.end()[0] == 0


def test_the_address_of_a_hosted_redirect_uri_is_pasted(tmp_path: Path, sandbox: Sandbox) -> None:
    write_destination(tmp_path, sandbox.url)
    with connecting(tmp_path, "--no_browser", f"--redirect_uri={HOSTED}") as program:
        back = decide(program.address())
        assert back.startswith(f"{HOSTED}?code=")
        program.paste("is it this?")
        program.paste("")
        program.paste(f"  '{back}' ")
        status, said = program.end()
    assert status == 0, said
    assert "That is not it: the address to paste has code= and state= in it." in said
    assert stored(tmp_path)["scope"] == "prospects.read prospects.write users.read"


def test_the_browser_is_opened_at_the_address(tmp_path: Path, sandbox: Sandbox) -> None:
    write_destination(tmp_path, sandbox.url)
    player = tmp_path / "player.py"
    player.write_text("import sys; open('opened', 'w').write(sys.argv[1])", encoding="utf-8")
    environ = variables(BROWSER=f"{sys.executable} {player} %s")
    with connecting(tmp_path, environ=environ) as program:
        address = program.address()
        opened = tmp_path / "opened"
        wait_for(lambda: opened.exists() and opened.read_text("utf-8") == address)
        go(decide(address))
        assert program.end()[0] == 0


def test_connecting_again_replaces_the_tokens_whole(tmp_path: Path, sandbox: Sandbox) -> None:
    write_destination(tmp_path, sandbox.url)
    (tmp_path / "ops-token.json").write_text("{}", encoding="ascii")
    with connecting(tmp_path, "--no_browser") as program:
        go(decide(program.address(), user="somebody-else"))
        assert program.end()[0] == 0
    assert stored(tmp_path)["access_token"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "destination.yaml",
        "ops-token.json",
        "ops-token.json.lock",
    ]


def test_who_denies_it_is_believed(tmp_path: Path, sandbox: Sandbox) -> None:
    write_destination(tmp_path, sandbox.url)
    with connecting(tmp_path, "--no_browser") as program:
        page = go(decide(program.address(), "deny"))
        status, said = program.end()
    assert status == 1
    assert "Access was denied in Outreach" in page.body.decode()
    assert said.splitlines()[-1].startswith("failed access was denied in Outreach; run connect")
    assert not (tmp_path / "ops-token.json").exists()


@pytest.mark.parametrize("state", ["somebody-elses", None])
def test_an_answer_to_another_request_is_not_taken(
    tmp_path: Path, sandbox: Sandbox, state: str | None
) -> None:
    write_destination(tmp_path, sandbox.url)
    with connecting(tmp_path, "--no_browser") as program:
        page = go(changed(decide(program.address()), state=state))
        status, said = program.end()
    assert status == 1
    assert "not to this request" in said
    assert "not to this request" in page.body.decode()
    assert not (tmp_path / "ops-token.json").exists()
    assert [each for each in sandbox.requests() if each.path == "/oauth/token"] == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"error": "invalid_scope"}, "does not let this application ask for these scopes"),
        (
            {"error": "server_error", "error_description": "Try <later>, token=abcdefgh12345678"},
            "did not let the application in (server_error: Try <later>, [hidden])",
        ),
    ],
)
def test_another_refusal_is_told_without_secrets(answer: dict[str, str], said: str) -> None:
    request = AuthorizationRequest.fresh()
    with pytest.raises(ActivationError, match=re.escape(said)):
        request.read_code({**answer, "state": request.state})
    with pytest.raises(ActivationError, match=re.escape(said)):
        request.read_code(answer)


def test_no_two_requests_are_alike_and_none_shows_its_secrets() -> None:
    one, other = AuthorizationRequest.fresh(), AuthorizationRequest.fresh()
    assert one.state != other.state
    assert one.code_verifier is not None
    assert one.code_verifier != other.code_verifier
    assert one.code_verifier not in repr(one)
    assert one.code_verifier not in one.address("https://x.example", "app", HOSTED, ["a.read"])


def test_an_answer_that_never_comes_is_not_waited_for_without_end(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    write_destination(tmp_path, sandbox.url)
    ended = run(
        tmp_path,
        *("connect", "--destination=destination.yaml", "--user=ops"),
        *("--no_browser", "--wait_seconds=0.2"),
        variables=variables(),
    )
    assert ended.status == 1
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("failed no answer came within 0.2 s.")
    assert re.search(r"http://127\.0\.0\.1:\d+/callback stands among the redirect URIs", last)


def test_standard_input_that_ends_ends_the_waiting_for_a_pasted_address(tmp_path: Path) -> None:
    write_destination(tmp_path, "http://127.0.0.1:9")
    for given in (b"", b"nothing\n"):
        ended = connected_with(tmp_path, f"--redirect_uri={HOSTED}", given=given)
        assert ended.status == 1
        assert "standard input ended before an address was pasted" in ended.stderr
    # A file is always ready, and so is read at once.
    with (tmp_path / "destination.yaml").open("rb") as file:
        ended_at_once = subprocess.run(
            command(
                *("connect", "--destination=destination.yaml", "--user=ops", "--no_browser"),
                f"--redirect_uri={HOSTED}",
            ),
            cwd=tmp_path,
            env=variables(),
            stdin=file,
            capture_output=True,
            timeout=30,
            check=False,
        )
    assert b"standard input ended" in ended_at_once.stderr


def connected_with(folder: Path, *flags: str, given: bytes = b"") -> Ended:
    return run(
        folder,
        *("connect", "--destination=destination.yaml", "--user=ops", "--no_browser", *flags),
        given=given,
        variables=variables(),
    )


@pytest.mark.browser
def test_in_a_browser_consent_leads_back_to_a_page_without_the_code(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    write_destination(work, sandbox.url)
    with browser(tmp_path / "profile") as window, connecting(work, "--no_browser") as program:
        window.open(program.address())
        window.click("button[value=allow]")
        wait_for(lambda: window.text("h1") == "Thank you")
        assert window.run("return location.pathname + location.search") == "/callback"
        assert window.run("return getComputedStyle(document.body).maxWidth") != "none"
        assert window.complaints() == []
        assert program.end()[0] == 0
    assert stored(work)["access_token"]
