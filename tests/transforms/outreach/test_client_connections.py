"""The client against servers that hang up, stop halfway, or prove nothing."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.transforms.outreach.talking import TOKEN, Talk, patch_once, serving, talking
from transforms.outreach.client import Reply, Trouble

pytestmark = pytest.mark.real


async def hang_up(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.transport.abort()


async def say_nothing(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def stop_halfway(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()


async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
    await writer.drain()


@pytest.mark.parametrize(
    ("talk", "what"),
    [
        (hang_up, "lost before the answer"),
        (reset, "lost before the answer"),
        (say_nothing, r"no answer within 0\.05 s"),
        (stop_halfway, "cannot be read"),
        (babble, "cannot be read"),
    ],
)
def test_no_answer_is_trouble_that_may_have_been_sent(talk: Talk, what: str) -> None:
    async def main() -> None:
        async with talking(talk) as url:
            await patch_once(url, total_seconds=0.05 if talk is say_nothing else 10)

    with pytest.raises(Trouble, match=what) as raised:
        asyncio.run(main())
    assert raised.value.sent
    assert TOKEN not in repr(raised.value)
    assert raised.value.__cause__ is None


def test_no_connection_is_trouble_that_was_never_sent() -> None:
    with pytest.raises(Trouble, match=r"no connection to 127\.0\.0\.1: Connect") as raised:
        asyncio.run(patch_once("http://127.0.0.1:1"))
    assert not raised.value.sent


@pytest.fixture
def self_signed(tmp_path: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=36_500))
        .sign(key, SHA256())
    )
    pem = tmp_path / "server.pem"
    pem.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    return context


def test_a_certificate_that_nobody_vouches_for_gets_no_token(self_signed: ssl.SSLContext) -> None:
    heard = b""

    async def listen(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        nonlocal heard
        heard = await reader.read()

    async def main() -> None:
        async with talking(listen, self_signed) as url:
            await patch_once(url)

    with pytest.raises(Trouble, match="is not to be trusted") as raised:
        asyncio.run(main())
    assert not raised.value.sent
    assert heard == b""


def test_the_environments_proxy_is_used_but_not_for_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)

    async def main() -> tuple[list[str], Reply]:
        asked = []

        async def answer(request: web.Request) -> web.Response:
            asked.append(request.raw_path)
            return web.Response()

        async with serving(answer) as proxy, serving(answer) as url:
            monkeypatch.setenv("http_proxy", proxy)
            await patch_once("http://outreach.example")
            monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
            return asked, await patch_once(url)

    asked, direct = asyncio.run(main())
    assert asked == ["http://outreach.example/api/v2/prospects/1", "/api/v2/prospects/1"]
    assert direct.status == 200
