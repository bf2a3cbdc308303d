"""What a ledger knows against a destination: fields that are left, and fields in others' use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import orjson

from pipeline.destination.file import Destination
from pipeline.destination.stage_config import plan_of
from pipeline.destination.yaml_reader import Problem
from pipeline.ledger.directory import entries
from pipeline.ledger.queries.org import LeftField, left_fields
from pipeline.ledger.remap import leftovers
from pipeline.ledger.store import looked_at
from pipeline.monitoring.org_view import clear_command, left_said
from transforms.outreach.normalisation import is_same_value
from transforms.text import shown


def ledger_warnings(destination: Destination, ledger: str) -> list[Problem]:
    """Fields that hold what no audience writes there any more, and fields that others use.

    Raises:
      ConfigurationError: there is no ledger, or none of this release.
    """
    plan = plan_of(destination)
    with looked_at(ledger) as connection:
        left = {
            (each.field, each.segment): LeftField(
                each.field, each.segment, each.name, each.prospects
            )
            for each in leftovers(connection, plan.audiences)
        }
        left |= {(each.field, each.segment): each for each in left_fields(connection)}
        for audience in plan.audiences:
            left.pop((audience.field, audience.segment), None)
        found = [
            Problem(1, ("audiences",), f"{left_said(each)} {clear_command(each, ledger)}")
            for each in left.values()
        ]
        held = Counter(
            (field, orjson.dumps(value))
            for entry in entries.every(connection)
            for field, value in orjson.loads(entry.fields).items()
        )
    return found + list(_reused(destination, held))


def _reused(destination: Destination, held: Counter[tuple[str, bytes]]) -> Iterator[Problem]:
    """Audiences whose field holds values that none of theirs could have written."""
    for place, audience in enumerate(destination.audiences):
        written = list(audience.values.model_dump().values())
        others: Counter[str] = Counter()
        for (field, text), count in held.items():
            value = orjson.loads(text)
            ours = any(is_same_value(field, one, value) for one in written)
            if field == audience.field and not ours:
                others[shown(value)] += count
        if others:
            most = ", ".join(value for value, _ in others.most_common(3))
            yield Problem(
                destination.line("audiences", place, "mapping_id"),
                ("audiences", place, "mapping_id"),
                f"{audience.field} holds in {others.total():,} prospects values that this audience"
                f" does not write, such as {most}; is the field in use for something else? Choose"
                " another, or empty it first: outreach-activation clear"
                f" {audience.field} --force",
            )
