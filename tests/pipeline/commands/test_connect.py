"""`connect` as its user runs it, with an HTTP client in the place of the browser."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from pipeline.cli import cli
from pipeline.commands.connect import connect_command, oauth_of
from pipeline.commands.validate import validate_command
from pipeline.destination.file import load_destination
from pipeline.oauth_flow.flow import Connection, connect
from pipeline.oauth_flow.request import AuthorizationRequest
from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from pipeline.sandbox.faults import FaultSettings
from tests.support.browser import browser
from tests.support.program import ROOT, Ended, command, environment, run
from tests.support.sandbox_client import Clock, Reply, ask, free_port, patch, wait_for
from transforms.errors import ActivationError
from transforms.outreach.auth.oauth import OAuthAuth

pytestmark = pytest.mark.real

SECRET = "s3cr3t-of-the-application"
SECRET_ENV = "OUTREACH_CLIENT_SECRET"
HOSTED = "https://tools.example.com/outreach/back"
OPTIONS = SandboxOptions(prospects=1, tokens={"unused": "other"}, clients={"app": SECRET})


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(OPTIONS) as running:
        yield running


def write_destination(folder: Path, url: str, **oauth: str) -> Path:
    auth = {
        "type": "oauth",
        "client_id": "app",
        "client_secret_env": SECRET_ENV,
        "token_store": "ops-token.json",
        **oauth,
    }
    content = {
        "name": "test",
        "outreach": {"base_url": url},
        "users": [
            {"name": "ops", "auth": auth},
            {"name": "trial", "auth": {"type": "bearer", "token_env": "TRIAL_TOKEN"}},
        ],
        "audiences": [{"segment": "aaaa-1111", "mapping_id": 4}],
    }
    path = folder / "destination.yaml"
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return path


def variables(**more: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in environment().items()
        if name not in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    }
    return {**kept, SECRET_ENV: SECRET, **more}


class Connecting:
    """A running `connect`, whose standard error is read up to the address it prints."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said = ""

    def address(self) -> str:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line
            if "/oauth/authorize?" in line:
                return line.strip()
        raise AssertionError(self.said)

    def paste(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def end(self) -> tuple[int, str]:
        out, err = self.process.communicate(timeout=30)
        assert out == ""
        return self.process.returncode, self.said + err


@contextmanager
def connecting(
    folder: Path, *flags: str, environ: Mapping[str, str] | None = None
) -> Iterator[Connecting]:
    arguments = ["connect", "--destination=destination.yaml", "--user=ops", *flags]
    with subprocess.Popen(
        command(*arguments),
        cwd=folder,
        env=dict(environ or variables()),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Connecting(process)
        finally:
            process.kill()


def decide(address: str, decision: str = "allow", user: str = "ops") -> str:
    """Where the person is sent who decides on the page at an address."""
    parts = urlsplit(address)
    url = f"http://{parts.netloc}"
    page = ask(url, "GET", f"{parts.path}?{parts.query}", token=None)
    assert page.status == 200, page.body
    form = urlencode({"user": user, "decision": decision}).encode()
    answer = ask(
        url,
        "POST",
        f"{parts.path}?{parts.query}",
        form,
        token=None,
        content_type="application/x-www-form-urlencoded",
    )
    assert answer.status == 302, answer.body
    return answer.headers["Location"]


def go(address: str) -> Reply:
    parts = urlsplit(address)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return ask(f"http://{parts.netloc}", "GET", path, token=None)


def changed(address: str, **query: str | None) -> str:
    parts = urlsplit(address)
    merged = {**dict(parse_qsl(parts.query)), **query}
    kept = {name: value for name, value in merged.items() if value is not None}
    return parts._replace(query=urlencode(kept)).geturl()


def stored(folder: Path) -> Any:
    return json.loads((folder / "ops-token.json").read_bytes())


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


# What is known to be wrong is said before anybody is sent to a browser.


def invoked(monkeypatch: pytest.MonkeyPatch, path: Path, *flags: str, user: str = "ops") -> Result:
    monkeypatch.setenv(SECRET_ENV, SECRET)
    monkeypatch.setenv("COLUMNS", "200")
    arguments = ["connect", f"--destination={path}", f"--user={user}", "--no_browser"]
    return CliRunner().invoke(cli, [*arguments, "--wait_seconds=0.01", *flags])


def test_a_user_who_does_not_sign_in_by_oauth_is_refused_with_what_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = invoked(monkeypatch, write_destination(tmp_path, "http://127.0.0.1:9"), user="trial")
    assert said.exit_code == 2
    assert "user 'trial' is not connected by OAuth but is of type bearer" in said.output
    assert "write type: oauth with client_id" in said.output
    assert "/oauth/authorize" not in said.output


def test_a_user_who_is_not_in_the_file_is_refused_with_the_nearest_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_destination(tmp_path, "http://127.0.0.1:9")
    said = invoked(monkeypatch, path, user="opps")
    assert said.exit_code == 2
    assert "no user is called 'opps'; did you mean 'ops'?" in said.output
    said = invoked(monkeypatch, path, user="zz")
    assert "there are ops, trial" in said.output


def test_a_missing_client_secret_is_named_and_other_users_secrets_are_not_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_destination(tmp_path, "http://127.0.0.1:9")
    monkeypatch.delenv(SECRET_ENV, raising=False)
    said = CliRunner().invoke(cli, ["connect", f"--destination={path}", "--user=ops"])
    assert said.exit_code == 2
    assert f"users[0].auth.client_secret_env: the environment variable {SECRET_ENV}" in said.output
    assert "TRIAL_TOKEN" not in said.output


@pytest.mark.parametrize(
    "store", ["absent/t.json", "folder", "destination.yaml/t.json", "gs://b/t.json"]
)
def test_a_store_that_cannot_be_written_is_refused_before_anybody_signs_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: str
) -> None:
    (tmp_path / "folder").mkdir()
    path = write_destination(tmp_path, "http://127.0.0.1:9", token_store=store)
    said = invoked(monkeypatch, path)
    assert said.exit_code == 2, said.output
    assert store in said.output
    assert "/oauth/authorize" not in said.output


def test_a_store_in_secret_manager_is_in_no_folder(tmp_path: Path) -> None:
    secret = "projects/p/secrets/outreach-ops"
    path = write_destination(tmp_path, "http://127.0.0.1:9", token_store=secret)
    assert oauth_of(load_destination(str(path)), "ops", {SECRET_ENV: SECRET}).token_store == secret


def test_a_port_that_is_taken_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_destination(tmp_path, "http://127.0.0.1:9")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = invoked(monkeypatch, path, f"--port={taken.getsockname()[1]}")
    assert said.exit_code == 2
    assert "cannot listen on 127.0.0.1:" in said.output
    assert "register another redirect URI" in said.output


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--redirect_uri=http://tools.example.com/x"], "must be encrypted"),
        (["--redirect_uri=https://tools.example.com/#x"], "must be without a fragment"),
        (["--redirect_uri=localhost:8910"], "must be a web address"),
        (["--redirect_uri=https://x.example", "--port=8910"], "give one"),
        (["--port=0"], "0 is not in the range"),
        (["--wait_seconds=0"], "0.0 is not in the range"),
    ],
)
def test_a_command_line_that_cannot_work_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str], said: str
) -> None:
    path = write_destination(tmp_path, "http://127.0.0.1:9")
    result = invoked(monkeypatch, path, *flags)
    assert result.exit_code == 2
    assert said in result.output


# What the token endpoint answers.


def test_an_application_that_outreach_does_not_know_ends_with_2(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    write_destination(tmp_path, sandbox.url)
    wrong = variables(**{SECRET_ENV: "n0t-the-secret"})
    with connecting(tmp_path, "--no_browser", environ=wrong) as program:
        go(decide(program.address()))
        status, said = program.end()
    assert status == 2
    assert "does not know its OAuth application" in said
    assert f"check client_id in the destination file and the environment variable {SECRET_ENV}" in (
        said
    )
    assert "n0t-the-secret" not in said
    assert not (tmp_path / "ops-token.json").exists()


def test_a_code_that_is_refused_ends_with_1_and_asks_for_another_try(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    write_destination(tmp_path, sandbox.url)
    with connecting(tmp_path, "--no_browser") as program:
        go(changed(decide(program.address()), code="an-invented-code"))
        status, said = program.end()
    assert status == 1
    assert "refuses the authorization code of 'ops' (invalid_grant" in said
    assert "run connect again" in said
    assert "an-invented-code" not in said


class Person:
    """Does as the address that is printed asks, once it is printed."""

    def __init__(self) -> None:
        self.text = StringIO()
        self.slept: list[float] = []

    async def connect(self, sandbox: Sandbox, folder: Path, clock: Clock | None = None) -> None:
        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)
            if clock is not None:
                clock.now += seconds

        connection = Connection(
            user="ops",
            auth=OAuthAuth("app", SECRET_ENV, str(folder / "ops-token.json")),
            base_url=sandbox.url,
            open_browser=False,
        )
        console = Console(file=self.text, width=200, soft_wrap=True)
        task = asyncio.create_task(connect(connection, console, sleep=sleep))
        await asyncio.to_thread(wait_for, lambda: "/oauth/authorize?" in self.text.getvalue())
        (address,) = re.findall(r"http\S+/oauth/authorize\S+", self.text.getvalue())
        await asyncio.to_thread(lambda: go(decide(address)))
        await task


def test_one_token_request_a_minute_is_waited_for_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECRET_ENV, SECRET)
    clock, person = Clock(), Person()
    with running_sandbox(OPTIONS, clock) as sandbox:
        asyncio.run(person.connect(sandbox, tmp_path, clock))
        first = stored(tmp_path)
        person.text = StringIO()
        asyncio.run(person.connect(sandbox, tmp_path, clock))
    assert person.slept == [60]
    assert "answers one token request a minute; waiting 60 s" in person.text.getvalue()
    assert stored(tmp_path)["access_token"] != first["access_token"]


def test_trouble_at_the_token_endpoint_is_retried_and_then_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECRET_ENV, SECRET)
    person = Person()
    with (
        running_sandbox(SandboxOptions(faults=FaultSettings(token_error=1.0))) as sandbox,
        pytest.raises(ActivationError, match="no token for 'ops': the token endpoint answered 500"),
    ):
        asyncio.run(person.connect(sandbox, tmp_path))
    assert len(person.slept) == 3
    assert "The token endpoint is in trouble; asking again in 4 s" in person.text.getvalue()
    assert not (tmp_path / "ops-token.json").exists()


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


def test_each_flag_and_each_sentence_of_the_page_is_the_programs() -> None:
    page = (ROOT / "docs" / "connecting.md").read_text("utf-8")
    known = {
        spelling
        for parameter in (*connect_command.params, *validate_command.params)
        for spelling in parameter.opts
    }
    assert set(re.findall(r"--[a-z_]+", page)) - known == set()
    sources = "".join(
        " ".join((ROOT / name).read_text("utf-8").split()).replace('" f"', "").replace('" "', "")
        for name in (
            "pipeline/oauth_flow/request.py",
            "pipeline/oauth_flow/callback.py",
            "pipeline/oauth_flow/flow.py",
            "pipeline/preflight/api_probe.py",
            "transforms/outreach/auth/oauth.py",
            "transforms/outreach/auth/token_request.py",
        )
    )
    table = page.partition("\n## When it does not work\n")[2]
    said = re.findall(r"^\| (?!it says|-)([^|]+) \|", table, re.MULTILINE)
    assert len(said) == 9
    assert [
        each for each in said if each.replace("prospects.write", "{self._write}") not in sources
    ] == []


def test_the_example_of_the_page_can_be_connected(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "connecting.md").read_text("utf-8")
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    path = tmp_path / "destination.yaml"
    path.write_text(example, encoding="utf-8")
    settings = oauth_of(load_destination(str(path)), "ops", variables())
    assert settings.redirect_uri == "http://localhost:8910/callback"
