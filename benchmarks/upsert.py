"""Upsert: requests to create who is not in Outreach yet, by the fewest that it can take."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import measure
from benchmarks.measure import PROGRAM, Result
from pipeline.engine.org.key_lookup import QUERY_BYTES
from pipeline.engine.org.pull import PAGE_SIZE
from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox

SEGMENT = "5c8e1f0a-2d37-4b96-a1c4-7f3e90b2d865"
NEW = 600
"""Records that are to be created."""
THERE = 200
"""Of those that are looked up, and are there."""
COMPANIES = 100
"""Accounts that prospects are tied to, half of which are there."""


def creations(folder: Path) -> list[Result]:
    """Creates prospects, accounts, and prospects with their accounts, over a ledger each.

    The fewest requests that it can take are: one for each record that is created; one for each
    that is there and changes; and as many look-ups as it takes to ask for every key that the
    directory does not know, with requests of `QUERY_BYTES` of keys each, and of half a page of
    them at most, since several records may have one. A key takes its text, percent-encoded, and a
    comma; a domain is asked for with and without ``www.``. To read the org takes one for each
    page of 1,000, and one where nobody is there. Nothing else.
    """
    mails = [f"person.number{each}@company{each % 97}.example.com" for each in range(NEW + THERE)]
    domains = [f"company{each}.example.com" for each in range(NEW + THERE)]
    return [
        _measured(folder / "prospects", "prospects by e-mail", "email", mails, {}),
        _measured(
            folder / "accounts", "accounts by domain", "domain", domains, {"object": "account"}
        ),
        _tied(folder / "tied", mails[:NEW], domains[:COMPANIES]),
    ]


def _measured(
    folder: Path, what: str, key: str, keys: Sequence[str], more: Mapping[str, object]
) -> Result:
    kind = str(more.get("object", "prospect"))
    there: dict[int, dict[str, object]] = {
        each: {"emails": [name]} if kind == "prospect" else {"name": name, "domain": name}
        for each, name in enumerate(keys[NEW:], 1)
    }
    with running_sandbox(SandboxOptions(limit=0)) as sandbox:
        if kind == "prospect":
            sandbox.seed(there)
        else:
            sandbox.seed(there, "account")
        requests = _replayed(
            folder,
            sandbox,
            [{key: name, "segment": SEGMENT, "status": "realized"} for name in keys],
            {"mode": "upsert", "identity": {"match": key}, **more},
        )
    # The directory knows those that are there; who is new is asked for.
    spelled = [1, 1 + len("www.")] if key == "domain" else [1]
    sizes = [sum(len(_quoted(name)) + each for each in spelled) for name in keys[:NEW]]
    fewest = len(keys) + _look_ups(sizes) + 1
    return _result(f"{NEW:,} {what} created, {THERE:,} others patched", requests, fewest)


def _tied(folder: Path, mails: Sequence[str], domains: Sequence[str]) -> Result:
    there: dict[int, dict[str, object]] = {
        each: {"name": name, "domain": name}
        for each, name in enumerate(domains[: COMPANIES // 2], 1)
    }
    with running_sandbox(SandboxOptions(limit=0)) as sandbox:
        sandbox.seed(there, "account")
        requests = _replayed(
            folder,
            sandbox,
            [
                {
                    "email": mail,
                    "segment": SEGMENT,
                    "status": "realized",
                    "attributes": {"website": domains[number % COMPANIES]},
                }
                for number, mail in enumerate(mails)
            ],
            {
                "mode": "upsert",
                "identity": {"match": "email"},
                "attributes": [{"source": "website", "target": "account_domain"}],
            },
        )
    of_mails = _look_ups([len(_quoted(name)) + 1 for name in mails])
    of_domains = _look_ups([2 * len(name) + len("www.") + 2 for name in domains])
    fewest = len(mails) + COMPANIES // 2 + of_mails + of_domains + 1
    return _result(
        f"{NEW:,} prospects created and tied to {COMPANIES} accounts, half of them created",
        requests,
        fewest,
    )


def _replayed(
    folder: Path,
    sandbox: Sandbox,
    records: Sequence[Mapping[str, object]],
    more: Mapping[str, object],
) -> int:
    """Replays records over a new ledger; returns how many requests the sandbox got."""
    folder.mkdir()
    path = Path(measure.destination(folder, sandbox.url, {SEGMENT: 4}))
    said = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**said, **more}), encoding="utf-8")
    changes = folder / "in.jsonl"
    changes.write_text("".join(f"{json.dumps(each)}\n" for each in records), encoding="utf-8")
    words = ("--destination", str(path), "--ledger", str(folder / "ledger.db"))
    ran = measure.run([*PROGRAM, "replay", str(changes), *words], {"OUTREACH_TOKEN": "bench"})
    if ran.summary["delivered"] != ran.summary["changes"]:
        raise RuntimeError(f"not all was delivered: {ran.summary}")
    return len(sandbox.requests())


def _quoted(text: str) -> str:
    return text.replace("@", "%40")


def _look_ups(sizes: Sequence[int]) -> int:
    """The fewest requests that ask for keys of so many bytes."""
    return max(-(-sum(sizes) // QUERY_BYTES), -(-len(sizes) // (PAGE_SIZE // 2)))


def _result(what: str, requests: int, fewest: int) -> Result:
    ratio = requests / fewest
    name = f"Requests ÷ the fewest possible, {what} ({requests:,} and {fewest:,})"
    return Result(name, f"{ratio:.3f}", "≤ 1.01", ratio <= 1.01)
