"""What Beam YAML calls by name: ``type: WriteToOutreach`` and ``type: ParseAudienceChanges``.

Beam YAML wants rows, and errors at the output that ``error_handling`` names; so these put the
transforms of the same names between rows. A pipeline lists them under ``providers``, as
``examples/pipeline.yaml`` does. What is annotated here is what Beam YAML shows and checks.
"""

# No postponed annotations: Beam YAML reads those of the constructors as they are.
from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

import apache_beam as beam
import orjson
from apache_beam.coders import RowCoder, registry
from apache_beam.pvalue import PCollection

from pipeline.beam import write_to_outreach
from transforms.connector.parse_audience_changes import IDENTITY
from transforms.connector.parse_audience_changes import ParseAudienceChanges as Parse
from transforms.elements import AttributeChange, DeadLetter, MembershipChange, Receipt
from transforms.times import format_time


class ErrorHandling(NamedTuple):
    """Where errors go.

    Attributes:
      output: name of the output that has the dead letters.
    """

    output: str


class ReceiptRow(NamedTuple):
    """A `Receipt` as a receipt file has it; `value` is JSON text."""

    change_id: str
    outreach_id: int
    segment: Optional[str]
    field: str
    value: str
    event_time: Optional[str]
    outcome: str
    reason: Optional[str]
    http_status: Optional[int]
    user: Optional[str]
    recorded_at: str


class DeadLetterRow(NamedTuple):
    """A `DeadLetter` as a dead letter file has it; `payload` is text: what arrived, or JSON."""

    stage: str
    reason: str
    detail: str
    payload: str
    source: str
    http_status: Optional[int]
    recorded_at: str


class MembershipRow(NamedTuple):
    """A `MembershipChange`, as a flat record has it."""

    outreach_id: int
    segment: str
    namespace: Optional[str]
    status: str
    event_time: Optional[str]


class AttributeRow(NamedTuple):
    """An `AttributeChange`; `value` is JSON text."""

    outreach_id: int
    source: str
    value: str
    event_time: Optional[str]


for _row in (ReceiptRow, DeadLetterRow, MembershipRow, AttributeRow):
    # Else Beam would pickle them, and a transform of another language could not read them.
    registry.register_coder(_row, RowCoder)


class WriteToOutreach(beam.PTransform):
    """Writes audience changes to custom fields of Outreach prospects, within a budget.

    The input is of rows with the columns of a flat record (`outreach_id`, `segment`, `status`,
    `event_time`, `namespace`, `attributes`), or of rows of one column that holds JSON, as
    `ReadFromText` and `ReadFromPubSub` give them.

    The output `receipts` has a row for each change, whatever became of it; the one that
    `error_handling` names has a row for what could not be read and for each change that
    Outreach refused. Written with WriteToJson, it can be replayed.

    Args:
      destination: Path of a destination file: which audience goes to which field, and by whose
        requests. Taken from the directory that the pipeline is started in, if it is relative.
      error_handling: This option specifies where to output what could not be written. It is
        required, so that nothing can be lost unseen.
    """

    def __init__(self, destination: str, error_handling: Optional[ErrorHandling] = None) -> None:
        super().__init__()
        self._output = _error_output("WriteToOutreach", error_handling, taken=("receipts",))
        self._write = write_to_outreach(destination)

    def expand(self, rows: PCollection) -> dict[str, PCollection]:
        """PCollection of rows to `receipts`, of ReceiptRow, and errors, of DeadLetterRow."""
        written = rows | "Write" >> self._write
        return {
            "receipts": written.receipts | "ReceiptRows" >> beam.Map(receipt_row),
            self._output: written.dead_letters | "DeadLetterRows" >> beam.Map(dead_letter_row),
        }

    def display_data(self) -> dict[str, Any]:
        """What runners show of it."""
        return self._write.display_data()


class ParseAudienceChanges(beam.PTransform):
    """Reads audience changes: flat records, Experience Platform profiles, or dead letters.

    The input is as that of `WriteToOutreach`. The output `memberships` has a row for each
    membership, with the columns of a flat record; `attributes` one for each attribute that was
    asked for; the one that `error_handling` names has a row for what could not be read.

    Args:
      attributes: Paths of the profile attributes to look for, such as `person.name.firstName`.
      identity: The identityMap namespace whose id is the OutreachId.
      error_handling: This option specifies where to output what could not be read. It is
        required, so that nothing can be lost unseen.
    """

    def __init__(
        self,
        attributes: Sequence[str] = (),
        identity: str = IDENTITY,
        error_handling: Optional[ErrorHandling] = None,
    ) -> None:
        super().__init__()
        self._output = _error_output(
            "ParseAudienceChanges", error_handling, taken=("memberships", "attributes")
        )
        self._parse = Parse(attributes, identity)

    def expand(self, rows: PCollection) -> dict[str, PCollection]:
        """PCollection of rows to `memberships`, `attributes`, and errors."""
        parsed = rows | "Parse" >> self._parse
        return {
            "memberships": parsed.memberships | "MembershipRows" >> beam.Map(membership_row),
            "attributes": parsed.attributes | "AttributeRows" >> beam.Map(attribute_row),
            self._output: parsed.dead_letters | "DeadLetterRows" >> beam.Map(dead_letter_row),
        }

    def display_data(self) -> dict[str, Any]:
        """What runners show of it."""
        return self._parse.display_data()


def receipt_row(receipt: Receipt) -> ReceiptRow:
    """A receipt as a row."""
    return ReceiptRow(
        **{
            **receipt._asdict(),
            "event_time": _time(receipt.event_time),
            "recorded_at": format_time(receipt.recorded_at),
        }
    )


def dead_letter_row(letter: DeadLetter) -> DeadLetterRow:
    """A dead letter as a row; a string of what arrived is written out as that."""
    payload = orjson.loads(letter.payload)
    return DeadLetterRow(
        **{
            **letter._asdict(),
            "payload": payload if isinstance(payload, str) else letter.payload,
            "recorded_at": format_time(letter.recorded_at),
        }
    )


def membership_row(change: MembershipChange) -> MembershipRow:
    """A membership as a row."""
    return MembershipRow(
        change.outreach_id,
        change.segment,
        change.namespace,
        change.status,
        _time(change.event_time),
    )


def attribute_row(change: AttributeChange) -> AttributeRow:
    """An attribute as a row."""
    return AttributeRow(change.outreach_id, change.source, change.value, _time(change.event_time))


def _time(micros: Optional[int]) -> Optional[str]:
    return None if micros is None else format_time(micros)


def _error_output(stage: str, error_handling: object, taken: Sequence[str]) -> str:
    """The output that errors go to.

    Raises:
      ValueError: it is not named, or named as another output is.
    """
    output = error_handling.get("output") if isinstance(error_handling, dict) else None
    if not isinstance(output, str) or not output:
        raise ValueError(
            f"{stage} needs error_handling: {{output: NAME}}, and something that takes the dead "
            "letters from there, so that none is lost"
        )
    if output in taken:
        raise ValueError(f"{stage} has an output {output} of another kind; name errors otherwise")
    return output
