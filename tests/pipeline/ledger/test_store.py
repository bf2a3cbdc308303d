"""The ledger's file: whose it is, of which version, and what a transaction leaves of itself."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.ledger import schema, store
from pipeline.ledger.store import connect, looked_at, owned, transaction
from tests.support.in_process.ledgers import arrive, become_members, member, new_ledger
from tests.support.processes.program import ROOT
from transforms.errors import ConfigurationError


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    return version


def tomorrow(monkeypatch: pytest.MonkeyPatch, *migrations: str) -> None:
    """A release that knows more versions."""
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, *migrations))
    for module in (schema, store):
        monkeypatch.setattr(module, "VERSION", len(schema.MIGRATIONS))


def test_a_new_ledger_is_of_todays_version_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "ledger.db"

    with owned(str(path)):
        assert version_of(path) == schema.VERSION
        assert path.stat().st_mode & 0o077 == 0
        assert Path(f"{path}.lock").stat().st_mode & 0o077 == 0


def test_an_older_ledger_is_brought_up_to_date_with_all_that_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with new_ledger(tmp_path) as ledger:
        become_members(ledger, [1, 2])
        arrive(ledger, [member(3, "realized")])
    tomorrow(
        monkeypatch,
        "ALTER TABLE known ADD COLUMN mood TEXT NOT NULL DEFAULT 'fair';",
        "CREATE TABLE moods AS SELECT outreach_id, mood FROM known;",
    )

    with new_ledger(tmp_path) as ledger:
        assert ledger.execute("SELECT * FROM moods").fetchall() == [(1, "fair"), (2, "fair")]
        assert ledger.execute("SELECT outreach_id FROM waiting").fetchall() == [(3,)]
        assert ledger.execute("SELECT count(*) FROM receipts").fetchone() == (2,)
    assert version_of(tmp_path / "ledger.db") == schema.VERSION


def test_a_version_that_cannot_be_made_leaves_the_one_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with new_ledger(tmp_path) as ledger:
        become_members(ledger, [1])
    before = schema.VERSION
    tomorrow(monkeypatch, "CREATE TABLE first (a); CREATE TABLE known (a);")

    with pytest.raises(ConfigurationError, match=r"ledger\.db"), new_ledger(tmp_path):
        pass

    path = tmp_path / "ledger.db"
    assert version_of(path) == before
    with closing(sqlite3.connect(path)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    assert "first" not in tables


def test_a_newer_ledger_is_refused_and_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as later:
        tomorrow(later, "CREATE TABLE moods (a);")
        with new_ledger(tmp_path):
            pass
    path = tmp_path / "ledger.db"

    with pytest.raises(ConfigurationError, match=r"newer release.*upgrade"), owned(str(path)):
        pass
    with pytest.raises(ConfigurationError, match="version"), looked_at(str(path)):
        pass
    assert version_of(path) == schema.VERSION + 1


def test_what_is_no_ledger_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no database at all, and long enough to be read as the head of one\n" * 20)
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.executescript("CREATE TABLE notes (a); PRAGMA user_version = 1;")

    for path in (text, other, tmp_path):
        before = path.read_bytes() if path.is_file() else None
        with pytest.raises(ConfigurationError), owned(str(path)):
            pass
        assert before is None or path.read_bytes() == before
        with pytest.raises(ConfigurationError), looked_at(str(path)):
            pass
    with pytest.raises(ConfigurationError), owned("/proc/nowhere/ledger.db"):
        pass


@pytest.mark.real
def test_one_process_holds_a_ledger_and_the_second_is_told_which(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    (tmp_path / "link.db").symlink_to(path)
    ask = f"from pipeline.ledger.store import owned\nwith owned({str(path)!r}): print('mine')"
    with owned(str(path)):
        for name in (path, tmp_path / "link.db"):
            with pytest.raises(ConfigurationError, match=f"in use by process {os.getpid()}"):
                owned(str(name)).__enter__()
        other = subprocess.run(
            [sys.executable, "-c", ask], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert "in use by process" in other.stderr

    again = subprocess.run(
        [sys.executable, "-c", ask], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert again.stdout == "mine\n"


@pytest.mark.real
def test_a_lock_goes_with_the_process_that_held_it(tmp_path: Path) -> None:
    path = str(tmp_path / "ledger.db")
    hold = f"""
import time
from pipeline.ledger.store import owned
with owned({path!r}):
    print("mine", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen(
        [sys.executable, "-c", hold], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "mine\n"
        with pytest.raises(ConfigurationError, match=f"in use by process {process.pid}"):
            owned(path).__enter__()
        process.kill()
        process.wait()

    with owned(path):
        pass


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    with new_ledger(tmp_path) as ledger:
        for durable in (False, True):
            with contextlib.suppress(ZeroDivisionError), transaction(ledger, durable=durable):
                ledger.execute("INSERT INTO totals VALUES ('half', 1)")
                raise ZeroDivisionError
            with transaction(ledger, durable=durable):
                ledger.execute("INSERT OR REPLACE INTO totals VALUES ('whole', 1)")
            assert ledger.execute("PRAGMA synchronous").fetchone() == (1,), "as before"

        assert ledger.execute("SELECT name FROM totals").fetchall() == [("whole",)]


def test_a_ledger_that_need_not_last_never_waits_for_the_disk(tmp_path: Path) -> None:
    with (
        new_ledger(tmp_path),
        closing(connect(str(tmp_path / "ledger.db"), lasting=False)) as ledger,
        transaction(ledger, durable=True),
    ):
        assert ledger.execute("PRAGMA synchronous").fetchone() == (0,)


def test_whoever_looks_reads_while_another_writes_and_never_writes(tmp_path: Path) -> None:
    with new_ledger(tmp_path) as ledger:
        become_members(ledger, [1])
        with looked_at(str(tmp_path / "ledger.db")) as look, transaction(ledger):
            ledger.execute("DELETE FROM known")
            assert look.execute("SELECT count(*) FROM known").fetchone() == (1,)
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                look.execute("DELETE FROM known")


def test_a_ledger_that_is_not_there_is_looked_for_in_vain(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no ledger"), looked_at(str(tmp_path / "l.db")):
        pass
    assert list(tmp_path.iterdir()) == []
