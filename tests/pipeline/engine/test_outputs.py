"""Receipts and dead letters out of a ledger: each line once, whatever is in the way."""

from __future__ import annotations

import errno
import os
import resource
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.engine.outputs import Outputs
from pipeline.ledger import erasure, history
from pipeline.ledger.outbox import ROWS, Output
from pipeline.ledger.store import transaction
from tests.pipeline.engine.writing_out import begun, prospects_in, record
from tests.support.data.changes import change
from tests.support.in_process.ledgers import NOW
from tests.support.processes.program import json_lines
from transforms.elements import DELIVERED, REJECTED, Outcome
from transforms.errors import ActivationError


@contextmanager
def files_of(limit: int) -> Iterator[None]:
    """No file of this process's can grow beyond so many bytes: as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_lines_are_written_once_and_the_next_process_goes_on_behind_them(
    ledger: sqlite3.Connection, tmp_path: Path
) -> None:
    outputs = begun(ledger, tmp_path)
    record(ledger, 1, 2)
    outputs.write()
    outputs.write()
    record(ledger, 3, outcome=REJECTED)

    begun(ledger, tmp_path).write()

    assert prospects_in(tmp_path / "receipts.jsonl") == [1, 2, 3]
    (letter,) = json_lines(tmp_path / "dead.jsonl")
    assert letter["payload"]["outreach_id"] == 3


def test_more_lines_than_are_written_at_once_are_written_all_the_same(
    ledger: sqlite3.Connection, tmp_path: Path
) -> None:
    outputs = begun(ledger, tmp_path)
    many = range(1, 2 * ROWS + 2)
    with transaction(ledger):
        history.record(ledger, [Outcome(DELIVERED, [change(each) for each in many], NOW)])

    outputs.write_files()

    written = prospects_in(tmp_path / "receipts.jsonl")
    outputs.finish()
    assert written == prospects_in(tmp_path / "receipts.jsonl") == list(many)


def test_what_a_process_wrote_and_did_not_note_before_it_died_is_cut_off(
    ledger: sqlite3.Connection, tmp_path: Path
) -> None:
    path = tmp_path / "receipts.jsonl"
    outputs = begun(ledger, tmp_path)
    record(ledger, 1)
    outputs.write()
    record(ledger, 2, 3)
    with path.open("ab") as file:
        file.write(b'{"outreach_id": 2, "a line that was not noted": 1}\n{"outreach_id": 3, "ha')

    outputs = begun(ledger, tmp_path)
    assert prospects_in(path) == [1]
    outputs.write()

    assert prospects_in(path) == [1, 2, 3]
    assert "not noted" not in path.read_text()


def test_an_output_begins_with_what_comes_from_now_on_and_adds_to_what_is_there(
    ledger: sqlite3.Connection, tmp_path: Path
) -> None:
    path = tmp_path / "receipts.jsonl"
    path.write_text('{"change_id": "a", "outreach_id": 99}\n')
    record(ledger, 1)

    outputs = begun(ledger, tmp_path)
    record(ledger, 2)
    outputs.write()

    assert prospects_in(path) == [99, 2]


def test_begun_afresh_earlier_lines_are_put_aside(
    ledger: sqlite3.Connection, tmp_path: Path
) -> None:
    path = tmp_path / "receipts.jsonl"
    outputs = begun(ledger, tmp_path)
    record(ledger, 1)
    outputs.write()

    outputs = begun(ledger, tmp_path, afresh=True)
    record(ledger, 2)
    outputs.write()

    assert prospects_in(path) == [2]
    assert outputs.earlier == {str(path): f"{path}.1"}
    assert prospects_in(Path(f"{path}.1")) == [1]


def test_a_file_that_somebody_rotates_gets_what_comes_after(
    ledger: sqlite3.Connection, tmp_path: Path
) -> None:
    path = tmp_path / "receipts.jsonl"
    outputs = begun(ledger, tmp_path)
    record(ledger, 1, 2, 3)
    outputs.write()
    path.rename(tmp_path / "old.jsonl")
    record(ledger, 4)
    outputs.write()
    record(ledger, 5)
    begun(ledger, tmp_path).write()

    assert prospects_in(path) == [4, 5]
    assert prospects_in(tmp_path / "old.jsonl") == [1, 2, 3]


def test_a_full_disk_loses_no_line_and_leaves_no_half_of_one(
    ledger: sqlite3.Connection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "receipts.jsonl"
    outputs = begun(ledger, tmp_path)
    record(ledger, *range(1, 30))
    with files_of(1_000):
        outputs.write()
        outputs.write()
    assert path.stat().st_size == 1_000, "there is half a line in it"
    assert os.strerror(errno.EFBIG) in caplog.text
    assert len(caplog.records) == 1, "once told is enough"
    outputs.write()
    assert path.stat().st_size == 1_000, "it is left alone for a while"

    again = begun(ledger, tmp_path)
    again.write()

    assert prospects_in(path) == list(range(1, 30))


def test_a_ledger_that_cannot_note_what_was_written_writes_it_again_in_its_place(
    ledger: sqlite3.Connection, tmp_path: Path
) -> None:
    outputs = begun(ledger, tmp_path)
    record(ledger, 1)
    ledger.execute("PRAGMA query_only = ON")
    outputs.write_files()
    assert prospects_in(tmp_path / "receipts.jsonl") == [1]
    ledger.execute("PRAGMA query_only = OFF")

    record(ledger, 2)
    begun(ledger, tmp_path).write()

    assert prospects_in(tmp_path / "receipts.jsonl") == [1, 2]


def test_trouble_with_one_output_is_none_of_the_others(
    ledger: sqlite3.Connection, tmp_path: Path
) -> None:
    outputs = begun(ledger, tmp_path)
    (tmp_path / "receipts.jsonl").unlink()
    (tmp_path / "receipts.jsonl").mkdir()
    record(ledger, 1, outcome=REJECTED)

    outputs.write()

    assert len(json_lines(tmp_path / "dead.jsonl")) == 1
    with pytest.raises(ActivationError, match=r"receipts\.jsonl cannot be written"):
        outputs.finish()


def test_lines_that_a_topic_did_not_confirm_are_published_again(
    ledger: sqlite3.Connection,
) -> None:
    published: list[bytes] = []
    refuse = True

    def publish(lines: Sequence[bytes]) -> None:
        published.extend(lines)
        if refuse:
            raise OSError("the service does not answer")

    topic = Output("receipts", "projects/p/topics/t", publish)
    topic.begin(ledger, afresh=False)
    outputs = Outputs(ledger, now=[topic])
    record(ledger, 1)
    outputs.write()
    refuse = False
    Outputs(ledger, now=[topic]).write()
    Outputs(ledger, now=[topic]).write()

    assert len(published) == 2
    assert published[0] == published[1]


def test_no_line_is_missed_after_the_newest_one_was_forgotten(
    ledger: sqlite3.Connection, tmp_path: Path
) -> None:
    outputs = begun(ledger, tmp_path)
    record(ledger, 1, 2)
    outputs.write()
    with transaction(ledger):
        erasure.forget(ledger, 2, again=False)
    record(ledger, 3)
    outputs.write()

    assert prospects_in(tmp_path / "receipts.jsonl") == [1, 2, 3]


def test_history_stays_until_the_outputs_of_today_have_it(
    ledger: sqlite3.Connection, tmp_path: Path
) -> None:
    outputs = begun(ledger, tmp_path)
    begun(ledger, tmp_path, receipts=str(tmp_path / "of yesterday.jsonl"), dead_letters=None)
    record(ledger, 1, 2)

    assert history.prune(ledger, NOW + 1, 0, outputs.targets) == 0
    outputs.write()
    assert history.prune(ledger, NOW + 1, 0, outputs.targets) == 2, "nobody waits for yesterday's"
