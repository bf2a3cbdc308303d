"""The keys of the destination file, section by section, with what each is for.

What is written where has a module of its own, `pipeline.destination.mapping`.

The descriptions are what editors show (`pipeline.destination.file.destination_schema`) and
what `docs/destination-file.md` says; they are written for whoever owns the mapping,
who need not be an engineer.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic.config import JsonDict

from pipeline.destination.error_text import RefusalError
from pipeline.destination.types import (
    WEBHOOK_EXAMPLE,
    BaseUrl,
    FilePath,
    Line,
    RedirectUri,
    SecretPath,
    Variable,
    Webhook,
)


class Section(BaseModel):
    """A group of keys: strict, without unknown ones; a key left empty is a key left out."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        field_title_generator=lambda name, _: name.replace("_", " ").capitalize(),
    )

    @model_validator(mode="before")
    @classmethod
    def _empty_is_absent(cls, data: Any) -> Any:  # noqa: ANN401 - whatever the file holds
        if not isinstance(data, dict):
            return data
        return {k: v for k, v in data.items() if v is not None or k not in cls.model_fields}


def _one_of(*keys: str) -> JsonDict:
    """For the schema: exactly one of these keys is given."""
    return {"oneOf": [{"required": [key]} for key in keys]}


class Outreach(Section):
    """Which Outreach to write to; the real one where nothing is said."""

    base_url: BaseUrl = Field(
        "https://api.outreach.io",
        description="Address of Outreach's API. Plain http only for a sandbox on this machine.",
        examples=["https://api.outreach.io", "http://localhost:8080"],
        json_schema_extra={"pattern": "^https?://"},
    )


class BearerAuth(Section):
    """A ready-made access token, which somebody else keeps fresh."""

    model_config = ConfigDict(json_schema_extra=_one_of("token_env", "token_file"))

    type: Literal["bearer"] = Field(
        description="`bearer`: a ready-made access token.", examples=["bearer"]
    )
    token_env: Variable | None = Field(
        None,
        description="Name of the environment variable that holds the access token.",
        examples=["OUTREACH_TOKEN"],
    )
    token_file: SecretPath | None = Field(
        None,
        description="In its place: a file that holds the access token, or a secret of Google Secret"
        " Manager.",
        examples=["projects/my-project/secrets/outreach-token"],
    )


class OAuth(Section):
    """An Outreach user who has connected by OAuth; tokens renew themselves."""

    model_config = ConfigDict(json_schema_extra=_one_of("client_secret_env", "client_secret_file"))

    type: Literal["oauth"] = Field(
        description="`oauth`: a user who has connected by OAuth.", examples=["oauth"]
    )
    client_id: Line = Field(
        description="The OAuth application's id, from Outreach's developer portal.",
        examples=["a1B2c3D4e5"],
    )
    client_secret_env: Variable | None = Field(
        None,
        description="Name of the environment variable that holds the application's secret.",
        examples=["OUTREACH_CLIENT_SECRET"],
    )
    client_secret_file: SecretPath | None = Field(
        None,
        description="In its place: a file that holds the application's secret, or a secret of"
        " Google Secret Manager.",
        examples=["projects/my-project/secrets/outreach-client"],
    )
    token_store: FilePath = Field(
        description="File that keeps this user's tokens, beside the destination file."
        " The connect command writes the first ones.",
        examples=["ops-token.json"],
    )
    redirect_uri: RedirectUri | None = Field(
        None,
        description="Where connect is sent its answer: one of the application's redirect URIs."
        " A free port of this machine if left out.",
        examples=["http://localhost:8910/callback"],
        json_schema_extra={"pattern": "^https?://"},
    )


class S2SAuth(Section):
    """An Outreach app that signs in for itself, without a user's password or consent."""

    type: Literal["s2s"] = Field(
        description="`s2s`: an app that signs in for itself.", examples=["s2s"]
    )
    install_id: Line = Field(
        description="Id of the app's installation in your Outreach organisation.",
        examples=["6c1f0d0a-3b1e-4a55-8f0e-0f7f3a3c1d2e"],
    )
    issuer: Line = Field(
        description="The app's identifier, as Outreach's developer portal shows it.",
        examples=["audience-activation"],
    )
    private_key_file: FilePath = Field(
        description="File with the app's private key (PEM), beside the destination file.",
        examples=["ops-key.pem"],
    )


Auth = Annotated[BearerAuth | OAuth | S2SAuth, Field(discriminator="type")]


class Budget(Section):
    """How many requests may be spent, and how many are left for the user's other tools."""

    requests: int = Field(
        10_000,
        ge=1,
        le=1_000_000_000,
        description="Requests that Outreach allows this user in one period.",
        examples=[10_000],
    )
    per_seconds: float = Field(
        3600,
        gt=0,
        le=31_536_000,
        description="Length of that period in seconds; 3600 is Outreach's hour.",
        examples=[3600],
    )
    reserve: int = Field(
        500,
        ge=0,
        validate_default=True,
        description="How many of those requests to leave for the user's other tools.",
        examples=[500],
    )

    @field_validator("reserve")
    @classmethod
    def _leaves_some(cls, reserve: int, info: ValidationInfo) -> int:
        requests = info.data.get("requests")
        if requests is not None and reserve >= requests:
            raise RefusalError(
                f"leaves nothing to spend: the reserve is {reserve:,} of {requests:,} requests",
                "write a reserve smaller than requests",
            )
        return reserve


class User(Section):
    """An Outreach user whose requests are spent."""

    name: Line = Field(
        description="What receipts, metrics and logs call this user.", examples=["ops"]
    )
    auth: Auth = Field(
        description="How this user signs in. Secrets themselves never stand in this file.",
        examples=[{"type": "bearer", "token_env": "OUTREACH_TOKEN"}],
    )
    budget: Budget = Field(
        Budget(),
        examples=[{"requests": 10_000, "per_seconds": 3600, "reserve": 500}],
    )


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


class Guard(Section):
    """Holds an audience back that empties suspiciously fast; needs a ledger."""

    max_exit_percent: float = Field(
        50,
        gt=0,
        le=100,
        description="Hold an audience when more than this share of it leaves; 100 never holds.",
        examples=[50],
    )
    window_minutes: float = Field(
        60,
        gt=0,
        le=10_080,
        description="Minutes over which that share is counted.",
        examples=[60],
    )


class Alerts(Section):
    """Who is told when something needs a person."""

    webhook: Webhook | None = Field(
        None,
        repr=False,  # Chat systems put a secret into it.
        description="Address that is sent a message when something needs a person.",
        examples=[WEBHOOK_EXAMPLE],
        json_schema_extra={"pattern": "^https?://"},
    )
