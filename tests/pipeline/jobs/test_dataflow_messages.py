"""Pub/Sub's messages as Dataflow hands them over, each a block."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp
from google.cloud.pubsub_v1 import types

from pipeline.io.pubsub_source import block_of_message
from tests.support.beam.job_graph import (
    SUBSCRIPTION,
)
from transforms.elements import Block
from transforms.stages.parse import parse

pytestmark = pytest.mark.real


def message(data: bytes, **more: Any) -> PubsubMessage:
    """As Beam's read hands it on."""
    proto = types.PubsubMessage(data=data, **more)
    return PubsubMessage._from_proto_str(types.PubsubMessage.serialize(proto))


def check_blocks(messages: list[tuple[PubsubMessage, float]], expected: list[Block]) -> None:
    """Runs messages with their elements' timestamps through the step that makes blocks."""
    with beam.Pipeline("FnApiRunner", options=PipelineOptions([])) as pipeline:
        stamped = pipeline | beam.Create(messages) | beam.MapTuple(TimestampedValue)
        blocks = stamped | beam.FlatMap(block_of_message, SUBSCRIPTION).with_output_types(Block)
        assert_that(blocks, equal_to(expected))


def test_a_message_is_a_block_with_its_id_and_the_time_it_was_published() -> None:
    published = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
    came = message(b"{}", message_id="17", publish_time=published)
    micros = 1_767_323_045_678_000
    expected = Block(SUBSCRIPTION, 0, [b"{}"], published=micros, message_id="17")
    check_blocks([(came, 5.0)], [expected])


def test_a_message_of_which_dataflow_tells_nothing_has_the_time_of_its_element() -> None:
    check_blocks(
        [(message(b"1"), 5.0), (message(b"2"), 6.5)],
        [
            Block(SUBSCRIPTION, 0, [b"1"], published=5_000_000),
            Block(SUBSCRIPTION, 0, [b"2"], published=6_500_000),
        ],
    )


def test_messages_without_ids_are_told_apart_by_what_they_say() -> None:
    ids = set()
    stamp = Timestamp(5)
    for status in ("realized", "exited"):
        said = {"outreach_id": 7, "segment": "s", "status": status}
        (block,) = block_of_message(message(json.dumps(said).encode()), SUBSCRIPTION, stamp)
        parsed = parse(block, "Oid", (), 0)
        (one,) = parsed.memberships
        ids.add(one.arrival_id)
    assert len(ids) == 2
