"""What the token endpoint answers to a code: tokens, a refusal, or trouble."""

from __future__ import annotations

import asyncio
import re
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.oauth_flow.flow import Connection, connect
from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from pipeline.sandbox.faults import FaultSettings
from tests.pipeline.commands.connect.connecting import (
    OPTIONS,
    SECRET,
    SECRET_ENV,
    changed,
    connecting,
    decide,
    go,
    stored,
    variables,
    write_destination,
)
from tests.support.servers.sandbox_client import Clock, wait_for
from transforms.errors import ActivationError
from transforms.outreach.auth.oauth import OAuthAuth

pytestmark = pytest.mark.real


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
