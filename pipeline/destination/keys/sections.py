"""The keys of the destination file, section by section, with what each is for.

What is written where has a module of its own, `pipeline.destination.keys.mapping`.

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
