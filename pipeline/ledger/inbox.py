"""The inbox: what arrived, kept from before it is acknowledged until it was taken in."""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import NamedTuple

from pipeline.ledger.store import transaction
from transforms.elements import Block, Change
from transforms.formats.context import PLACE_BITS

LIVE = 0
BACKFILL = 1
"""Lanes: what is backfilled goes after what happens now."""
BACKFILL_SHARE = 10
"""One in so many is of the backfill while live ones wait, lest it starve."""
BYTES_AT_ONCE = 4 * 2**20
"""Of bodies that are read together: what comes of them takes some ten times as much memory."""


class Message(NamedTuple):
    """What a subscription delivered.

    Attributes:
      source: the subscription.
      message_id: as the service gave it; the same when it is delivered again.
      published: microseconds since the epoch.
      lane: `LIVE` or `BACKFILL`.
      body: as it came.
    """

    source: str
    message_id: str
    published: int
    lane: int
    body: bytes


class Arrivals:
    """When changes of messages that are taken in together arrived.

    Args:
      blocks: of the messages, each from its place in the inbox on.
      received: when they came, in the same order; in microseconds since the epoch.
    """

    def __init__(self, blocks: Sequence[Block], received: Sequence[int]) -> None:
        # A change tells by its sequence which message it came in: see `PLACE_BITS`.
        self._known = sorted(
            ((block.published or 0) << PLACE_BITS, at)
            for block, at in zip(blocks, received, strict=True)
        )

    def __call__(self, change: Change) -> int:
        """When a change of one of them arrived."""
        place = bisect_right(self._known, change.sequence, key=lambda each: each[0])
        return self._known[max(0, place - 1)][1]


def receive(connection: sqlite3.Connection, messages: Iterable[Message], now: int) -> int:
    """Puts messages into the inbox, safely on the disk; returns how many were new.

    A message that came before changes nothing, for as long as its id is remembered.
    """
    with transaction(connection, durable=True):
        before = connection.total_changes
        connection.executemany(
            "INSERT INTO inbox (source, message_id, published, lane, body, received_at)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (source, message_id) DO NOTHING",
            (
                (each.source, each.message_id, each.published, each.lane, each.body, now)
                for each in messages
            ),
        )
        return connection.total_changes - before


def next_arrivals(
    connection: sqlite3.Connection, lane: int, most: int, most_bytes: int = BYTES_AT_ONCE
) -> tuple[list[Block], list[int], list[int]]:
    """The oldest messages of a lane that were not taken in.

    Args:
      connection: to the ledger.
      lane: `LIVE` or `BACKFILL`.
      most: how many messages.
      most_bytes: of their bodies in all, but for the last one.

    Returns:
      The messages, the place of each in the inbox, and when each came.
    """
    blocks: list[Block] = []
    places: list[int] = []
    received: list[int] = []
    size = 0
    with closing(
        connection.execute(
            "SELECT place, source, message_id, published, body, received_at FROM inbox"
            " WHERE body IS NOT NULL AND lane = ? ORDER BY place LIMIT ?",
            (lane, most),
        )
    ) as rows:
        for place, source, message_id, published, body, received_at in rows:
            blocks.append(Block(source, place, [body], published=published, message_id=message_id))
            places.append(place)
            received.append(received_at)
            size += len(body)
            if size >= most_bytes:
                break
    return blocks, places, received


def taken_in(connection: sqlite3.Connection, places: Iterable[int]) -> None:
    """Marks messages as taken in, within a transaction of the caller's; their bodies go.

    What is to be known of them gets new places at the end, close together: in place of their
    bodies it would keep a page for every few messages, for as long as their ids are kept.
    """
    connection.executemany(
        "INSERT OR REPLACE INTO inbox (source, message_id, published, lane, body, received_at)"
        " SELECT source, message_id, published, lane, NULL, received_at FROM inbox"
        " WHERE place = ?",
        ((place,) for place in places),
    )


def is_any_unread(connection: sqlite3.Connection) -> bool:
    """Whether any message was not taken in."""
    row = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM inbox WHERE body IS NOT NULL)"
    ).fetchone()
    return bool(row[0])


def unread(connection: sqlite3.Connection) -> tuple[int, int | None]:
    """How many messages were not taken in, and when the oldest of them arrived."""
    count, oldest = connection.execute(
        "SELECT count(*), min(received_at) FROM inbox WHERE body IS NOT NULL"
    ).fetchone()
    return int(count), oldest
