"""The loop's first half over an inbox: all of it, some at a time."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import apache_beam as beam
import pytest

from pipeline.destination.file import load_destination
from pipeline.destination.stage_config import Place
from pipeline.engine.config import engine_config
from pipeline.engine.scheduler import Scheduler
from pipeline.ledger.inbox import BACKFILL, BYTES_AT_ONCE, LIVE, Message, receive, unread
from pipeline.ledger.store import connect, owned
from pipeline.ledger.waiting import count
from tests.support.in_process.ledgers import NOW
from tests.support.processes.program import write_destination

PROSPECTS = 12


@contextmanager
def loop_over(
    folder: Path, *messages: Message, field: int = 4
) -> Iterator[tuple[Scheduler, sqlite3.Connection]]:
    """A loop, and its ledger with messages in the inbox."""
    write_destination(folder, "http://127.0.0.1:9", {"a": field})
    destination = load_destination(str(folder / "destination.yaml"))
    path = str(folder / "ledger.db")
    with owned(path), closing(connect(path)) as ledger:
        receive(ledger, messages, NOW)
        with closing(
            Scheduler(ledger, engine_config(destination, Place.of(destination), None))
        ) as scheduler:
            yield scheduler, ledger


def large(prospect: int, lane: int = LIVE) -> Message:
    """A message with a change, of which three are read at once."""
    told = {"outreach_id": prospect, "segment": "a", "status": "realized"}
    body = json.dumps({**told, "attributes": {"note": "x" * (BYTES_AT_ONCE // 3)}})
    return Message("s", f"m{prospect}", NOW + prospect, lane, body.encode())


def test_messages_that_are_too_large_to_be_read_together_are_all_taken_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTREACH_TOKEN", "t")
    with loop_over(tmp_path, *map(large, range(1, PROSPECTS + 1))) as (scheduler, ledger):
        assert scheduler.take_in_messages()
        assert (count(ledger), unread(ledger)[0]) == (PROSPECTS, 0)
        assert not scheduler.take_in_messages()


def test_whoever_stops_the_job_waits_for_a_few_megabytes_and_not_for_all_that_arrived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTREACH_TOKEN", "t")
    asked = iter((False, True, True))
    lanes = [large(each, BACKFILL if each > PROSPECTS else LIVE) for each in range(1, 16)]
    with loop_over(tmp_path, *lanes) as (scheduler, ledger):
        assert scheduler.take_in_messages(lambda: next(asked))
        assert (count(ledger), unread(ledger)[0]) == (3, 12)


def test_what_waits_goes_to_the_field_that_the_destination_names_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OUTREACH_TOKEN", "t")
    with loop_over(tmp_path, *map(large, range(1, 4))) as (scheduler, _):
        scheduler.take_in_messages()
    with loop_over(tmp_path, field=5) as (_, ledger):
        assert ledger.execute("SELECT DISTINCT field FROM waiting").fetchall() == [("custom5",)]
        assert count(ledger) == 3
    assert "3 changes go to another field" in caplog.text


def test_a_half_of_the_graph_is_translated_once_however_often_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTREACH_TOKEN", "t")
    translated: list[beam.Pipeline] = []
    translate = beam.Pipeline.to_runner_api

    def counted(pipeline: beam.Pipeline, *given: object, **more: object) -> object:
        translated.append(pipeline)
        return translate(pipeline, *given, **more)

    monkeypatch.setattr(beam.Pipeline, "to_runner_api", counted)
    with loop_over(tmp_path, *map(large, range(1, PROSPECTS + 1))) as (scheduler, ledger):
        scheduler.take_in_messages()
        assert count(ledger) == PROSPECTS
    assert len(translated) == 1
