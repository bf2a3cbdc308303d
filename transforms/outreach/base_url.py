"""Where Outreach is: an address that a token may be sent to."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

OUTREACH: Final = "https://api.outreach.io"
"""The API of Outreach itself."""


def is_loopback(host: str) -> bool:
    """Whether a host, by its name or address, is this machine itself."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def checked_base_url(base_url: str) -> str:
    """The address of an API, without a trailing slash.

    Raises:
      ValueError: it is none, holds more than an address, or would send tokens unencrypted. Its
        message does not repeat it where it may hold a secret.
    """
    try:
        parts = urlsplit(base_url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise ValueError(f"base_url must be a web address such as {OUTREACH}")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("base_url must be an address alone: without user, ? or #")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError(
            f"base_url {base_url} is not encrypted; write https://, plain http is only for this "
            "machine itself"
        )
    return base_url.rstrip("/")
