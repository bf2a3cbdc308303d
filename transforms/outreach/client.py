"""Requests to Outreach and their answers, whatever these are; aiohttp, no Beam."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import Final, NamedTuple, Self
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import orjson
from yarl import URL

from transforms.errors import Trouble
from transforms.outreach.base_url import is_loopback
from transforms.outreach.fields import OBJECTS, PROSPECT

__all__ = ["OutreachClient", "Reply", "Timeouts", "Trouble"]

JSON_API: Final = "application/vnd.api+json"

MOST_IDS: Final = 600
"""Prospects read with one request.

Outreach takes up to 1,000 a page, but many servers refuse a request line of more than 8 KB:
600 ids of ten digits and the names of all 150 custom fields fit in 8,190 bytes, which is
aiohttp's own limit.
"""
_PAGE_SIZE: Final = 1000


class Reply(NamedTuple):
    """An answer.

    Attributes:
      status: of HTTP.
      headers: found in any case.
      body: as it came, decompressed.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a request may take.

    Attributes:
      connect_seconds: until there is a connection.
      total_seconds: until the whole answer is there.
    """

    connect_seconds: float = 10.0
    total_seconds: float = 30.0


class OutreachClient:
    """One worker's connections to Outreach, shared by all its users.

    Connections are opened as they are needed, kept for the next request and never more
    than there are requests under way. Certificates are always verified; redirects are not
    followed, since an answer from elsewhere is a mistake in the address. The environment's
    proxy is used, except for this machine itself.

    Args:
      base_url: of the API, with or without a trailing slash.
      timeouts: see `Timeouts`.
      connections: at most; 0 for as many as there are requests under way. A request that
        waits for a connection spends its total time waiting.
      most_ids: see `MOST_IDS`.
      kind: the object that is written, ``prospect`` or ``account``.
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeouts: Timeouts | None = None,
        connections: int = 0,
        most_ids: int = MOST_IDS,
        kind: str = PROSPECT,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.most_ids = most_ids
        self.kind = OBJECTS[kind]
        self._timeouts = timeouts or Timeouts()
        self._connections = connections
        self._proxy = _proxy(self.base_url)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes all connections; a later request opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def patch_prospect(
        self,
        outreach_id: int,
        attributes: Mapping[str, object] | str,
        token: str,
        relationships: str = "",
    ) -> Reply:
        """Changes some attributes of one prospect, and relationships; null clears one.

        Args:
          outreach_id: the prospect.
          attributes: by name, or as the text of a JSON object.
          token: a bearer token.
          relationships: by name, as the text of a JSON object; empty for none.

        Raises:
          Trouble: there was no answer.
        """
        text = attributes.encode() if isinstance(attributes, str) else orjson.dumps(attributes)
        kind = self.kind.name.encode()
        more = f',"relationships":{relationships}'.encode() if relationships else b""
        body = b'{"data":{"type":"%b","id":%d,"attributes":%b%b}}' % (kind, outreach_id, text, more)
        return await self.request("PATCH", f"{self.kind.path}/{outreach_id}", token, body)

    async def read_prospects(self, ids: Sequence[int], fields: Sequence[str], token: str) -> Reply:
        """Reads attributes of many prospects with one request; absent ids are missing from it.

        Args:
          ids: at least one, and `most_ids` at most.
          fields: names of attributes.
          token: a bearer token.

        Raises:
          Trouble: there was no answer.
          ValueError: there is no id, which would read everybody, or there are too many.
        """
        if not 0 < len(ids) <= min(self.most_ids, _PAGE_SIZE):
            raise ValueError(f"{len(ids)} prospects cannot be read at once")
        query = (
            f"filter%5Bid%5D={','.join(map(str, ids))}"
            f"&fields%5B{self.kind.name}%5D={quote(','.join(fields), safe=',')}"
            f"&page%5Bsize%5D={_PAGE_SIZE}&count=false"
        )
        return await self.request("GET", f"{self.kind.path}?{query}", token)

    async def get(self, path: str, token: str, query: Mapping[str, str] | None = None) -> Reply:
        """Reads, such as ``/api/v2/types``.

        Raises:
          Trouble: there was no answer.
        """
        asked = f"?{urlencode(query, safe=',')}" if query else ""
        return await self.request("GET", f"{path}{asked}", token)

    async def post(self, path: str, document: object, token: str) -> Reply:
        """Posts a JSON:API document, such as a batch.

        Raises:
          Trouble: there was no answer.
        """
        body = orjson.dumps(document)
        return await self.request("POST", path, token, body)

    async def request(self, method: str, path: str, token: str, body: bytes | None = None) -> Reply:
        """Sends one request, once; to our own host only, as it carries a token.

        Args:
          method: of HTTP.
          path: with its query, percent-encoded.
          token: a bearer token.
          body: a JSON:API document.

        Raises:
          Trouble: there was no answer.
        """
        headers = {"Authorization": f"Bearer {token}", "Content-Type": JSON_API}
        return await self._exchange(method, path, headers, body)

    async def post_form(self, path: str, form: Mapping[str, str]) -> Reply:
        """Posts a form without any token, as OAuth's token endpoint wants it.

        Raises:
          Trouble: there was no answer.
        """
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        body = urlencode(form).encode()
        return await self._exchange("POST", path, headers, body)

    async def _exchange(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> Reply:
        session = self._session or self._open()
        try:
            async with session.request(
                method,
                URL(f"{self.base_url}{path}", encoded=True),
                data=body,
                headers=headers,
                allow_redirects=False,
                proxy=self._proxy,
            ) as response:
                return Reply(response.status, response.headers, await response.read())
        except (aiohttp.ClientError, OSError) as error:
            # Not chained: the cause can hold the request, and so the token.
            raise _trouble(error, self._timeouts) from None

    def _open(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections, ttl_dns_cache=300),
            timeout=aiohttp.ClientTimeout(
                total=self._timeouts.total_seconds, sock_connect=self._timeouts.connect_seconds
            ),
            headers={"User-Agent": _user_agent(), "Accept": JSON_API},
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self._session


def _trouble(error: aiohttp.ClientError | OSError, timeouts: Timeouts) -> Trouble:
    """Says what happened in our own words: the library's may repeat addresses with secrets."""
    sent = False
    match error:
        case aiohttp.ConnectionTimeoutError():
            what = f"no connection within {timeouts.connect_seconds:g} s"
        case aiohttp.ClientConnectorDNSError():
            what = f"the address of {error.host} cannot be found"
        case aiohttp.ClientConnectorCertificateError():
            what = f"the certificate of {error.host} is not to be trusted"
        case aiohttp.ClientConnectorError():
            why = error.os_error.strerror or type(error.os_error).__name__
            what = f"no connection to {error.host}: {why}"
        case TimeoutError():
            what, sent = f"no answer within {timeouts.total_seconds:g} s", True
        case aiohttp.ServerDisconnectedError() | OSError():
            what, sent = "the connection was lost before the answer came", True
        case _:
            what, sent = f"the answer cannot be read ({type(error).__name__})", True
    return Trouble(what, sent=sent)


def _proxy(base_url: str) -> str | None:
    # Asked once: aiohttp's own way of doing so reads the environment for each request.
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if is_loopback(host) or proxy_bypass(host):
        return None
    return getproxies().get(parts.scheme)


def _user_agent() -> str:
    try:
        return f"outreach-activation/{version('outreach-activation')}"
    except PackageNotFoundError:  # run from a source tree
        return "outreach-activation"
