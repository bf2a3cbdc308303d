"""The keys of the destination file that say how changes are sent."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from pipeline.destination.error_text import RefusalError
from pipeline.destination.keys.sections import Section


class Bulk(Section):
    """Whether many prospects that get the same value are written with one request."""

    mode: Literal["off", "auto"] = Field(
        "off",
        description="`auto` writes with Outreach's bulk action where enough prospects get the same"
        " value; needs a ledger, and the scopes batches.read and batches.write.",
        examples=["auto"],
    )
    min_prospects: int = Field(
        200,
        ge=2,
        le=100_000,
        description="Prospects from which on a bulk action is used.",
        examples=[200],
    )
    max_ids: int = Field(
        10_000, ge=1, le=100_000, description="Prospects of one bulk action.", examples=[10_000]
    )
    give_up_minutes: float = Field(
        60,
        gt=0,
        le=10_080,
        description="Minutes after which a bulk action that does not end is cancelled.",
        examples=[60],
    )


class Delivery(Section):
    """How long changes are gathered, how they are sent, and how long they are remembered."""

    hold_seconds: float = Field(
        5,
        ge=0,
        le=86_400,
        description="Seconds for which a prospect's changes are gathered into one request.",
        examples=[5],
    )
    in_flight: int = Field(
        16, ge=1, le=1_000, description="Requests under way at once, a user.", examples=[16]
    )
    remember_days: float = Field(
        30,
        ge=0,
        le=3_650,
        description="Days for which a delivered value is remembered and not sent again.",
        examples=[30],
    )
    keep_days: float = Field(
        30,
        gt=0,
        le=3_650,
        description="Days for which the ledger keeps its history.",
        examples=[30],
    )
    give_up_hours: float = Field(
        24,
        gt=0,
        le=8_760,
        description="Hours of server trouble after which a change becomes a dead letter.",
        examples=[24],
    )
    refresh_hours: float = Field(
        24,
        gt=0,
        le=8_760,
        description="Hours for which the missing pages of a full refresh are waited for.",
        examples=[24],
    )
    clock_skew_minutes: float = Field(
        10,
        ge=0,
        le=5_256_000,
        description="Minutes by which a source's clock may be ahead; a later time counts as the"
        " time of arrival.",
        examples=[10],
    )
    live_share: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Part of each user's budget that a backfill never spends, so that what happens"
        " now need not wait for it.",
        examples=[0.1],
    )
    bulk: Bulk = Field(Bulk(), examples=[{"mode": "auto", "min_prospects": 200, "max_ids": 10_000}])
    lanes: int = Field(
        1,
        ge=1,
        le=1_000,
        description="Keys over which a streaming runner splits each user's queue and budget,"
        " for as many workers. Of no use on one machine.",
        examples=[4],
    )

    @field_validator("lanes")
    @classmethod
    def _fly(cls, lanes: int, info: ValidationInfo) -> int:
        in_flight = info.data.get("in_flight")
        if in_flight is not None and lanes > in_flight:
            raise RefusalError(
                f"leaves a lane without a request under way: in_flight is {in_flight}",
                "write no more lanes than in_flight",
            )
        return lanes
