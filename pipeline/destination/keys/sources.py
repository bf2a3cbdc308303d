"""The keys of the destination file for platforms that post changes, and how they sign in."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.destination.error_text import RefusalError
from pipeline.destination.keys.records import Paths
from pipeline.destination.keys.sections import Section
from pipeline.destination.types import HeaderName, Line, SourceName, Variable


class BearerSource(Section):
    """A token in the header Authorization."""

    type: Literal["bearer"] = Field(
        description="`bearer`: a token in the header Authorization.", examples=["bearer"]
    )
    token_env: Variable = Field(
        description="Name of the environment variable that holds the token.",
        examples=["AEP_TOKEN"],
    )


class BasicSource(Section):
    """A user name and a password."""

    type: Literal["basic"] = Field(
        description="`basic`: a user name and a password.", examples=["basic"]
    )
    username: Line = Field(description="The user name.", examples=["mixpanel"])
    password_env: Variable = Field(
        description="Name of the environment variable that holds the password.",
        examples=["MIXPANEL_PASSWORD"],
    )


class HeaderSource(Section):
    """A secret in a header of one's own."""

    type: Literal["header"] = Field(
        description="`header`: a secret in a header of one's own.", examples=["header"]
    )
    header: HeaderName = Field(description="The header.", examples=["X-Api-Key"])
    value_env: Variable = Field(
        description="Name of the environment variable that holds the secret.",
        examples=["AMPLITUDE_KEY"],
    )


class HmacSource(Section):
    """A signature over the body."""

    type: Literal["hmac"] = Field(
        description="`hmac`: a signature over the body.", examples=["hmac"]
    )
    header: HeaderName = Field(
        description="The header with the signature.", examples=["X-Signature"]
    )
    algorithm: Literal["sha1", "sha256", "sha512"] = Field(
        "sha256", description="The hash that is used: sha1, sha256 or sha512.", examples=["sha1"]
    )
    encoding: Literal["hex", "base64"] = Field(
        "hex", description="How the signature is written: hex or base64.", examples=["hex"]
    )
    secret_env: Variable = Field(
        description="Name of the environment variable that holds the shared secret.",
        examples=["SEGMENT_SECRET"],
    )
    prefix: str = Field(
        "", description="What stands before the signature in the header.", examples=["sha256="]
    )


class OAuthClientSource(Section):
    """Credentials that are traded for a token at the address /oauth/token."""

    type: Literal["oauth_client"] = Field(
        description="`oauth_client`: credentials that are traded for a token at /oauth/token.",
        examples=["oauth_client"],
    )
    client_id: Line = Field(description="The client's id.", examples=["aep"])
    client_secret_env: Variable = Field(
        description="Name of the environment variable that holds the client's secret.",
        examples=["AEP_CLIENT_SECRET"],
    )
    username: Line | None = Field(
        None,
        description="For the password grant: the user name; without it that grant is refused.",
        examples=["aep-user"],
    )
    password_env: Variable | None = Field(
        None,
        description="For the password grant: name of the variable that holds the password.",
        examples=["AEP_PASSWORD"],
    )

    @model_validator(mode="after")
    def _both(self) -> OAuthClientSource:
        if (self.username is None) != (self.password_env is None):
            raise RefusalError(
                "has a username or a password, and not the other", "write both, or neither"
            )
        return self


class OpenSource(Section):
    """Nothing: for the loopback address, or with client certificates."""

    type: Literal["none"] = Field(
        description="`none`: nothing; only on the loopback address, or with client certificates.",
        examples=["none"],
    )


SourceAuth = Annotated[
    BearerSource | BasicSource | HeaderSource | HmacSource | OAuthClientSource | OpenSource,
    Field(discriminator="type"),
]


class SourceIdentity(Section):
    """Where in this source's records the prospect's id is found, in place of the destination's."""

    namespace: Line | None = Field(
        None,
        description="The identity namespace whose id is the Outreach prospect's id.",
        examples=["Oid"],
    )
    path: Paths = Field(
        (),
        description="Where the id is in records of other shapes; the first that holds something.",
        examples=["userId", ["context.traits.outreach_id", "userId"]],
    )


class Source(Section):
    """A platform that posts its changes to /changes/NAME."""

    name: SourceName = Field(description="The end of its address: /changes/NAME.", examples=["aep"])
    auth: SourceAuth = Field(
        description="How the platform signs in. Secrets themselves never stand in this file.",
        examples=[{"type": "bearer", "token_env": "AEP_TOKEN"}],
    )
    identity: SourceIdentity = Field(SourceIdentity(), examples=[{"path": "userId"}])
    segment: Line | None = Field(
        None,
        description="The audience of records that do not name theirs.",
        examples=["5c8e1f0a-2d37-4b96-a1c4-7f3e90b2d865"],
    )
    lane: Literal["live", "backfill"] = Field(
        "live", description="Whether its changes go first, or after live ones.", examples=["live"]
    )
    max_per_second: float | None = Field(
        None,
        gt=0,
        le=100_000,
        description="Requests a second; more are answered 429.",
        examples=[200],
    )
