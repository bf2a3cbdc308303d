"""What docs/security.md promises: where secrets go, and where they never do."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import re
import ssl
import stat
import subprocess
import traceback
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiohttp import web

from pipeline.destination.file import load_destination
from pipeline.destination.stage_config import accesses_of
from pipeline.sandbox import SandboxOptions, running_sandbox
from tests.support.data.three_audiences import NUMBERS, line
from tests.support.processes.program import (
    ROOT,
    TOKEN,
    Ended,
    environment,
    replay,
    run,
    write_destination,
    write_lines,
)
from tests.support.servers.certificates import Authority
from tests.support.servers.connected import (
    CLIENT_SECRET,
    CLIENT_SECRET_ENV,
    TOKEN_STORE,
    USER,
    connect,
    secrets_of,
    sign_up,
)
from tests.support.servers.wire import recorded, serving
from transforms.clock import steady
from transforms.errors import ActivationError
from transforms.outreach.auth.token_response import Tokens
from transforms.outreach.client import OutreachClient

pytestmark = pytest.mark.real

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJvcHMiLCJpYXQiOjF9.c2lnbmF0dXJlLXNpZ25hdHVyZQ"
OPAQUE = "Zk3vX9pQ2rT6yB8nL1mC4wJ7hG5dF0sA-eU_iO3kV9x"
WEBHOOK = "https://hooks.example.com/T0/hush-8c1d"
BEARER = {"name": "ops", "auth": {"type": "bearer", "token_env": "OUTREACH_TOKEN"}}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def ask_live(folder: Path, **variables: str) -> Ended:
    return run(
        folder,
        "validate",
        "--destination=destination.yaml",
        "--live",
        variables=environment(**variables),
    )


def test_a_certificate_of_a_known_authority_is_taken(tmp_path: Path, authority: Authority) -> None:
    with (
        running_sandbox(SandboxOptions(prospects=1)) as sandbox,
        recorded(sandbox.url, authority.context()) as (url, passed),
    ):
        write_destination(tmp_path, url, NUMBERS)

        ended = ask_live(tmp_path, SSL_CERT_FILE=str(authority.file))

    assert url.startswith("https://")
    assert ended.status == 0, ended.stderr
    assert {each.status for each in passed} == {200, 404}


@contextmanager
def listening(tls: ssl.SSLContext) -> Iterator[tuple[str, list[web.Request]]]:
    """A server that keeps what it is asked."""
    asked: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request)
        return web.Response()

    with serving(answer, tls) as url:
        yield url, asked


@pytest.mark.parametrize(
    ("address", "days", "known"),
    [("127.0.0.1", 30, False), ("127.0.0.2", 30, True), ("127.0.0.1", -1, True)],
    ids=["of an unknown authority", "for another address", "that has ended"],
)
def test_a_certificate_that_proves_nothing_gets_no_request(
    tmp_path: Path, authority: Authority, address: str, days: int, known: bool
) -> None:
    with listening(authority.context(address, days)) as (url, asked):
        write_destination(tmp_path, url, NUMBERS)

        ended = ask_live(tmp_path, **({"SSL_CERT_FILE": str(authority.file)} if known else {}))

    assert ended.status == 2
    assert "is not to be trusted" in ended.stderr
    assert asked == []


def test_a_replay_delivers_nothing_over_a_connection_that_proves_nothing(
    tmp_path: Path, authority: Authority
) -> None:
    with listening(authority.context()) as (url, asked):
        write_lines(tmp_path / "in.jsonl", [line(1)])
        write_destination(tmp_path, url, NUMBERS, delivery={"give_up_hours": 1e-9})

        ended = replay(tmp_path, "in.jsonl")

    assert ended.status == 3
    assert ["is not to be trusted" in each["detail"] for each in ended.dead_letters] == [True]
    assert asked == []


@pytest.mark.parametrize(
    "command",
    [["replay", "in.jsonl"], ["validate", "--live"], ["connect", "--user=ops"]],
    ids=lambda command: command[0],
)
def test_no_command_goes_to_another_machine_without_tls(tmp_path: Path, command: list[str]) -> None:
    write_lines(tmp_path / "in.jsonl", [line(1)])
    write_destination(tmp_path, "http://api.outreach.io", NUMBERS)

    ended = run(tmp_path, *command, "--destination=destination.yaml")

    assert ended.status == 2
    assert "must be encrypted" in ended.stderr


@pytest.mark.parametrize("token", [JWT, OPAQUE, "sesame-7"], ids=["JWT", "opaque", "short"])
def test_a_server_that_repeats_the_token_finds_it_repeated_nowhere(
    tmp_path: Path, token: str
) -> None:
    async def echo(request: web.Request) -> web.Response:
        said = request.headers["Authorization"]
        told = [said, token, f"token={token}", f"'{token}'"]
        prospect = int(request.path.rpartition("/")[2])
        status = [400, 403, 404, 410, 413, 451, 500][prospect % 7]
        body = [
            "; ".join(told),
            json.dumps({"errors": [{"id": "resourceNotFound", "title": "T", "detail": d}
                                   for d in told]}),
            json.dumps({"error": told[0], "description": told[1]}),
            f"<html><title>{said}</title></html>" if status not in (403, 404) else said,
        ][prospect // 7 % 4]  # fmt: skip
        return web.Response(status=status, text=body)

    with serving(echo) as url:
        write_lines(tmp_path / "in.jsonl", [line(prospect) for prospect in range(7, 35)])
        write_destination(tmp_path, url, NUMBERS, delivery={"give_up_hours": 1e-9})

        ended = run(
            tmp_path,
            "replay",
            "in.jsonl",
            "--destination=destination.yaml",
            "--dead_letters=dead_letters.jsonl",
            "--receipts=receipts.jsonl",
            "--ledger=ledger.sqlite",
            variables=environment(OUTREACH_TOKEN=token),
        )

    assert len(ended.dead_letters) == 28
    found = {path.name for path in tmp_path.iterdir() if token.encode() in path.read_bytes()}
    assert found == set()
    assert token not in ended.stdout + ended.stderr


def test_no_secret_is_in_a_repr_in_an_error_or_in_what_travels_to_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTREACH_TOKEN", TOKEN)
    monkeypatch.setenv(CLIENT_SECRET_ENV, CLIENT_SECRET)
    application = sign_up(tmp_path)
    options = SandboxOptions(
        tokens={TOKEN: "trial"},
        approve="ops",
        token_interval=0,
        s2s_key=tmp_path / "public.pem",
    )
    with running_sandbox(options) as sandbox, serving(hang_up) as nowhere:
        connect(sandbox, tmp_path)
        trial = BEARER | {"name": "trial"}
        write_destination(
            tmp_path,
            sandbox.url,
            NUMBERS,
            users=[trial, USER, application],
            alerts={"webhook": WEBHOOK},
        )
        destination = load_destination(str(tmp_path / "destination.yaml"))
        stored = (tmp_path / TOKEN_STORE).read_bytes()
        tokens = []
        seen: list[object] = [destination, destination.secrets(os.environ), Tokens.read(stored)]
        for access in accesses_of(destination):
            credential = access.auth.credential(access.name, sandbox.url)
            token = asyncio.run(credential.token(steady()))
            tokens.append(token)
            seen += [access, access.auth, credential, pickle.dumps(access)]
            user = "s2s-6c1f0d0a-3b1e" if access.name == "app" else access.name
            assert sandbox.revoke_tokens(user) == 1
            seen.append(raised(lambda c=credential, t=token: c.refused(t, steady())))
            seen.append(raised(lambda t=token: patch_in_vain(nowhere, t)))
            seen.append(raised(lambda t=token: patch_in_vain("http://127.0.0.1:1", t)))
        secrets = {*secrets_of(sandbox, tmp_path), TOKEN, "T0/hush-8c1d"}
    key = (tmp_path / "key.pem").read_text().splitlines()[1:-1]
    assert secrets > {*tokens, CLIENT_SECRET}
    told = [text for each in seen for text in texts(each)]
    assert [text for text in told if any(map(text.__contains__, [*secrets, *key]))] == []


async def hang_up(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def patch_in_vain(url: str, token: str) -> None:
    async with OutreachClient(url) as client:
        await client.patch_prospect(1, {"custom4": "x"}, token)


def raised(act: Callable[[], Coroutine[None, None, None]]) -> ActivationError:
    with pytest.raises(ActivationError) as found:
        asyncio.run(act())
    return found.value


def texts(found: object) -> Iterator[str]:
    yield str(found)
    yield repr(found)
    if isinstance(found, BaseException):
        yield from traceback.format_exception(found)


def test_what_may_hold_secrets_or_people_is_for_its_owner_alone(tmp_path: Path) -> None:
    with running_sandbox(SandboxOptions(prospects=9, approve="ops", token_interval=0)) as sandbox:
        connect(sandbox, tmp_path, hours_ago=3)  # so that it is renewed, and written by us
        (tmp_path / TOKEN_STORE).chmod(0o644)
        write_lines(tmp_path / "in.jsonl", [line(one) for one in range(1, 9)])
        write_destination(tmp_path, sandbox.url, NUMBERS, users=[USER])

        ended = run(
            tmp_path,
            "replay",
            "in.jsonl",
            "--destination=destination.yaml",
            "--ledger=ledger.sqlite",
            variables=environment(**{CLIENT_SECRET_ENV: CLIENT_SECRET}),
        )

    assert ended.status == 0, ended.stderr
    found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    ours = {name: mode for name, mode in found.items() if re.match("ledger|ops-token", name)}
    assert ours.keys() >= {"ledger.sqlite", "ledger.sqlite.lock", TOKEN_STORE}
    assert set(ours.values()) == {0o600}


def test_the_commands_on_the_page_remove_a_prospect_and_nothing_else(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "security.md").read_text("utf-8")
    removing, looking = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    unknown = [1234, 12345, 5]
    write_lines(tmp_path / "in.jsonl", [*map(line, [1, 2, *unknown]), '{"outreach_id": 1234, '])
    with running_sandbox(SandboxOptions(prospects=2)) as sandbox:
        write_destination(tmp_path, sandbox.url, NUMBERS)
        ended = replay(tmp_path, "in.jsonl")
        before = ended.receipts, ended.dead_letters

    found = subprocess.run(
        ["bash", "-euc", removing + looking], cwd=tmp_path, capture_output=True, check=True
    )

    receipts, letters = before
    gone = [one for one in receipts if one not in ended.receipts]
    gone += [one["payload"] for one in letters if one not in ended.dead_letters]
    assert [one["outreach_id"] for one in gone] == [1234, 1234]
    assert len(ended.receipts) == len(ended.dead_letters) + 1 == 4
    assert b'"{\\"outreach_id\\": 1234, "' in found.stdout
