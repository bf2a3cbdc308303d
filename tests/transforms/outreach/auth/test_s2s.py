"""An application signs in for itself, with a key of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from tests.support.servers.sandbox_client import Clock, patch
from transforms.errors import CredentialError, Trouble
from transforms.outreach.auth.credentials import (
    S2SAuth,
    S2SCredential,
)
from transforms.outreach.client import OutreachClient

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    ours, others = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    elliptic = ec.generate_private_key(ec.SECP256R1())
    written: list[tuple[str, PrivateKeyTypes, KeySerializationEncryption]] = [
        ("ours", ours, NoEncryption()),
        ("others", others, NoEncryption()),
        ("locked", ours, BestAvailableEncryption(b"password")),
        ("elliptic", elliptic, NoEncryption()),
    ]
    for name, key, encryption in written:
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
        (folder / f"{name}.pem").write_bytes(pem)
    (folder / "public.pem").write_bytes(
        ours.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return folder


@pytest.fixture
def s2s_sandbox(keys: Path, clock: Clock) -> Iterator[Sandbox]:
    options = SandboxOptions(prospects=1, tokens={"unused": "other"}, s2s_key=keys / "public.pem")
    with running_sandbox(options, clock) as running:
        yield running


def application(sandbox: Sandbox, key: Path, url: str | None = None) -> S2SCredential:
    return S2SAuth("install 1", "our-app", str(key)).credential("app", url or sandbox.url)


def test_an_application_signs_in_for_itself(s2s_sandbox: Sandbox, keys: Path, clock: Clock) -> None:
    credential = application(s2s_sandbox, keys / "ours.pem")
    first = asyncio.run(credential.token(clock()))
    assert patch(s2s_sandbox, 1, first, custom4="realized").status == 200
    clock.now += 3000
    assert asyncio.run(credential.token(clock())) == first
    clock.now += 300
    second = asyncio.run(credential.token(clock()))
    assert second != first
    assert patch(s2s_sandbox, 1, second, custom4="realized").status == 200
    assert second not in repr(credential)


def test_an_applications_refused_token_is_replaced_a_minute_apart(
    s2s_sandbox: Sandbox, keys: Path, clock: Clock
) -> None:
    credential = application(s2s_sandbox, keys / "ours.pem")
    first = asyncio.run(credential.token(clock()))
    for _ in range(2):
        with pytest.raises(Trouble, match="is due in 60 s"):
            asyncio.run(credential.refused(first, clock()))
    clock.now += 60
    asyncio.run(credential.refused(first, clock()))
    second = asyncio.run(credential.token(clock()))
    asyncio.run(credential.refused(first, clock()))
    assert asyncio.run(credential.token(clock())) == second != first


def test_an_application_goes_on_with_a_good_token_while_there_is_trouble(
    s2s_sandbox: Sandbox, keys: Path, clock: Clock
) -> None:
    credential = application(s2s_sandbox, keys / "ours.pem")
    first = asyncio.run(credential.token(clock()))
    credential._client = OutreachClient("http://127.0.0.1:1")
    clock.now += 3300
    assert asyncio.run(credential.token(clock())) == first
    clock.now += 300
    with pytest.raises(Trouble):
        asyncio.run(credential.token(clock()))


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("others.pem", "answered 401"),
        ("locked.pem", "without a password"),
        ("elliptic.pem", "not an RSA key"),
        ("public.pem", "not a private key"),
        ("absent.pem", "No such file"),
    ],
)
def test_a_key_that_does_not_open_says_why(
    s2s_sandbox: Sandbox, keys: Path, clock: Clock, key: str, problem: str
) -> None:
    credential = application(s2s_sandbox, keys / key)
    with pytest.raises(CredentialError, match=problem) as raised:
        asyncio.run(credential.token(clock()))
    assert "private_key_file" in raised.value.remedy
    assert "PRIVATE KEY" not in str(raised.value)
