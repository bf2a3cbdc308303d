"""What Outreach's token endpoint is asked, and what an unsuccessful answer of it means."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from transforms.errors import ActivationError, CredentialError
from transforms.outreach.client import Reply
from transforms.outreach.error_body import read_error_body

TOKEN_PATH: Final = "/oauth/token"  # noqa: S105 - a path
REQUEST_EVERY_SECONDS: Final = 60.0
"""Outreach answers one token request a minute for each user and application (its OAuth docs)."""


def what_is_wrong(reply: Reply, user: str, client_secret: str, *, renewing: bool) -> str:
    """Returns what an unsuccessful answer says, if the trouble may pass.

    Args:
      reply: of the token endpoint, with any status but 200.
      user: the user's name, for messages.
      client_secret: the name of the place that holds the application's secret.
      renewing: whether a refresh token was sent, rather than an authorization code.

    Raises:
      CredentialError: the trouble will not pass without a person.
      ActivationError: nothing but the authorization code is to blame.
    """
    said = read_error_body(reply.body).text or f"status {reply.status}"
    match reply.status:
        case HTTPStatus.BAD_REQUEST if not renewing:
            raise ActivationError(
                f"Outreach refuses the authorization code of {user!r} ({said});"
                " a code works once and for some minutes: run connect again"
            )
        case HTTPStatus.BAD_REQUEST:
            raise must_reconnect(user, f"Outreach no longer accepts its grant ({said})")
        case HTTPStatus.UNAUTHORIZED:
            raise CredentialError(
                user,
                f"Outreach does not know its OAuth application ({said})",
                f"check client_id in the destination file and {client_secret}",
            )
        case status if status == HTTPStatus.TOO_MANY_REQUESTS or status >= 500:  # noqa: PLR2004
            return f"the token endpoint answered {status} ({said})"
        case status:
            raise CredentialError(
                user,
                f"the token endpoint answered {status} ({said})",
                "check outreach.base_url in the destination file",
            )


def must_reconnect(user: str, problem: str) -> CredentialError:
    """Returns the error of a user who has to grant access anew, with the command for it."""
    remedy = f"run: outreach-activation connect --destination FILE --user {user}"
    return CredentialError(user, problem, remedy)
