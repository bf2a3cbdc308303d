"""The ``connect`` command: one Outreach user lets the application in, and the tokens are kept."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

import click

from pipeline.console.exit_status import failing_plainly
from pipeline.console.flags import flag
from pipeline.console.screen import Screen
from pipeline.destination.error_text import RefusalError
from pipeline.destination.file import Destination, DestinationError, load_destination
from pipeline.destination.keys.sections import BearerAuth, OAuth
from pipeline.destination.stage_config import account_scopes, application_of
from pipeline.destination.types import redirect_uri as checked_redirect_uri
from pipeline.oauth_flow.flow import HOST, PATH, WAIT_SECONDS, Connection, connect
from pipeline.oauth_flow.request import SCOPES, scopes_for
from transforms.errors import ConfigurationError
from transforms.outreach.auth.secret_source import SecretSource
from transforms.text import nearest


def _redirect_uri(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    try:
        return None if value is None else checked_redirect_uri(value)
    except RefusalError as refusal:
        raise click.BadParameter(str(refusal)) from None


@click.command("connect")
@flag("destination", required=True, metavar="PATH", help="The destination file (YAML).")
@flag("user", required=True, metavar="NAME", help="The user of that file to connect.")
@flag(
    "scope",
    multiple=True,
    metavar="SCOPE",
    help="A scope to ask for; may be given several times. [default: what the file needs, such as"
    f" {', '.join(SCOPES)}]",
)
@flag(
    "port",
    type=click.IntRange(1, 65_535),
    help=f"Wait for the answer at http://{HOST}:PORT{PATH}, registered as a redirect URI; "
    "a free port if left out.",
)
@flag(
    "redirect_uri",
    metavar="ADDRESS",
    callback=_redirect_uri,
    help="Another redirect URI of the application. One with https is not listened to: "
    "you paste the address that your browser was sent to.",
)
@flag("no_browser", is_flag=True, help="Only print the address to open.")
@flag("no_pkce", is_flag=True, help="Leave PKCE out, for a server that refuses it.")
@flag(
    "wait_seconds",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    default=WAIT_SECONDS,
    show_default=True,
    help="How long to wait for the answer.",
)
def connect_command(
    destination: str,
    user: str,
    scope: tuple[str, ...],
    port: int | None,
    redirect_uri: str | None,
    no_browser: bool,
    no_pkce: bool,
    wait_seconds: float,
) -> None:
    """Connects one Outreach user by OAuth, and stores the tokens.

    Opens Outreach's page on which that user allows the access, and waits for the answer.
    """
    if port is not None and redirect_uri is not None:
        raise click.UsageError("--port and --redirect_uri each name a redirect URI; give one.")
    console = Screen(stderr=True)
    with failing_plainly(console):
        plan = load_destination(destination)
        settings = oauth_of(plan, user, os.environ)
        connection = Connection(
            user=user,
            auth=application_of(settings),
            base_url=plan.outreach.base_url,
            scopes=scope
            or scopes_for(
                plan.object,
                bulk=plan.delivery.bulk.mode != "off",
                accounts=account_scopes(plan),
            ),
            redirect_uri=redirect_uri or (settings.redirect_uri if port is None else None),
            port=port or 0,
            wait_seconds=wait_seconds,
            open_browser=not no_browser,
            with_pkce=not no_pkce,
        )
        asyncio.run(connect(connection, console))


def oauth_of(destination: Destination, name: str, environ: Mapping[str, str]) -> OAuth:
    """How a user is connected.

    Args:
      destination: that names the user.
      name: of the user.
      environ: the environment variables.

    Raises:
      ConfigurationError: there is no such user, it does not sign in by OAuth, or the
        application's secret is not in the environment; the text says what to do.
    """
    names = [user.name for user in destination.users]
    if name not in names:
        near = nearest(name, names)
        instead = f"did you mean {near!r}?" if near else f"there are {', '.join(names)}"
        raise ConfigurationError(
            f"{destination.where('users')}: no user is called {name!r}; {instead}"
        )
    place = ("users", names.index(name))
    auth = destination.users[place[1]].auth
    if isinstance(auth, OAuth):
        try:
            destination.secrets(environ)
        except DestinationError as error:
            mine = [problem for problem in error.problems if problem.path[:2] == place]
            if mine:
                raise DestinationError(error.path, mine) from None
        return auth
    source = (
        f"its token comes from {SecretSource(auth.token_env, auth.token_file)}"
        if isinstance(auth, BearerAuth)
        else "it signs in for itself, with its private key"
    )
    raise ConfigurationError(
        f"{destination.where(*place, 'auth', 'type')}: user {name!r} is not connected by OAuth"
        f" but is of type {auth.type}: {source}; to connect it, write type: oauth with client_id,"
        " client_secret_env and token_store"
    )
