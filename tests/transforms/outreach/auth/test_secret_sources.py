"""A secret has one place, and what travels to a worker says where it is and not what."""

from __future__ import annotations

import pickle
import sys

import pytest

from tests.transforms.outreach.auth.ops import SECRET, SECRET_ENV
from transforms.errors import ConfigurationError
from transforms.outreach.auth.credentials import (
    Auth,
    BearerAuth,
    OAuthAuth,
    S2SAuth,
)

pytestmark = pytest.mark.real


@pytest.mark.parametrize("given", [{}, {"token_env": "OPS_TOKEN", "token_file": "token"}])
def test_a_secret_is_in_one_place(given: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="name one"):
        BearerAuth(**given)
    with pytest.raises(ConfigurationError, match="name one"):
        OAuthAuth("app", given.get("token_env"), "ops.json", given.get("token_file"))


@pytest.mark.parametrize(
    "auth",
    [
        BearerAuth("OPS_TOKEN"),
        BearerAuth(token_file="/nowhere/token"),
        OAuthAuth("app", SECRET_ENV, "/nowhere/ops.json"),
        OAuthAuth("app", None, "/nowhere/ops.json", "/nowhere/secret"),
        S2SAuth("install", "issuer", "/nowhere/ops.pem"),
    ],
)
def test_what_travels_to_a_worker_says_where_to_read_and_holds_no_secret(auth: Auth) -> None:
    travelled = pickle.loads(pickle.dumps(auth))  # noqa: S301 - our own
    assert travelled == auth
    credential = travelled.credential("ops", "https://api.outreach.io")
    assert SECRET not in repr(credential) + repr(auth)


def test_a_secret_of_secret_manager_needs_the_package_that_reads_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "google.cloud.secretmanager", None)
    auth = OAuthAuth("app", SECRET_ENV, "projects/p/secrets/ops")
    with pytest.raises(ConfigurationError, match=r"outreach-activation\[dataflow\]"):
        auth.credential("ops", "https://api.outreach.io")
