"""A private sandbox for `replay --sandbox`: it holds the prospects of the files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import NamedTuple

from orjson import loads

from pipeline.destination.file import Destination
from pipeline.destination.stage_config import budget_of, plan_of
from pipeline.io.files import blocks, expand
from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import Sandbox, running_sandbox
from transforms.formats.csv_rows import Columns
from transforms.matching import kind_of, natural_keys
from transforms.outreach.sender_pool import Access
from transforms.relations import ACCOUNT, ACCOUNT_DOMAIN, fit_domain
from transforms.stages.parse import parse


class Stage(NamedTuple):
    """Where a rehearsal plays.

    Attributes:
      sandbox: running, with the prospects.
      accesses: the destination's users, with tokens of the sandbox's.
    """

    sandbox: Sandbox
    accesses: list[Access]


@dataclass(frozen=True, slots=True)
class SandboxAuth:
    """A token that a sandbox takes for its user's, since it takes any."""

    def credential(self, user: str, base_url: str) -> SandboxCredential:
        """The credential; both arguments as of every `Auth`."""
        del base_url
        return SandboxCredential(f"sandbox-{user}")


@dataclass(frozen=True, slots=True)
class SandboxCredential:
    """A token without an end; no secret, since it opens nothing."""

    value: str

    async def token(self, now: float) -> str:
        """The token, at any time."""
        del now
        return self.value

    async def refused(self, token: str, now: float) -> None:
        """Does nothing: the sender pauses when it is refused again."""


@contextmanager
def private_sandbox(
    destination: Destination, files: Sequence[str], columns: Columns = ()
) -> Iterator[Stage]:
    """Runs a sandbox that holds the prospects in the files, for as long as the block lasts.

    Args:
      destination: its users' budgets are the sandbox's.
      files: paths and globs.
      columns: names for the columns of tables.

    Raises:
      ConfigurationError: a file is not there.
    """
    budgets = [budget_of(user) for user in destination.users]
    options = SandboxOptions(
        limit=max(terms.requests for terms in budgets),
        hour=max(terms.per_seconds for terms in budgets),
    )
    with running_sandbox(options) as sandbox:
        found = records_of(destination, files, columns)
        sandbox.seed(found.records, destination.object)
        sandbox.seed(found.accounts, ACCOUNT)
        accesses = [
            Access(user.name, SandboxAuth(), terms)
            for user, terms in zip(destination.users, budgets, strict=True)
        ]
        yield Stage(sandbox, accesses)


class Found(NamedTuple):
    """What files name: prospects, or accounts; and the accounts that those are tied to."""

    records: dict[int, dict[str, object]]
    accounts: dict[int, dict[str, object]]


def records_of(destination: Destination, files: Sequence[str], columns: Columns = ()) -> Found:
    """The prospects of all changes in the files, with what they are known by, if not by their ids.

    Whoever is named by something else gets the next free id.
    """
    plan = plan_of(destination)
    tying = {each.source for each in plan.attributes if each.target == ACCOUNT_DOMAIN}
    domains: dict[str, None] = {}
    found: set[int] = set()
    keys: dict[str, str] = {}
    for path in expand(files):
        for block in blocks(path, 0, columns=columns):
            parsed = parse(block, plan.identity, plan.sources, 0, rules=plan.reading)
            found.update(change.outreach_id for change in parsed.memberships)
            found.update(change.outreach_id for change in parsed.attributes)
            for change in parsed.attributes:
                with suppress(ValueError):  # It is refused by whatever maps it.
                    if change.source in tying and (domain := fit_domain(loads(change.value))):
                        domains[domain] = None
            spelled = parsed.spellings or [""] * len(parsed.keys)
            keys.update(zip(parsed.keys, spelled, strict=True))
    prospects: dict[int, dict[str, object]] = {each: {} for each in found if each > 0}
    first = max(prospects, default=0) + 1
    natural = natural_keys(plan.match)
    for outreach_id, (key, spelling) in enumerate(keys.items(), first):
        if natural:
            kind = kind_of(natural, key)
            prospects[outreach_id] = {kind.attribute: kind.value(key, spelling)}
        else:
            prospects[outreach_id] = {"externalId": key}
    accounts: dict[int, dict[str, object]] = {
        account: {"name": domain, "domain": domain} for account, domain in enumerate(domains, 1)
    }
    return Found(prospects, accounts)
