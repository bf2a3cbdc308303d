"""Whatever happens between arrival and answer: one receipt a change, and the newest value wins.

A machine plays the loop's steps over a real ledger in any order, with a process that may die
before each commit, and an Outreach that carried out what nobody heard an answer to.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pipeline.ledger import history, queue, waiting
from pipeline.ledger.inbox import BACKFILL, LIVE, Message, next_arrivals, receive, taken_in
from pipeline.ledger.outbox import Output
from pipeline.ledger.store import connect, owned, transaction
from tests.support.in_process.ledgers import NOW
from tests.support.processes.program import json_lines
from transforms.elements import DELIVERED, REJECTED, Block, Change, Outcome, Patch

PROSPECTS = st.integers(1, 3)
NAMES = st.sampled_from(["custom4", "custom5"])
VALUES = st.sampled_from(['"realized"', '"existing"', '"exited"'])
SECOND = 1_000_000


def change_of(body: bytes, message: Block) -> Change:
    """A change from a message: `prospect field value time`."""
    prospect, field, value, time = body.decode().split()
    assert message.published is not None
    return Change(
        f"{message.message_id}-{prospect}-{field}",
        int(prospect),
        "ops",
        field,
        value,
        "segment",
        None,
        value,
        int(time),
        message.published,
    )


class Journey(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.path = str(self.folder / "ledger.db")
        self.now = NOW
        self.messages: list[Message] = []
        self.acknowledged: set[str] = set()
        self.newest: dict[tuple[int, str], tuple[int, int, str]] = {}
        self.outreach: dict[tuple[int, str], str] = {}
        self.refused: set[tuple[int, str]] = set()
        self.turn: list[Patch] = []
        self.outcomes: list[Outcome] = []

    @initialize()
    def start(self) -> None:
        self.stack = ExitStack()
        self.stack.enter_context(owned(self.path))
        self.ledger: sqlite3.Connection = connect(self.path, lasting=False)
        self.output = Output("receipts", str(self.folder / "receipts.jsonl"))
        self.output.begin(self.ledger, afresh=False)
        with transaction(self.ledger):
            now = self.now
            queue.resume(self.ledger, ["ops"], lambda _: "ops", now, now, now + 9 * SECOND)

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            self.finish()
            self.ledger.close()
            self.stack.close()
        shutil.rmtree(self.folder)

    @rule(
        prospect=PROSPECTS,
        field=NAMES,
        value=VALUES,
        time=st.integers(0, 5),
        lane=st.sampled_from([LIVE, BACKFILL]),
    )
    def publish(self, prospect: int, field: str, value: str, time: int, lane: int) -> None:
        number = len(self.messages) + 1
        body = f"{prospect} {field} {value} {time}".encode()
        self.messages.append(Message("s", f"m{number}", number, lane, body))
        rank = (time, number, value)
        self.newest[prospect, field] = max(self.newest.get((prospect, field), rank), rank)

    @precondition(lambda self: self.messages)
    @rule(data=st.data())
    def pull(self, data: st.DataObject) -> None:
        """Any messages, in any order, again and again."""
        some = data.draw(st.lists(st.sampled_from(self.messages), max_size=6))
        receive(self.ledger, some, self.now)
        self.acknowledged.update(message.message_id for message in some)

    @precondition(lambda self: not self.outcomes)
    @rule(lane=st.sampled_from([LIVE, BACKFILL]), most=st.integers(1, 4), dies=st.booleans())
    def take_in(self, lane: int, most: int, dies: bool) -> None:
        blocks, places, _ = next_arrivals(self.ledger, lane, most)
        changes = [change_of(line, block) for block in blocks for line in block.lines]
        self.ledger.execute("BEGIN IMMEDIATE")
        intake = waiting.Intake(changes, [], lane)
        waiting.take_in(self.ledger, intake, self.now, SECOND)
        taken_in(self.ledger, places)
        if dies:
            self.die()
        else:
            self.ledger.execute("COMMIT")

    @precondition(lambda self: not self.turn)
    @rule(most=st.integers(1, 3), owed=st.integers(0, 1))
    def begin_a_turn(self, most: int, owed: int) -> None:
        self.turn = queue.next_turns(self.ledger, "ops", most, self.now, owed).patches
        with transaction(self.ledger):
            history.doubt(self.ledger, self.turn)

    @precondition(lambda self: self.turn)
    @rule(data=st.data())
    def send(self, data: st.DataObject) -> None:
        patch = self.turn.pop(data.draw(st.integers(0, len(self.turn) - 1)))
        fate = data.draw(st.sampled_from(["accepted", "refused", "lost before", "lost after"]))
        if fate in ("accepted", "lost after"):
            for change in patch.changes:
                self.outreach[change.outreach_id, change.field] = change.value
        if fate == "accepted":
            self.outcomes.append(
                Outcome(DELIVERED, patch.changes, self.now, None, None, 200, "ops")
            )
        elif fate == "refused":
            self.refused.update((each.outreach_id, each.field) for each in patch.changes)
            self.outcomes.append(
                Outcome(REJECTED, patch.changes, self.now, "not_found", "gone", 404, "ops")
            )
        else:
            troubled = patch._replace(
                attempts=1, troubled_since=self.now, not_before=self.now + SECOND
            )
            with transaction(self.ledger):
                queue.postpone(self.ledger, [troubled])

    @precondition(lambda self: self.outcomes)
    @rule()
    def commit(self) -> None:
        outcomes, self.outcomes = self.outcomes, []
        with transaction(self.ledger):
            history.settle_sent(self.ledger, outcomes)

    @rule()
    def write(self) -> None:
        while self.output.write(self.ledger):
            pass

    @rule(seconds=st.sampled_from([0, 1, 3]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds * SECOND

    @rule()
    def die(self) -> None:
        """The process is killed, and another one started."""
        self.ledger.close()
        self.stack.close()
        with open(self.output.target, "ab") as file:  # noqa: PTH123 - as it is written
            file.write(b'{"half a li')
        self.turn, self.outcomes = [], []
        self.start()

    @invariant()
    def each_change_has_one_receipt_or_waits_or_was_not_taken_in(self) -> None:
        if not hasattr(self, "ledger"):
            return
        ids = [
            row[0]
            for table in ("receipts", "waiting")
            for row in self.ledger.execute(f"SELECT change_id FROM {table}")  # noqa: S608
        ]
        ids += [
            f"{message_id}-"
            for (message_id,) in self.ledger.execute(
                "SELECT message_id FROM inbox WHERE body IS NOT NULL"
            )
        ]
        messages = Counter(each.partition("-")[0] for each in ids)
        assert messages == Counter(self.acknowledged)

    @invariant()
    def whoever_waits_has_one_place_in_the_queue(self) -> None:
        if hasattr(self, "ledger"):
            assert (
                self.ledger.execute("SELECT outreach_id FROM queue ORDER BY 1").fetchall()
                == self.ledger.execute(
                    "SELECT DISTINCT outreach_id FROM waiting ORDER BY 1"
                ).fetchall()
            )

    def finish(self) -> None:
        """All that was published arrives and is sent, to a server that refuses nothing."""
        if self.outcomes:
            self.commit()
        receive(self.ledger, self.messages, self.now)
        self.acknowledged.update(message.message_id for message in self.messages)
        while any(next_arrivals(self.ledger, lane, 1)[1] for lane in (LIVE, BACKFILL)):
            for lane in (LIVE, BACKFILL):
                self.take_in(lane, 4, dies=False)
        self.now += 60 * SECOND
        for patch in queue.next_turns(self.ledger, "ops", 99, self.now).patches:
            for change in patch.changes:
                self.outreach[change.outreach_id, change.field] = change.value
            self.outcomes.append(Outcome(DELIVERED, patch.changes, self.now, user="ops"))
        if self.outcomes:
            self.commit()
        self.write()
        assert queue.next_due(self.ledger, "ops") is None
        written = [
            one["change_id"].partition("-")[0] for one in json_lines(Path(self.output.target))
        ]
        assert sorted(written) == sorted(message.message_id for message in self.messages)
        for key, (_, _, value) in self.newest.items():
            if key not in self.refused:
                assert self.outreach[key] == value


Journey.TestCase.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, derandomize=True
)
TestJourney = Journey.TestCase
