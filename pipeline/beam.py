"""A destination file, for a Beam pipeline of one's own."""

from __future__ import annotations

from pipeline.destination.file import Destination, load_destination
from pipeline.destination.stage_config import (
    Place,
    delivery_of,
    plan_of,
    refuse_what_needs_a_ledger,
    remember_seconds_of,
)
from transforms.connector.write_to_outreach import WriteToOutreach
from transforms.errors import ConfigurationError
from transforms.matching import BY_ID
from transforms.outreach.fields import PROSPECT


def write_to_outreach(path: str) -> WriteToOutreach:
    """The transform that does all that a destination file says, for a pipeline of one's own.

    Of `guard` and `alerts`, which need a ledger, it does nothing.

    Args:
      path: of a destination file, local or wherever Beam's FileSystems read.

    Raises:
      ConfigurationError: the file cannot be read or used, see `load_destination`; or it asks for
        what needs a ledger, for another object than prospects, or for a match by another key than
        the OutreachId.
    """
    destination = load_destination(path)
    refuse_what_needs_a_ledger(destination)
    _refuse_what_is_not_in_it(destination)
    plan, place = plan_of(destination), Place.of(destination)
    return WriteToOutreach(
        users=place.accesses,
        audiences=plan.audiences,
        attributes=plan.attributes,
        identity=plan.identity,
        base_url=place.base_url,
        delivery=delivery_of(destination),
        hold_seconds=destination.delivery.hold_seconds,
        remember_seconds=remember_seconds_of(destination),
    )


def _refuse_what_is_not_in_it(destination: Destination) -> None:
    for path, given, taken in (
        (("object",), destination.object, PROSPECT),
        (("identity", "match"), destination.identity.match, BY_ID),
    ):
        if given != taken:
            raise ConfigurationError(
                f"{destination.where(*path)}: {given} is not for a pipeline of one's own, which"
                f" takes {taken} only; leave it out, or have `outreach-activation run` do it"
            )
