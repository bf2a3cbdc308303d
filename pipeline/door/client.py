"""A platform's part of the conversation: signing in at a door, and posting."""

from __future__ import annotations

import base64
import hmac
import http.client
import ssl
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

import orjson

from pipeline.destination.keys.sources import (
    BasicSource,
    BearerSource,
    HeaderSource,
    HmacSource,
    OAuthClientSource,
    Source,
)
from transforms.errors import ActivationError, ConfigurationError
from transforms.plan import SOURCE_PREFIX

ANSWER_SECONDS = 30.0


class Posted(NamedTuple):
    """What a door answered.

    Attributes:
      status: of the answer.
      body: of the answer, as text.
    """

    status: int
    body: str


def post_as(
    source: Source, door: str, body: bytes, secrets: Mapping[str, str], ca_file: str | None = None
) -> Posted:
    """Posts a body as a source does.

    Args:
      source: of the destination.
      door: its address, such as ``http://127.0.0.1:8080``.
      body: to post.
      secrets: environment variables.
      ca_file: the authority that signed the door's certificate; None for those that are known.

    Raises:
      ConfigurationError: a secret is not set, or the address is none.
      ActivationError: the door cannot be reached, or issues no token.
    """
    headers = _signed(source, door, body, secrets, ca_file)
    return _post(door, SOURCE_PREFIX + source.name, body, headers, ca_file)


def _signed(
    source: Source, door: str, body: bytes, secrets: Mapping[str, str], ca_file: str | None
) -> dict[str, str]:
    def secret(variable: str) -> str:
        if not secrets.get(variable, "").strip():
            raise ConfigurationError(
                f"the environment variable {variable} is not set; set it as the door has it"
            )
        return secrets[variable].strip()

    match source.auth:
        case BearerSource(token_env=variable):
            return {"Authorization": f"Bearer {secret(variable)}"}
        case BasicSource(username=username, password_env=variable):
            packed = base64.b64encode(f"{username}:{secret(variable)}".encode()).decode()
            return {"Authorization": f"Basic {packed}"}
        case HeaderSource(header=header, value_env=variable):
            return {header: secret(variable)}
        case HmacSource() as auth:
            digest = hmac.new(secret(auth.secret_env).encode(), body, auth.algorithm).digest()
            text = digest.hex() if auth.encoding == "hex" else base64.b64encode(digest).decode()
            return {auth.header: auth.prefix + text}
        case OAuthClientSource() as auth:
            form = {
                "grant_type": "client_credentials",
                "client_id": auth.client_id,
                "client_secret": secret(auth.client_secret_env),
            }
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = _post(door, "/oauth/token", urlencode(form).encode(), kind, ca_file)
            if answer.status != http.client.OK:
                raise ActivationError(f"the door issues no token ({answer.status}): {answer.body}")
            return {"Authorization": f"Bearer {orjson.loads(answer.body)['access_token']}"}
        case _:
            return {}


def _post(
    door: str, path: str, body: bytes, headers: Mapping[str, str], ca_file: str | None
) -> Posted:
    parts = urlsplit(door)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"--to {door} is no address; write http://HOST:PORT")
    connection: http.client.HTTPConnection
    try:
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=ca_file)
            connection = http.client.HTTPSConnection(
                parts.hostname, parts.port, timeout=ANSWER_SECONDS, context=context
            )
        else:
            connection = http.client.HTTPConnection(
                parts.hostname, parts.port, timeout=ANSWER_SECONDS
            )
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json", **headers})
            answer = connection.getresponse()
            return Posted(answer.status, answer.read().decode(errors="replace"))
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as problem:
        raise ActivationError(
            f"{door} cannot be reached: {problem}; is `run --listen` or `listen` running there?"
        ) from problem
