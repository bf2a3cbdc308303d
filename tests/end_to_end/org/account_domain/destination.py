"""A destination that ties prospects to accounts, and what it comes to."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from pipeline.sandbox import Sandbox
from tests.support.processes.org import write_org
from tests.support.processes.program import Ended, replay, write_lines

LEDGER = ("--ledger=ledger.db",)
ATTRIBUTES = [{"source": "site", "target": "account_domain"}]
THERE: dict[int, dict[str, object]] = {
    11: {"name": "Acme", "domain": "acme.com"},
    12: {"name": "Globex", "domain": "www.globex.com"},
}


def write(folder: Path, url: str, **more: Any) -> None:
    write_org(folder, url, **{"match": "outreach_id", "attributes": ATTRIBUTES, **more})


def record(whom: int | str, segment: str = "seg-a", status: str = "realized", **said: Any) -> str:
    who = {"outreach_id": whom} if isinstance(whom, int) else {"email": whom}
    return json.dumps({**who, "segment": segment, "status": status, "attributes": said})


def deliver(folder: Path, *lines: str, more: tuple[str, ...] = LEDGER) -> Ended:
    write_lines(folder / "in.jsonl", list(lines))
    return replay(folder, "in.jsonl", more=more)


def sent(sandbox: Sandbox, method: str, kind: str = "prospects") -> list[dict[str, Any]]:
    return [
        json.loads(each.body)["data"]
        for each in sandbox.requests()
        if each.method == method and f"/{kind}" in each.path
    ]


def lookups(sandbox: Sandbox) -> list[str]:
    return [
        each.path for each in sandbox.requests() if each.method == "GET" and "accounts" in each.path
    ]


def told(ended: Ended) -> Counter[tuple[str, str, str | None]]:
    return Counter((each["field"], each["outcome"], each["reason"]) for each in ended.receipts)
