"""A bearer token is read from its variable, file or secret, and never shown."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest

from tests.support.servers.secret_manager import PATH, Manager, secretmanager, serving
from transforms.errors import CredentialError, Trouble
from transforms.outreach.auth.credentials import (
    BearerAuth,
)

pytestmark = pytest.mark.real


def test_a_bearer_token_is_read_from_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPS_TOKEN", " s3cr3t\n")
    credential = BearerAuth("OPS_TOKEN").credential("ops", "https://api.outreach.io")
    assert asyncio.run(credential.token(0.0)) == "s3cr3t"
    assert "s3cr3t" not in repr(credential)


@pytest.mark.parametrize("value", [None, "", "  ", "two words", "ümlaut", "line\nbreak"])
def test_a_variable_without_a_token_is_named(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("OPS_TOKEN", raising=False)
    if value is not None:
        monkeypatch.setenv("OPS_TOKEN", value)
    credential = BearerAuth("OPS_TOKEN").credential("ops", "https://api.outreach.io")
    with pytest.raises(CredentialError, match="OPS_TOKEN") as raised:
        asyncio.run(credential.token(0.0))
    assert not value or not value.strip() or value not in str(raised.value)


def test_a_bearer_token_that_is_refused_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPS_TOKEN", "s3cr3t")
    credential = BearerAuth("OPS_TOKEN").credential("ops", "https://api.outreach.io")
    with pytest.raises(CredentialError, match="OPS_TOKEN") as raised:
        asyncio.run(credential.refused("s3cr3t", 0.0))
    assert raised.value.remedy
    assert "s3cr3t" not in str(raised.value)


def test_a_bearer_token_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(" s3cr3t\n")
    credential = BearerAuth(token_file=str(file)).credential("ops", "https://api.outreach.io")
    assert asyncio.run(credential.token(0.0)) == "s3cr3t"
    assert "s3cr3t" not in repr(credential)


@pytest.mark.parametrize("content", [None, b"", b"\n", b"two words", b"\xc3\xbcmlaut", b"a\nb"])
def test_a_file_without_a_token_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    credential = BearerAuth(token_file=str(file)).credential("ops", "https://api.outreach.io")
    with pytest.raises(CredentialError, match=f"the file {file}") as raised:
        asyncio.run(credential.token(0.0))
    assert raised.value.remedy


def test_a_fresh_token_in_the_file_takes_the_place_of_one_that_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("stale")
    credential = BearerAuth(token_file=str(file)).credential("ops", "https://api.outreach.io")
    assert asyncio.run(credential.token(0.0)) == "stale"
    with pytest.raises(CredentialError, match="put a fresh one into the file"):
        asyncio.run(credential.refused("stale", 0.0))
    file.write_text("fresh")
    assert asyncio.run(credential.token(0.0)) == "stale"
    asyncio.run(credential.refused("stale", 0.0))
    assert asyncio.run(credential.token(0.0)) == "fresh"
    file.write_text("fresher")
    asyncio.run(credential.refused("stale", 0.0))  # a late answer
    assert asyncio.run(credential.token(0.0)) == "fresh"


def test_a_bearer_token_is_read_from_secret_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = Manager()
    credential = BearerAuth(token_file=PATH).credential("ops", "https://api.outreach.io")
    with serving(manager) as client:
        monkeypatch.setattr(secretmanager, "SecretManagerServiceClient", lambda: client)
        with pytest.raises(CredentialError, match=f"the secret {PATH}"):
            asyncio.run(credential.token(0.0))
        manager.versions[1] = b"s3cr3t\n"
        manager.failing = grpc.StatusCode.UNAVAILABLE
        with pytest.raises(Trouble):
            asyncio.run(credential.token(0.0))
        manager.failing = None
        assert asyncio.run(credential.token(0.0)) == "s3cr3t"
    assert "s3cr3t" not in repr(credential)
