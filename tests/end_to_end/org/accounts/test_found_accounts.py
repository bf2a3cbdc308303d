"""An account is found by its domain or else its name, and never by a guess."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.sandbox import Sandbox
from tests.end_to_end.org.accounts.records import (
    LEDGER,
    PULL,
    THERE,
    deliver,
    posted,
    record,
    replay_letters,
    write,
)
from tests.support.processes.program import (
    replay,
    run,
)

pytestmark = pytest.mark.real


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


def test_a_rehearsal_has_the_accounts_that_the_files_name(tmp_path: Path) -> None:
    write(tmp_path, "http://127.0.0.1:9", identity={"match": "domain"})
    ended = deliver(tmp_path, record(domain="a.com"), record(name="B"), more=("--sandbox",))
    assert (ended.status, ended.summary["delivered"]) == (0, 2), ended.stderr
