"""Elements through `WriteToOutreach` or a stage of it, to a sandbox, and what came out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

import transforms
from pipeline.sandbox import Sandbox
from tests.support.data.three_audiences import FIELDS, NUMBERS, SEGMENTS
from transforms import (
    Access,
    Attribute,
    Audience,
    BearerAuth,
    DeadLetter,
    OutreachUser,
    Plan,
    WriteToOutreach,
)

AUDIENCES = [Audience.of(segment, number) for segment, number in NUMBERS.items()]
OPS = Access("ops", BearerAuth("OUTREACH_TOKEN"))
PLAN = Plan("Oid", tuple(AUDIENCES), (Attribute("jobTitle", "title"),), (OutreachUser("ops", 1),))
SECRET = "tok-5d1e9a7c3b"


def record(prospect: object, segment: object = SEGMENTS[0], **more: object) -> dict[str, Any]:
    return {"outreach_id": prospect, "segment": segment, "status": "realized", **more}


class Columns(NamedTuple):
    """A user's own row."""

    outreach_id: int
    segment: str
    status: str
    event_time: str | None = None


_kept: dict[str, list[Any]] = {}


def keep(element: Any, name: str) -> None:
    _kept[name].append(element)


def run(
    elements: beam.PTransform | Sequence[Any], stages: beam.PTransform, *flags: str
) -> dict[str, list[Any]]:
    """Runs stages over elements; returns what came out, by the name of the output."""
    _kept.clear()
    options = PipelineOptions(list(flags) or ["--runner=FnApiRunner"])
    with beam.Pipeline(options=options) as pipeline:
        source = elements if isinstance(elements, beam.PTransform) else beam.Create(elements)
        result = pipeline | "Given" >> source | "Stages" >> stages
        for name, collection in result._asdict().items():
            _kept[name] = []
            collection | f"Keep {name}" >> beam.Map(keep, name)
    return dict(_kept)


def write(sandbox: Sandbox, **more: Any) -> WriteToOutreach:
    return WriteToOutreach(
        **{"users": [OPS], "audiences": AUDIENCES, "base_url": sandbox.url, **more}
    )


def values_of_fields(sandbox: Sandbox) -> dict[int, dict[str, object]]:
    """What the fields of audiences hold, of prospects of whom one does."""
    found = {
        who: {name: value for name, value in held.items() if name in FIELDS.values()}
        for who, held in sandbox.prospects().items()
    }
    return {who: held for who, held in found.items() if held}


def outcomes(receipts: Iterable[transforms.Receipt]) -> dict[str, int]:
    return dict(Counter(receipt.outcome for receipt in receipts))


def reasons(letters: Iterable[DeadLetter]) -> list[tuple[str, str]]:
    return sorted((letter.stage, letter.reason) for letter in letters)
