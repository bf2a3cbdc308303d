"""The sandbox answers and refuses as Outreach describes that it does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from pipeline.sandbox import SandboxOptions, running_sandbox
from pipeline.sandbox.auth.tokens import TokenGrant
from pipeline.sandbox.custom_fields import CustomField
from tests.support.contract import breaches_of_answer, operation_of
from tests.support.servers.connected import CLIENT_ID, CLIENT_SECRET, TOKEN_STORE, connect, sign_up
from tests.support.servers.sandbox_client import ask
from tests.support.servers.wire import Passed, recorded

pytestmark = pytest.mark.real

PATCH = ("PATCH", "/api/v2/prospects/1")
TOKEN_PATH = "/oauth/token"
FORM = "application/x-www-form-urlencoded"


def document(record: object = 1, **attributes: object) -> object:
    return {"data": {"type": "prospect", "id": record, "attributes": attributes}}


@pytest.mark.parametrize(
    ("status", "asked", "how"),
    [
        (200, ("GET", "/api/v2/types"), {}),
        (200, ("GET", "/api/v2/prospects?filter%5Bid%5D=1,2,3"), {}),
        (200, (*PATCH, document(custom4="realized", score=0.5, tags=["one"])), {}),
        (400, (*PATCH, document(custom151="x")), {}),
        (400, (*PATCH, document("1", custom4="x")), {}),
        (400, (*PATCH, b"{"), {}),
        (401, (*PATCH, document(custom4="x")), {"token": None}),
        (403, (*PATCH, document(custom4="x")), {"token": "reader"}),
        (403, ("PATCH", "/api/v2/prospects/7", document(7, custom4="x")), {}),
        (404, ("PATCH", "/api/v2/prospects/999", document(999, custom4="x")), {}),
        (415, (*PATCH, document(custom4="x")), {"content_type": "application/json"}),
        (422, (*PATCH, document(custom4="x" * 32_001)), {}),
        (422, (*PATCH, document(custom5="Perhaps")), {}),
        (422, (*PATCH, document(firstName=1)), {}),
        (422, (*PATCH, document(emails=["taken@example.com"])), {}),
        (400, ("POST", TOKEN_PATH, b"client_id=a&client_secret=b&grant_type=refresh_token"), {}),
        (401, ("POST", TOKEN_PATH, b"grant_type=refresh_token"), {}),
        (401, ("POST", "/api/app/installs/i/actions/accessToken"), {"token": "a.b.c"}),
    ],
)  # fmt: skip
def test_the_sandbox_answers_and_refuses_in_outreachs_words(
    picky: tuple[str, list[Passed]], status: int, asked: tuple[Any, ...], how: dict[str, Any]
) -> None:
    url, passed = picky
    form = {"content_type": FORM} if asked[1] == TOKEN_PATH else {}

    assert ask(url, *asked, **form, **how).status == status

    assert operation_of(passed[-1]) is not None
    assert breaches_of_answer(passed[-1]) == []


@pytest.fixture(scope="module")
def picky(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[Passed]]]:
    folder = tmp_path_factory.mktemp("keys")
    sign_up(folder)
    options = SandboxOptions(
        prospects=9,
        forbidden=frozenset({7}),
        fields=(CustomField("prospect", "custom5", "Intent", "inclusion", ("In", "Out")),),
        s2s_key=folder / "public.pem",
    )
    with running_sandbox(options) as sandbox, recorded(sandbox.url) as way:
        sandbox.seed({9: {"emails": ["taken@example.com"]}})
        sandbox._outreach.tokens.issue(
            "reader", TokenGrant("reader", frozenset({"prospects.read"}))
        )
        yield way


def test_the_sandbox_says_wait_in_outreachs_words(tmp_path: Path) -> None:
    options = SandboxOptions(prospects=1, limit=2, approve="ops")
    with running_sandbox(options) as sandbox, recorded(sandbox.url) as (url, passed):
        connect(sandbox, tmp_path)
        tokens = json.loads((tmp_path / TOKEN_STORE).read_text())
        sandbox.maintain(60)
        asked = [
            ask(url, *PATCH, document(custom4="x")).status,
            ask(url, *PATCH, document(custom4="x")).status,
            ask(url, *PATCH, document(custom4="x")).status,
            ask(url, "POST", TOKEN_PATH, renewal(tokens), content_type=FORM, token=None).status,
        ]

    assert asked == [503, 503, 429, 429]
    assert [breaches_of_answer(each) for each in passed] == [[], [], [], []]


def renewal(tokens: dict[str, str]) -> bytes:
    return urlencode(
        {
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "grant_type": "refresh_token",
            "refresh_token": tokens["refresh_token"],
        }
    ).encode()
