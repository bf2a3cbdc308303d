"""The flags of the HTTP door, which `run` and `listen` share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from pipeline.console.flags import flag

if TYPE_CHECKING:
    from pipeline.door.server import DoorOptions

_FLAGS = (
    flag("port_file", metavar="PATH", help="Where the port is written that was bound, for port 0."),
    flag("tls_certificate", metavar="PATH", help="The certificate chain (PEM), for HTTPS."),
    flag("tls_key", metavar="PATH", help="The certificate's key (PEM)."),
    flag(
        "tls_client_ca",
        metavar="PATH",
        help="Only clients with a certificate that this authority has signed are let in.",
    ),
    flag(
        "behind_proxy",
        is_flag=True,
        help="Plain HTTP on an address that others reach is meant: a proxy encrypts.",
    ),
    flag(
        "max_body_bytes",
        type=click.IntRange(1, 1 << 30),
        default=16 << 20,
        show_default=True,
        metavar="BYTES",
        help="Of what is posted, as it is sent and unpacked.",
    ),
)


def door_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the door's flags to a command, which gets their values by name."""
    for each in reversed(_FLAGS):
        command = each(command)
    return command


def door_options(
    listen: str,
    inbox_limit: int | None = None,
    **given: Any,  # noqa: ANN401 - the flags' values
) -> DoorOptions:
    """The door that a command was asked for."""
    from pipeline.door.server import INBOX_LIMIT, DoorOptions  # noqa: PLC0415 - aiohttp is slow

    limit = INBOX_LIMIT if inbox_limit is None else inbox_limit
    return DoorOptions(listen=listen, inbox_limit=limit, **given)
