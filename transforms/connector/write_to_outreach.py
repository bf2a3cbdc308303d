"""WriteToOutreach: every stage in one, for a pipeline that has audience changes already."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.pvalue import PCollection
from apache_beam.transforms.display import DisplayDataItem
from apache_beam.transforms.error_handling import ErrorHandler

from transforms.clock import steady
from transforms.connector.element_json import refuse_type
from transforms.connector.parse_audience_changes import IDENTITY, TakeDoFn
from transforms.connector.per_element import IssueReceipts
from transforms.elements import DeadLetter, Receipt
from transforms.errors import ActivationError
from transforms.outreach.base_url import OUTREACH
from transforms.outreach.delivery import Delivery
from transforms.outreach.sender_pool import Access
from transforms.plan import Attribute, Audience, OutreachUser, Plan
from transforms.relations import ACCOUNT_DOMAIN
from transforms.stages.coalesce import Coalesce
from transforms.stages.map import Map
from transforms.stages.parse import Arrived
from transforms.stages.patch import Kept, PatchProspects
from transforms.stages.windowing import globally


class WriteToOutreachResult(NamedTuple):
    """Outputs of `WriteToOutreach`.

    Attributes:
      receipts: PCollection[Receipt], one for each change, whatever became of it.
      dead_letters: PCollection[DeadLetter], one for each element, or part of one, that could
        not be read, and one for each change that Outreach refused.
    """

    receipts: PCollection[Receipt]
    dead_letters: PCollection[DeadLetter]


@dataclass(kw_only=True)
class WriteToOutreach(beam.PTransform):
    """Writes audience changes to custom fields of Outreach prospects, within a budget.

    Reads elements, maps segments to fields, merges the changes of each prospect, sends them,
    and issues a receipt for each. At least once: a bundle that is run again repeats its
    requests, which carry absolute values, so that this changes nothing. The newest change of a
    field wins, by its event time; an element's timestamp counts as the time it was published
    at. In parallel there are as many senders as there are users.

    Bounded input: each change is sent once all are there. A user whose credential fails is
    waited for by none: when the others are done the pipeline fails with what mends it, and run
    again it sends what is missing. Unbounded input: changes are held for `hold_seconds`; a user
    whose credential fails keeps its queue until it is mended. The runner must have state and
    timers in processing time.

    In any `per_seconds` no more is sent than a user's budget allows: bounded input counts from
    the start of each pipeline, so those that run at the same time must not share a user.

    Whatever the windows of the input, the outputs are in the global one.

    Input: PCollection of ``bytes`` or ``str`` (JSON, a record or a list of them), of
    dictionaries or rows of a flat record, of MembershipChange or AttributeChange, in any
    mixture.

    Attributes:
      users: the Outreach users by whose requests is written; at least one.
      audiences: segments, and the field of each.
      attributes: profile attributes, and the field of each.
      identity: the identityMap namespace whose id is the OutreachId.
      base_url: of the API.
      delivery: how patches are sent.
      hold_seconds: the delay that unbounded input meets, at most.
      remember_seconds: how long unbounded input's prospects are remembered.
      error_handler: takes the dead letters, too.
      clock: seconds since the epoch; picklable.

    Raises:
      ValueError: a contradiction, a field that there is not, or a base_url that tokens must not
        be sent to.
      TypeError: applied to elements that are none of these.
    """

    users: Sequence[Access]
    audiences: Sequence[Audience] = ()
    attributes: Sequence[Attribute] = ()
    identity: str = IDENTITY
    base_url: str = OUTREACH
    delivery: Delivery = field(default_factory=Delivery)
    hold_seconds: float = 5.0
    remember_seconds: float = 30 * 86400.0
    error_handler: ErrorHandler | None = None
    clock: Callable[[], float] = steady

    def __post_init__(self) -> None:
        if not (self.audiences or self.attributes):
            raise ValueError("nothing is mapped; give audiences or attributes")
        if any(each.target == ACCOUNT_DOMAIN for each in self.attributes):
            raise ValueError(f"{ACCOUNT_DOMAIN} needs a ledger; leave the attribute out")
        # Made here, so that what is wrong with them is said when the transform is.
        self._coalesce = Coalesce(self.hold_seconds, self.remember_seconds, self.clock)
        self._plan = Plan(
            self.identity,
            tuple(self.audiences),
            tuple(self.attributes),
            tuple(
                OutreachUser(user.name, user.budget.allowance / user.budget.per_seconds)
                for user in self.users
            ),
        )
        self._patch = PatchProspects(
            self.base_url, tuple(self.users), self.delivery, clock=self.clock
        )

    def with_error_handler(self, error_handler: ErrorHandler | None) -> WriteToOutreach:
        """The same, with dead letters going to a handler, too; None for none."""
        return replace(self, error_handler=error_handler)

    def expand(self, elements: PCollection) -> WriteToOutreachResult:
        """See `WriteToOutreach`."""
        refuse_type("WriteToOutreach", elements.element_type)
        taken = globally(elements) | "Take" >> beam.ParDo(
            TakeDoFn(self.identity, self._plan.sources, self.clock)
        ).with_output_types(Arrived, dead_letters=DeadLetter).with_outputs(
            "dead_letters", main="arrived"
        )
        mapped = taken.arrived | "Map" >> Map(self._plan, self.clock)
        merged = mapped.changes | "Coalesce" >> self._coalesce
        sent = merged.patches | "Patch" >> self._patch
        if sent.kept is not None:
            # Apart from the sending, so that what was sent is not undone with it.
            sent.kept | "Apart" >> beam.Reshuffle() | "Fail" >> beam.ParDo(FailDoFn())
        outcomes = (mapped.outcomes, *merged.outcomes, sent.outcomes)
        issued = outcomes | "Outcomes" >> beam.Flatten() | "Receipts" >> IssueReceipts()
        letters = (taken.dead_letters, issued.dead_letters)
        if self.error_handler is not None:
            for some in letters:
                self.error_handler.add_error_pcollection(some)
        return WriteToOutreachResult(issued.receipts, letters | "DeadLetters" >> beam.Flatten())

    def display_data(self) -> dict[str, Any]:
        """What runners show of it; no secret, for none is known where a pipeline is built."""
        return {
            "identity": DisplayDataItem(self.identity, label="Namespace of the OutreachId"),
            **Map(self._plan).display_data(),
            **self._coalesce.display_data(),
            **self._patch.display_data(),
        }


class FailDoFn(beam.DoFn):
    """Fails the pipeline for a user whose credential has to be mended by a person."""

    def process(self, kept: Kept) -> Iterator[Any]:  # noqa: D102
        changes = sum(len(patch.changes) for patch in kept.patches)
        raise ActivationError(
            f"{kept.problem}; {changes} changes were not sent, and are to be sent by another run"
        )
