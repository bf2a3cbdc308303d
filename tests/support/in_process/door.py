"""A door of this process over a ledger, and a client that says what it was answered."""

from __future__ import annotations

import http.client
import json
import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pipeline.destination.file import load_destination
from pipeline.door.group_commit import GroupCommit
from pipeline.door.refusals import Refusals
from pipeline.door.server import DoorOptions, opened
from pipeline.ledger.store import connect, owned
from transforms.clock import steady

SECRETS = {
    "OUTREACH_TOKEN": "outreach-token",
    "AEP_TOKEN": "aep-token",
    "MIXPANEL_PASSWORD": "mixpanel-password",
    "AMPLITUDE_KEY": "amplitude-key",
    "SEGMENT_SECRET": "segment-secret",
    "CLIENT_SECRET": "client-secret",
    "USER_PASSWORD": "user-password",
}
SOURCES = """
sources:
  - {name: aep, auth: {type: bearer, token_env: AEP_TOKEN}}
  - {name: mixpanel, auth: {type: basic, username: mixpanel, password_env: MIXPANEL_PASSWORD}}
  - {name: amplitude, auth: {type: header, header: X-Api-Key, value_env: AMPLITUDE_KEY}}
  - name: segment
    auth: {type: hmac, header: X-Signature, algorithm: sha1, secret_env: SEGMENT_SECRET}
  - name: adobe
    auth: {type: oauth_client, client_id: adobe, client_secret_env: CLIENT_SECRET,
           username: user, password_env: USER_PASSWORD}
  - {name: rudder, auth: {type: none}, segment: vip, lane: backfill}
  - {name: slow, auth: {type: none}, max_per_second: 2}
"""


def write_destination_with_sources(
    folder: Path, url: str = "http://127.0.0.1:9", sources: str = SOURCES
) -> None:
    """`destination.yaml` of a folder: audiences vip and 456, and a source of each kind."""
    (folder / "destination.yaml").write_text(
        f"name: posted\noutreach: {{base_url: '{url}'}}\n"
        "users: [{name: ops, auth: {type: bearer, token_env: OUTREACH_TOKEN}}]\n"
        "audiences:\n  - {segment: vip, mapping_id: 4}\n  - {segment: '456', mapping_id: 5}\n"
        "attributes: [{source: plan, target: title}]\n"
        f"delivery: {{hold_seconds: 0}}\n{sources}",
        encoding="utf-8",
    )


class Answer(NamedTuple):
    """What a request was answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def post(
    url: str,
    body: bytes | str | object,
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "POST",
    context: ssl.SSLContext | None = None,
) -> Answer:
    """Posts a body, JSON of what is neither bytes nor text, to an address."""
    if not isinstance(body, bytes | str):
        body = json.dumps(body)
    sent = body.encode() if isinstance(body, str) else body
    parts = urlsplit(url)
    kind = http.client.HTTPConnection if context is None else http.client.HTTPSConnection
    more: dict[str, Any] = {} if context is None else {"context": context}
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    with closing(kind(parts.hostname or "", parts.port, timeout=60, **more)) as connection:
        connection.request(method, path, sent, dict(headers or {}))
        answer = connection.getresponse()
        return Answer(answer.status, dict(answer.headers), answer.read())


class OpenDoor(NamedTuple):
    """A door that is open.

    Attributes:
      url: its address.
      ledger: path of the ledger that it fills.
      refusals: what it refused.
    """

    url: str
    ledger: str
    refusals: Refusals

    def inbox(self) -> list[tuple[Any, ...]]:
        """Source, message id, lane and body of each message that waits, in order."""
        with closing(connect(self.ledger)) as connection:
            return connection.execute(
                "SELECT source, message_id, lane, body FROM inbox ORDER BY place"
            ).fetchall()


@contextmanager
def open_door(
    folder: Path, *, inbox_limit: int = 10_000, environ: Mapping[str, str] = SECRETS, **more: Any
) -> Iterator[OpenDoor]:
    """Opens the door of `destination.yaml` over a ledger in the folder."""
    destination = load_destination(str(folder / "destination.yaml"))
    path = str(folder / "ledger.db")
    options = DoorOptions(**{"listen": "127.0.0.1:0", **more})
    with owned(path):
        commit = GroupCommit(path, lambda: None, steady, inbox_limit)
        commit.open()
        try:
            refusals = Refusals(steady())
            known = {**os.environ, **environ}
            with opened(destination, options, commit, steady, known, refusals) as url:
                yield OpenDoor(url, path, refusals)
        finally:
            commit.close()
