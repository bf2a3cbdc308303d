"""Asks Outreach itself about a destination: tokens, scopes, budgets, and custom fields.

A few requests a user, and nothing is written whatever the answers are. To learn whether a
token may write, an empty change is sent to prospect 0, which no Outreach has: without the
scope that is refused as such, and with it as not found.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, NamedTuple

import orjson

from pipeline.destination.keys.sections import BearerAuth, OAuth, User
from pipeline.destination.stage_config import account_scopes, auth_of
from pipeline.preflight.field_types import TYPES_PATH, FieldSetup, read_setups
from pipeline.preflight.findings import Findings
from transforms.budget.rate_limits import RateLimits
from transforms.errors import ActivationError, CredentialError, Trouble
from transforms.outreach.auth.credentials import Credential
from transforms.outreach.auth.secret_source import SecretSource
from transforms.outreach.auth.token_response import allows, read_scopes
from transforms.outreach.auth.token_store import open_store
from transforms.outreach.client import OutreachClient, Reply
from transforms.outreach.fields import OBJECTS
from transforms.outreach.responses import Classification, Fate, classify, read_limits
from transforms.relations import ACCOUNT

NOBODY: Final = 0
"""A prospect that cannot exist: ids count from 1."""

ACCOUNTS: Final = OBJECTS[ACCOUNT]
_NOTHING_OF_AN_ACCOUNT: Final = b'{"data":{"type":"account","id":0,"attributes":{}}}'

_LATER: Final = (Fate.THROTTLED, Fate.MAINTENANCE, Fate.TROUBLE)
_LET_IN: Final = (Fate.ACCEPTED, Fate.REFUSED, Fate.FIELD_REFUSED)
"""A user who gets 404 for a prospect that does not exist may write one, or read it."""

Send = Callable[[str], Awaitable[Reply]]


@dataclass(slots=True)
class UserSeen:
    """What Outreach answered to one user.

    Attributes:
      name: the user's.
      has_token: whether there was one, and it was accepted.
      scopes: whether the token has each; None where that could not be told.
      limits: of the last answer.
      setups: the prospect's custom fields by name; None where they were not told.
      requests: spent on it.
    """

    name: str
    has_token: bool = False
    scopes: dict[str, bool | None] = field(default_factory=dict)
    limits: RateLimits = field(default_factory=RateLimits)
    setups: dict[str, FieldSetup] | None = None
    requests: int = 0


def ask_outreach(
    findings: Findings, left_out: Collection[str], clock: Callable[[], float]
) -> list[UserSeen]:
    """Asks Outreach in the name of each user, and adds what is wrong to the findings.

    Args:
      findings: of the destination to ask about.
      left_out: names of users who have no secret to ask with.
      clock: seconds since the epoch.
    """

    async def ask() -> list[UserSeen]:
        destination = findings.destination
        base_url, kind = destination.outreach.base_url, destination.object
        async with OutreachClient(base_url, kind=kind) as client:
            return [
                await _Inquiry(findings, client, place, clock).ask()
                for place, user in enumerate(destination.users)
                if user.name not in left_out
            ]

    return asyncio.run(ask())


class _Answer(NamedTuple):
    verdict: Classification
    reply: Reply


class _Inquiry:
    """The requests that are made as one user."""

    def __init__(
        self, findings: Findings, client: OutreachClient, place: int, clock: Callable[[], float]
    ) -> None:
        self._findings = findings
        self._client = client
        self._clock = clock
        self._path = ("users", place)
        self._user: User = findings.destination.users[place]
        self._seen = UserSeen(self._user.name)
        plural = client.kind.plural
        self._read, self._write = f"{plural}.read", f"{plural}.write"
        self._of_accounts = account_scopes(findings.destination)
        self._seen.scopes = dict.fromkeys((self._read, self._write, *self._of_accounts))

    async def ask(self) -> UserSeen:
        """Asks all there is to ask; what goes wrong is found, not raised."""
        try:
            credential = auth_of(self._user).credential(self._user.name, self._client.base_url)
            if await self._ask_types(credential):
                await self._ask_scopes(credential)
        except CredentialError as error:
            self._seen.has_token = False
            self._findings.error(f"{error.problem}; {error.remedy}", *self._path, "auth")
        except Trouble as trouble:
            self._findings.error(
                f"Outreach cannot be asked: {trouble}; check the address and the network, and"
                " try again",
                *("outreach", "base_url"),
            )
        except ActivationError as error:
            self._findings.error(str(error), *self._path, "auth")
        self._judge()
        return self._seen

    async def _ask_types(self, credential: Credential) -> bool:
        """Asks for the set-up of fields; whether there is sense in asking on."""
        answer = await self._send(credential, lambda token: self._client.get(TYPES_PATH, token))
        verdict = answer.verdict
        self._seen.has_token = verdict.fate is not Fate.UNAUTHENTICATED
        if verdict.fate is Fate.UNAUTHENTICATED:
            self._findings.error(
                f"Outreach refuses its access token, which is a new one ({verdict.detail});"
                " ask its administrator whether the user is active",
                *self._path,
                "auth",
            )
            return False
        if verdict.fate in _LATER:
            self._findings.warn(
                f"Outreach does not answer now ({verdict.detail}), so nothing more was asked;"
                " validate again later",
                *self._path,
            )
            return False
        is_page = not _is_json_api(answer.reply.body)
        if verdict.reason == "misconfigured" and not (
            is_page and verdict.status == HTTPStatus.NOT_FOUND
        ):
            self._findings.error(f"{verdict.detail}; {verdict.remedy}", "outreach", "base_url")
            return False
        if is_page:
            self._findings.error(
                f"does not answer as Outreach's API does ({answer.reply.status} to GET"
                f" {TYPES_PATH}); check the address",
                *("outreach", "base_url"),
            )
            return False
        if verdict.fate is Fate.ACCEPTED:
            self._seen.setups = read_setups(answer.reply.body, self._findings.destination.object)
        if self._seen.setups is None:
            why = f" ({verdict.detail})" if verdict.detail else ""
            self._findings.note(
                f"Outreach does not tell how its custom fields are set up{why}, so they were not"
                " looked at",
                *self._path,
            )
        return True

    async def _ask_scopes(self, credential: Credential) -> None:
        auth = self._user.auth
        if isinstance(auth, OAuth):
            granted = read_scopes(await asyncio.to_thread(open_store(auth.token_store).read))
            if granted is not None:
                self._seen.scopes = {scope: allows(granted, scope) for scope in self._seen.scopes}
                return
        probes: Mapping[str, Send] = {
            self._read: lambda token: self._client.read_prospects([1], ["updatedAt"], token),
            self._write: lambda token: self._client.patch_prospect(NOBODY, {}, token),
            "accounts.read": lambda token: self._client.get(
                ACCOUNTS.path, token, {"filter[id]": "1", "count": "false"}
            ),
            "accounts.write": lambda token: self._client.request(
                "PATCH", f"{ACCOUNTS.path}/{NOBODY}", token, _NOTHING_OF_AN_ACCOUNT
            ),
        }
        for scope in self._seen.scopes:
            send = probes[scope]
            verdict = (await self._send(credential, send)).verdict
            if verdict.reason == "scope_missing":
                self._seen.scopes[scope] = False
            elif verdict.fate in _LET_IN and verdict.reason != "forbidden":
                self._seen.scopes[scope] = True

    async def _send(self, credential: Credential, send: Send) -> _Answer:
        """Sends a request, and once more with another token where the first is refused."""
        token = await credential.token(self._clock())
        answer = await self._send_once(send, token)
        if answer.verdict.fate is Fate.UNAUTHENTICATED:
            await credential.refused(token, self._clock())
            answer = await self._send_once(send, await credential.token(self._clock()))
        return answer

    async def _send_once(self, send: Send, token: str) -> _Answer:
        self._seen.requests += 1
        reply = await send(token)
        limits = read_limits(reply.headers)
        if limits.limit is not None:
            self._seen.limits = limits
        return _Answer(classify(*reply, self._clock()), reply)

    def _judge(self) -> None:
        """Adds what the answers mean for delivery."""
        scopes, limit = self._seen.scopes, self._seen.limits.limit
        auth = (*self._path, "auth")
        if scopes[self._write] is False:
            self._findings.error(
                f"its token lacks the scope {self._write}, so nothing can be delivered;"
                f" {self._remedy(self._write)}",
                *auth,
            )
        if scopes[self._read] is False:
            self._findings.warn(
                f"its token lacks the scope {self._read}, so a value that a prospect holds"
                f" already is sent all the same; {self._remedy(self._read)}",
                *auth,
            )
        for scope in (each for each in self._of_accounts if scopes[each] is False):
            what = "found" if scope == "accounts.read" else "created"
            self._findings.error(
                f"its token lacks the scope {scope}, so the accounts that prospects are to be tied"
                f" to cannot be {what}; {self._remedy(scope)}",
                *auth,
            )
        if self._seen.has_token:
            for scope in (scope for scope, held in scopes.items() if held is None):
                self._findings.note(f"whether its token has {scope} could not be told", *auth)
        budget = self._user.budget.requests
        if limit is not None and limit < budget:
            self._findings.warn(
                f"is {budget:,}, and Outreach allows this user {limit:,}",
                *(*self._path, "budget", "requests"),
            )

    def _remedy(self, scope: str) -> str:
        match self._user.auth:
            case OAuth():
                name = shlex.quote(self._user.name)
                return f"run: outreach-activation connect --destination FILE --user {name}"
            case BearerAuth(token_env=variable, token_file=file):
                return f"put a token that has it into {SecretSource(variable, file)}"
            case _:
                return f"give {scope} to the app in Outreach's developer portal"


def _is_json_api(body: bytes) -> bool:
    try:
        found = orjson.loads(body)
    except ValueError:
        return False
    return isinstance(found, dict) and ("data" in found or "errors" in found)
