"""What Outreach itself says about a destination, put together and shown."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from rich.console import Console

from pipeline.console.formatting import print_rows
from pipeline.destination.file import Destination
from pipeline.preflight.api_probe import UserSeen, ask_outreach
from pipeline.preflight.findings import Findings
from pipeline.preflight.live_checks import FieldSeen, Setups, agreed_setups, check_fields

_HELD = {True: "yes", False: "no", None: "unknown"}


@dataclass(slots=True)
class Live:
    """What was seen of a destination at Outreach.

    Attributes:
      findings: what is not as it should be.
      users: each who was asked for.
      fields: each custom field that is written to, if Outreach tells about them.
      setups: how they are set up; None where Outreach does not tell.
    """

    findings: Findings
    users: list[UserSeen]
    fields: list[FieldSeen] = field(default_factory=list)
    setups: Setups | None = None

    @property
    def requests(self) -> int:
        """How many were spent on it, requests for tokens apart."""
        return sum(user.requests for user in self.users)

    def tell(self, console: Console) -> None:
        """Prints what was seen."""
        print_rows(
            console,
            "at Outreach, users",
            [_user_row(user) for user in self.users],
            ("user", "token", *(scope for user in self.users[:1] for scope in user.scopes), "left"),
        )
        print_rows(
            console,
            "at Outreach, fields",
            [_field_row(each) for each in self.fields],
            ("field", "written from", "label", "type", "fits"),
        )

    def as_json(self) -> dict[str, object]:
        """The same for a program."""
        return {
            "requests": self.requests,
            "users": [
                {
                    "name": user.name,
                    "token": user.has_token,
                    "scopes": user.scopes,
                    "limit": user.limits.limit,
                    "remaining": user.limits.remaining,
                }
                for user in self.users
            ],
            "fields": [
                {
                    "field": each.field,
                    "source": each.source,
                    "label": each.setup and each.setup.label,
                    "type": each.setup and each.setup.type,
                    "fits": each.fits,
                }
                for each in self.fields
            ],
        }


def look(destination: Destination, left_out: Collection[str], clock: Callable[[], float]) -> Live:
    """Asks Outreach about a destination; see `ask_outreach`."""
    findings = Findings(destination)
    live = Live(findings, ask_outreach(findings, left_out, clock))
    live.setups = agreed_setups(findings, live.users)
    if live.setups is not None:
        live.fields = check_fields(findings, live.setups)
    return live


def _user_row(user: UserSeen) -> tuple[str, ...]:
    limits = user.limits
    left = "unknown"
    if limits.remaining is not None:
        left = f"{limits.remaining:,}" + (f" of {limits.limit:,}" if limits.limit else "")
    token = "accepted" if user.has_token else "none"
    return user.name, token, *(_HELD[held] for held in user.scopes.values()), left


def _field_row(seen: FieldSeen) -> tuple[str, ...]:
    if seen.setup is None:
        return seen.field, seen.source, "missing", "", "no"
    return seen.field, seen.source, seen.setup.label or "", seen.setup.described, _HELD[seen.fits]
