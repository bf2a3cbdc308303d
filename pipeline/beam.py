"""A destination file, for a Beam pipeline of one's own."""

from __future__ import annotations

from pipeline.destination.file import load_destination
from pipeline.destination.stage_config import (
    Place,
    delivery_of,
    plan_of,
    refuse_accounts,
    remember_seconds_of,
)
from transforms.connector.write_to_outreach import WriteToOutreach


def write_to_outreach(path: str) -> WriteToOutreach:
    """The transform that does all that a destination file says, for a pipeline of one's own.

    Of `guard` and `alerts`, which need a ledger, it does nothing.

    Args:
      path: of a destination file, local or wherever Beam's FileSystems read.

    Raises:
      ConfigurationError: the file cannot be read or used, see `load_destination`; or it ties
        prospects to their accounts, which needs a ledger.
    """
    destination = load_destination(path)
    refuse_accounts(destination)
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
