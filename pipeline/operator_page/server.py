"""The page's server, beside a job or without one."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from pipeline.operator_page.http_app import OperatorPage
from pipeline.operator_page.state import LedgerState
from pipeline.web.thread import in_address, served
from transforms.errors import ConfigurationError
from transforms.outreach.base_url import is_loopback

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class PageAddress(NamedTuple):
    """Where a page is.

    Attributes:
      url: its address.
      token: that its buttons need; None where it is in a variable that the user has named.
    """

    url: str
    token: str | None


@contextmanager
def operator_page(
    ledger: str,
    host: str,
    port: int,
    flag: str,
    environ: Mapping[str, str],
    token_env: str | None = None,
    *,
    private: bool = False,
    refusals: Callable[[], Mapping[str, Any]] | None = None,
) -> Iterator[PageAddress]:
    """Serves the page of a ledger until the block ends.

    Args:
      ledger: its path.
      host: to listen on: the loopback address, as what it shows is for this machine's users.
      port: to listen on; 0 for any free one.
      flag: that named these, for errors.
      environ: environment variables.
      token_env: the variable with the token for the buttons; None for one that is made.
      private: whether reading needs the token too.
      refusals: reads what this process's door refused; None where it has no door.

    Raises:
      ConfigurationError: it cannot listen there, or there is no such variable.
    """
    if not is_loopback(host):
        raise ConfigurationError(
            f"{flag}: the page is for this machine; name the loopback address, and put a proxy that"
            " signs people in before it"
        )
    token = secrets.token_urlsafe(16) if token_env is None else environ.get(token_env, "").strip()
    if not token:
        raise ConfigurationError(
            f"--page_token_env: the environment variable {token_env} is not set; set it before"
            " starting"
        )
    page = LedgerState(ledger, refusals)
    hosts = _LOOPBACK | {host.lower()}
    with served(
        lambda: OperatorPage(page, token, hosts, private=private).app(), host, port, flag
    ) as bound:
        url = f"http://{in_address(host)}:{bound}"
        yield PageAddress(url, token if token_env is None else None)
