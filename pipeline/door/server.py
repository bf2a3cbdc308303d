"""The door's server, on a thread and an event loop of its own: delivery delays no answer."""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.destination.file import Destination
from pipeline.destination.keys.sources import OAuthClientSource, OpenSource
from pipeline.destination.stage_config import plan_of
from pipeline.door.authentication import sign_in_of
from pipeline.door.http_app import Door, Entrance, Keeper
from pipeline.door.limits import RateLimit
from pipeline.door.preview import Previews
from pipeline.door.refusals import Refusals
from pipeline.door.token_endpoint import OAuthClient, TokenEndpoint
from pipeline.door.tokens import AccessTokens
from pipeline.web.thread import in_address, served
from transforms.errors import ConfigurationError
from transforms.outreach.base_url import is_loopback

_log = logging.getLogger(__name__)

MAX_BODY_BYTES: Final = 16 << 20
INBOX_LIMIT: Final = 1_000_000
"""Messages that may wait in the inbox, if nothing else is said."""
PORTS: Final = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorOptions:
    """Where the door is, and what it lets in.

    Attributes:
      listen: ``HOST:PORT``; port 0 for any free one.
      port_file: where the port is written that was bound; None for nowhere.
      tls_certificate: path of the certificate chain (PEM); None for plain HTTP.
      tls_key: path of its key (PEM).
      tls_client_ca: path of the authority that signs clients' certificates; None for none.
      behind_proxy: plain HTTP on an address that others reach is meant: a proxy encrypts.
      max_body_bytes: of a body, as it is sent and unpacked.
      inbox_limit: messages that may wait in the inbox.
    """

    listen: str
    port_file: str | None = None
    tls_certificate: str | None = None
    tls_key: str | None = None
    tls_client_ca: str | None = None
    behind_proxy: bool = False
    max_body_bytes: int = MAX_BODY_BYTES
    inbox_limit: int = INBOX_LIMIT


def check_door(destination: Destination, options: DoorOptions, environ: Mapping[str, str]) -> None:
    """Makes sure that the door can be opened, and lets in nobody who is not meant.

    Raises:
      ConfigurationError: what is wrong, and what mends it.
    """
    host, _ = address_of(options.listen)
    if not destination.sources:
        raise ConfigurationError(
            "--listen needs sources in the destination file, each with a name and auth"
        )
    encrypted = options.tls_certificate is not None
    if encrypted != (options.tls_key is not None):
        raise ConfigurationError("--tls_certificate and --tls_key belong together; give both")
    if options.tls_client_ca is not None and not encrypted:
        raise ConfigurationError("--tls_client_ca needs --tls_certificate and --tls_key")
    if not is_loopback(host) and not encrypted and not options.behind_proxy:
        raise ConfigurationError(
            f"--listen {options.listen} is reached from elsewhere, and secrets would travel in"
            " plain text; give --tls_certificate and --tls_key, or --behind_proxy where a proxy"
            " encrypts"
        )
    for n, source in enumerate(destination.sources):
        is_open = isinstance(source.auth, OpenSource)
        if is_open and not (is_loopback(host) or options.tls_client_ca):
            raise ConfigurationError(
                f"{destination.where('sources', n, 'auth')}: lets anybody in who reaches"
                f" {options.listen}; give it a credential, or --tls_client_ca"
            )
    missing = [
        f"{destination.where('sources', n, 'auth', key)}: the environment variable {variable} is"
        " not set; set it before starting"
        for n, source in enumerate(destination.sources)
        for key, variable in source.auth.model_dump().items()
        if key.endswith("_env") and variable is not None and not environ.get(variable, "").strip()
    ]
    if missing:
        raise ConfigurationError("\n".join(missing))


def address_of(listen: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``.

    Raises:
      ConfigurationError: it is not spelled so.
    """
    host, colon, port = listen.rpartition(":")
    host = host.strip("[]")
    if not colon or not host or not port.isdecimal() or int(port) > PORTS:
        raise ConfigurationError(
            f"--listen {listen}: write HOST:PORT, such as 127.0.0.1:8080 or 0.0.0.0:443"
        )
    return host, int(port)


@contextmanager
def opened(
    destination: Destination,
    options: DoorOptions,
    keeper: Keeper,
    clock: Callable[[], float],
    environ: Mapping[str, str] = os.environ,
    refusals: Refusals | None = None,
) -> Iterator[str]:
    """Serves the door until the block ends; yields its address.

    Args:
      destination: with its sources.
      options: where it is.
      keeper: makes messages durable.
      clock: seconds since the epoch.
      environ: environment variables.
      refusals: counts what is refused; None where nobody looks.

    Raises:
      ConfigurationError: as of `check_door`, or it cannot listen there.
    """
    check_door(destination, options, environ)
    context = _tls(options)
    refusals = refusals or Refusals(clock())
    door = _door(destination, options, keeper, clock, environ, refusals)
    host, wanted = address_of(options.listen)
    with served(door.app, host, wanted, "--listen", context) as port:
        if options.port_file is not None:
            Path(options.port_file).write_text(f"{port}\n", encoding="utf-8")
        yield f"{'http' if context is None else 'https'}://{in_address(host)}:{port}"


def _tls(options: DoorOptions) -> ssl.SSLContext | None:
    if options.tls_certificate is None or options.tls_key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(options.tls_certificate, options.tls_key)
        if options.tls_client_ca is not None:
            context.load_verify_locations(options.tls_client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as problem:
        raise ConfigurationError(
            f"the certificate, its key or --tls_client_ca cannot be used: {problem}"
        ) from problem
    return context


def _door(
    destination: Destination,
    options: DoorOptions,
    keeper: Keeper,
    clock: Callable[[], float],
    environ: Mapping[str, str],
    refusals: Refusals,
) -> Door:
    secrets = {name: value.strip() for name, value in environ.items()}
    clients = [
        OAuthClient(
            source.name,
            auth.client_id,
            secrets[auth.client_secret_env],
            auth.username,
            secrets[auth.password_env] if auth.password_env else "",
        )
        for source in destination.sources
        if isinstance(auth := source.auth, OAuthClientSource)
    ]
    tokens = AccessTokens({each.source: each.client_secret for each in clients})
    entrances = {
        source.name: Entrance(
            source, sign_in_of(source, secrets, tokens), RateLimit(source.max_per_second)
        )
        for source in destination.sources
    }
    return Door(
        entrances,
        Previews(plan_of(destination)),
        keeper,
        TokenEndpoint(clients, tokens),
        clock,
        options.max_body_bytes,
        refusals,
    )
