"""An account that is not there is created once, with all that waits for it."""

from __future__ import annotations

import os
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from pipeline.sandbox.faults import FaultSettings
from tests.end_to_end.org.accounts.records import (
    LEDGER,
    PULL,
    THERE,
    deliver,
    posted,
    record,
    write,
)
from tests.support.processes.kills import killed_after
from tests.support.processes.org import SEGMENTS, asked
from tests.support.processes.program import (
    ROOT,
    replay,
    run,
    write_lines,
)
from tests.support.servers.sandbox_client import wait_for

pytestmark = pytest.mark.real


def test_an_account_is_found_however_its_domain_is_spelled_and_created_where_there_is_none(
    folder: Path, sandbox: Sandbox
) -> None:
    write(
        folder,
        sandbox.url,
        mode="upsert",
        attributes=[{"source": "sector", "target": "industry"}],
    )
    ended = deliver(
        folder,
        record(domain="https://ACME.com/about"),
        record(domain="globex.com"),
        record(domain="www.New.com", attributes={"sector": "Steel"}),
        record("seg-b", "existing", domain="new.com."),
    )
    assert ended.status == 0, ended.stderr
    assert posted(sandbox) == [
        {
            "domain": "new.com",
            "name": "new.com",
            "custom4": "realized",
            "custom5": "existing",
            "industry": "Steel",
        }
    ]
    assert sandbox.accounts()[1]["custom4"] == sandbox.accounts()[2]["custom4"] == "realized"
    told = Counter((each["outcome"], each["reason"]) for each in ended.receipts)
    assert told == {("delivered", "created"): 3, ("delivered", None): 2}
    assert {each["outreach_id"] for each in ended.receipts if each["reason"]} == {4}

    again = deliver(folder, record(domain="new.com"))
    assert (again.summary["unchanged"], again.summary["requests"]) == (1, 0)


def test_the_attribute_that_is_mapped_to_the_name_is_what_a_new_account_is_called(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    named = [{"source": "company", "target": "name"}]
    write(tmp_path, sandbox.url, mode="upsert", attributes=named)
    ended = deliver(
        tmp_path,
        record(domain="new.com", attributes={"company": "New & Co"}),
        record(domain="blank.com", attributes={"company": None}),
    )
    found = {each["domain"]: each["name"] for each in posted(sandbox)}
    assert found == {"new.com": "New & Co", "blank.com": "blank.com"}
    assert [each["reason"] for each in ended.dead_letters] == ["not_kept"]


def test_who_is_created_by_somebody_else_after_the_look_up_is_looked_up_again_and_patched(
    tmp_path: Path,
) -> None:
    with running_sandbox(SandboxOptions(latency_seconds=0.5)) as sandbox:
        write(tmp_path, sandbox.url, mode="upsert", delivery={"in_flight": 1})
        with ThreadPoolExecutor() as pool:
            running = pool.submit(deliver, tmp_path, record(domain="a.com"), record(domain="b.com"))
            wait_for(lambda: posted(sandbox), 60, every=0.002)
            # The first creation is under way, the second is behind it: both were looked up.
            sandbox.seed({50: {"name": "B", "domain": "b.com"}}, "account")
            ended = running.result()
        assert ended.status == 0, ended.stderr
        assert [each["domain"] for each in posted(sandbox)] == ["a.com", "b.com"]
        assert sandbox.accounts()[50] == {"name": "B", "domain": "b.com", "custom4": "realized"}
        assert len(sandbox.accounts()) == 2
        told = {each["outreach_id"]: each["reason"] for each in ended.receipts}
        assert told == {1: "created", 50: None}


def test_an_account_that_the_directory_does_not_know_yet_is_looked_up_and_not_created(
    folder: Path, sandbox: Sandbox
) -> None:
    assert run(folder, *PULL).status == 0
    late: dict[int, dict[str, object]] = {
        8: {"name": "Late", "domain": "www.late.com"},
        9: {"name": "Late, Ltd."},
    }
    sandbox.seed(late, "account")
    assert deliver(folder, record(domain="late.com"), record(name="Late, Ltd.")).status == 0
    assert [sandbox.accounts()[each]["custom4"] for each in (8, 9)] == ["realized"] * 2
    assert posted(sandbox) == []


def test_whoever_only_leaves_is_not_created(folder: Path, sandbox: Sandbox) -> None:
    ended = deliver(
        folder,
        record(status="exited", domain="gone.com"),
        record(status="exited", name="Gone & Co"),
    )
    assert [each["reason"] for each in ended.dead_letters] == ["prospect_unknown"] * 2
    assert sorted(each["payload"].get("name", "") for each in ended.dead_letters) == [
        "",
        "Gone & Co",
    ]
    assert sandbox.accounts().keys() == THERE.keys()


def test_the_example_creates_the_accounts_that_are_not_there(tmp_path: Path) -> None:
    for name in ("accounts.yaml", "accounts.jsonl"):
        text = (ROOT / "examples" / name).read_text("utf-8")
        (tmp_path / name).write_text(text, encoding="utf-8")
    with running_sandbox(SandboxOptions()) as sandbox:
        sandbox.seed({1: {"name": "Acme", "domain": "www.acme.example"}}, "account")
        path = tmp_path / "accounts.yaml"
        path.write_text(f"outreach: {{base_url: '{sandbox.url}'}}\n{path.read_text('utf-8')}")
        outputs = ("--receipts=receipts.jsonl", "--dead_letters=dead_letters.jsonl")
        words = ("--destination=accounts.yaml", *LEDGER, *outputs)
        ended = run(tmp_path, "replay", "accounts.jsonl", *words)
        assert ended.status == 0, ended.stderr
        assert sandbox.accounts() == {
            1: {
                "name": "Acme",
                "domain": "www.acme.example",
                "custom3": "realized",
                "industry": "Anvils",
            },
            2: {"name": "globex.example", "domain": "globex.example", "custom3": "realized"},
            3: {"name": "Initech, Inc.", "custom3": "existing", "industry": "Software"},
        }


@pytest.mark.timeout(600)
def test_kills_and_lost_answers_create_no_account_twice(tmp_path: Path) -> None:
    # DRILL=2000,20 creates 2,000 with 20 kills, which takes minutes: CI does less.
    count, most_kills = map(int, os.environ.get("DRILL", "200,5").split(","))
    chance = random.Random(5)
    faults = FaultSettings(reset_after=0.03, error_500=0.03)
    with running_sandbox(SandboxOptions(latency_seconds=0.01, faults=faults, seed=5)) as sandbox:
        write(tmp_path, sandbox.url, mode="upsert")
        names = [{"name": f"Company {each}"} for each in range(count // 2)]
        domains = [{"domain": f"Company{each}.com"} for each in range(count // 2)]
        lines = [record(chance.choice(sorted(SEGMENTS)), **each) for each in (*names, *domains)]
        write_lines(tmp_path / "in.jsonl", lines)
        words = ("replay", "in.jsonl", "--destination=destination.yaml", *LEDGER)
        kills = 0
        while kills < most_kills and killed_after(
            chance.randrange(5, 60), sandbox, tmp_path, *words
        ):
            kills += 1
        assert kills >= most_kills // 3
        ended = replay(tmp_path, "in.jsonl", more=LEDGER)
        assert ended.status == 0, ended.stderr
        held = list(sandbox.accounts().values())
        told = Counter(str(each.get("domain") or each["name"]) for each in held)
        assert told == Counter(
            [f"Company {each}" for each in range(count // 2)]
            + [f"company{each}.com" for each in range(count // 2)]
        )
        assert all(len(each.keys() & {"custom4", "custom5"}) == 1 for each in held)
        counts = asked(
            tmp_path,
            "SELECT count(*), count(DISTINCT change_id) FROM receipts"
            " WHERE outcome <> 'superseded'",
        )
        assert counts == [(count, count)]
        assert asked(tmp_path, "SELECT count(*) FROM unresolved") == [(0,)]
