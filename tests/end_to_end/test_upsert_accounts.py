"""`object: account` with `mode: upsert`, or found by domain and name without it."""

from __future__ import annotations

import json
import os
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from pipeline.sandbox.faults import FaultSettings
from tests.support.kills import killed_after
from tests.support.org import SEGMENTS, asked
from tests.support.program import (
    ROOT,
    Ended,
    replay,
    run,
    write_destination,
    write_lines,
)
from tests.support.sandbox_client import wait_for

pytestmark = pytest.mark.real

LEDGER = ("--ledger=ledger.db",)
PULL = ("pull", "--destination=destination.yaml", *LEDGER)
THERE: dict[int, dict[str, object]] = {
    1: {"name": "Acme", "domain": "acme.com"},
    2: {"name": "Globex", "domain": "https://www.Globex.com/"},
    3: {"name": "Initech, Inc."},
}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(SandboxOptions()) as running:
        running.seed(THERE, "account")
        yield running


@pytest.fixture
def folder(tmp_path: Path, sandbox: Sandbox) -> Path:
    write(tmp_path, sandbox.url, mode="upsert")
    return tmp_path


def write(folder: Path, url: str, **more: Any) -> None:
    write_destination(folder, url, SEGMENTS, object="account", **more)


def record(segment: str = "seg-a", status: str = "realized", **about: object) -> str:
    return json.dumps({**about, "segment": segment, "status": status})


def deliver(folder: Path, *lines: str, more: tuple[str, ...] = LEDGER) -> Ended:
    write_lines(folder / "in.jsonl", list(lines))
    return replay(folder, "in.jsonl", more=more)


def replay_letters(folder: Path) -> Ended:
    (folder / "dead_letters.jsonl").rename(folder / "letters.jsonl")
    return replay(folder, "letters.jsonl", more=LEDGER)


def posted(sandbox: Sandbox) -> list[dict[str, object]]:
    return [
        json.loads(each.body)["data"]["attributes"]
        for each in sandbox.requests()
        if each.method == "POST"
    ]


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


def test_a_record_without_a_domain_names_its_account_by_name_as_it_spells_it(
    folder: Path, sandbox: Sandbox
) -> None:
    ended = deliver(
        folder,
        record(domain=None, name="acme "),
        record(domain="", name="initech, inc."),
        record(name="Umbrella Corp"),
        record("seg-b", name="UMBRELLA CORP"),
    )
    assert ended.status == 0, ended.stderr
    assert len(posted(sandbox)) == 1
    assert posted(sandbox)[0]["name"] in ("Umbrella Corp", "UMBRELLA CORP")
    assert "domain" not in posted(sandbox)[0]
    held = sandbox.accounts()
    assert [held[each]["custom4"] for each in (1, 3, 4)] == ["realized"] * 3
    assert held[4]["custom5"] == "realized"


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


def test_a_domain_that_is_taken_and_shown_to_nobody_is_refused_after_some_look_ups(
    folder: Path, sandbox: Sandbox
) -> None:
    assert run(folder, *PULL).status == 0
    sandbox.seed({10: {"name": "Taken", "domain": "TAKEN.com"}}, "account")
    ended = deliver(folder, record(domain="taken.com"))
    assert [each["http_status"] for each in ended.dead_letters] == [422]
    assert [each["payload"]["domain"] for each in ended.dead_letters] == ["taken.com"]
    assert len(posted(sandbox)) == 3
    run(folder, *PULL, "--full")
    again = replay_letters(folder)
    assert again.summary["delivered"] == 1
    assert sandbox.accounts()[10]["custom4"] == "realized"


def test_a_domain_or_a_name_of_several_accounts_is_ambiguous(
    folder: Path, sandbox: Sandbox
) -> None:
    several = {
        7: {"name": "Twin", "domain": "twin.com"},
        8: {"name": "TWIN", "domain": "https://www.twin.com"},
    }
    sandbox.seed(several, "account")
    ended = deliver(folder, record(domain="twin.com"), record(name="Twin"))
    assert [each["reason"] for each in ended.dead_letters] == ["identity_ambiguous"] * 2
    assert {next(iter(each["payload"])) for each in ended.dead_letters} == {"domain", "name"}
    assert posted(sandbox) == []
    assert not any("custom4" in held for held in sandbox.accounts().values())


def test_a_name_is_not_found_as_a_domain(folder: Path, sandbox: Sandbox) -> None:
    ended = deliver(folder, record(name="acme.com"))
    assert ended.status == 0, ended.stderr
    assert "custom4" not in sandbox.accounts()[1]
    assert posted(sandbox) == [{"name": "acme.com", "custom4": "realized"}]


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


def test_without_upsert_who_is_unknown_is_a_dead_letter_that_can_be_replayed(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    write(tmp_path, sandbox.url, identity={"match": "domain"})
    ended = deliver(tmp_path, record(domain="acme.com"), record(domain="new.com"))
    assert [each["reason"] for each in ended.dead_letters] == ["prospect_unknown"]
    assert "no account with this domain" in ended.dead_letters[0]["detail"]
    assert sandbox.accounts()[1]["custom4"] == "realized"
    sandbox.seed({9: {"name": "New", "domain": "new.com"}}, "account")
    again = replay_letters(tmp_path)
    assert again.status == 0, again.stderr
    assert sandbox.accounts()[9]["custom4"] == "realized"


def test_with_match_name_a_domain_makes_no_difference(tmp_path: Path, sandbox: Sandbox) -> None:
    write(tmp_path, sandbox.url, mode="upsert", identity={"match": "name"})
    ended = deliver(tmp_path, record(domain="other.com", name="ACME"), record(name="New"))
    assert ended.status == 0, ended.stderr
    assert sandbox.accounts()[1]["custom4"] == "realized"
    assert posted(sandbox) == [{"name": "New", "custom4": "realized"}]


def test_a_table_names_accounts_by_domain_and_where_the_cell_is_empty_by_name(
    folder: Path, sandbox: Sandbox
) -> None:
    (folder / "in.csv").write_text(
        "Website,name,segment,status\nacme.com,,seg-a,realized\n,Globex,seg-a,realized\n"
    )
    ended = replay(folder, "in.csv", more=(*LEDGER, "--columns=domain=Website"))
    assert ended.status == 0, ended.stderr
    assert [sandbox.accounts()[each]["custom4"] for each in (1, 2)] == ["realized"] * 2
    assert posted(sandbox) == []


def test_a_runner_without_a_ledger_finds_accounts_in_a_directorys_file(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    write(tmp_path, sandbox.url, identity={"match": "domain"})
    assert run(tmp_path, *PULL, "--output=directory.jsonl").status == 0
    lines = [record(domain="www.globex.com"), record(name="ACME"), record(name="New Ltd")]
    ended = deliver(tmp_path, *lines, more=("--dry_run", "--directory=directory.jsonl"))
    assert (ended.summary["delivered"], ended.summary["rejected"]) == (2, 1)
    assert {each["outreach_id"] for each in ended.receipts} == {1, 2, None}
    assert [each["reason"] for each in ended.dead_letters] == ["prospect_unknown"]
    assert ended.dead_letters[0]["payload"]["name"] == "New Ltd"


def test_a_directory_from_before_accounts_had_keys_is_read_anew(
    folder: Path, sandbox: Sandbox
) -> None:
    assert run(folder, *PULL).status == 0
    with closing(sqlite3.connect(folder / "ledger.db")) as ledger, ledger:
        ledger.execute("DELETE FROM addresses")
    anew = run(folder, *PULL).summary
    assert (anew["full"], anew["read"]) == (True, len(THERE))
    assert deliver(folder, record(domain="globex.com")).status == 0
    assert posted(sandbox) == []
    assert run(folder, *PULL).summary["full"] is False


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


def test_a_rehearsal_has_the_accounts_that_the_files_name(tmp_path: Path) -> None:
    write(tmp_path, "http://127.0.0.1:9", identity={"match": "domain"})
    ended = deliver(tmp_path, record(domain="a.com"), record(name="B"), more=("--sandbox",))
    assert (ended.status, ended.summary["delivered"]) == (0, 2), ended.stderr


@pytest.mark.timeout(600)
def test_kills_and_lost_answers_create_no_account_twice(tmp_path: Path) -> None:
    # DRILL=2000,20 creates 2,000 with 20 kills, which takes minutes: CI does less.
    count, most_kills = map(int, os.environ.get("DRILL", "200,5").split(","))
    chance = random.Random(5)
    faults = FaultSettings(reset_after=0.03, error_500=0.03)
    options = SandboxOptions(latency_seconds=0.01, faults=faults, seed=5)
    with running_sandbox(options) as sandbox:
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
