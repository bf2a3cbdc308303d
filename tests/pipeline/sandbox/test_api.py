from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import aiohttp
import pytest

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from tests.support.servers.sandbox_client import JSON_API, ask, patch, wait_for

pytestmark = pytest.mark.real


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(SandboxOptions(prospects=120, forbidden=frozenset({13}))) as running:
        yield running


def test_a_patch_sets_what_it_carries_and_answers_the_whole_prospect(sandbox: Sandbox) -> None:
    sandbox.seed({4: {"custom1": "kept", "custom2": "cleared"}})
    reply = patch(sandbox, 4, custom2=None, custom4="realized", firstName="Ada", lastName="Byron")
    assert reply.status == 200
    assert reply.headers["Content-Type"] == JSON_API
    data = reply.json["data"]
    assert (data["type"], data["id"]) == ("prospect", 4)
    assert data["attributes"]["custom4"] == "realized"
    assert data["attributes"]["custom150"] is None
    assert data["attributes"]["name"] == "Ada Byron"
    assert sandbox.prospects()[4] == {
        "custom1": "kept",
        "custom4": "realized",
        "firstName": "Ada",
        "lastName": "Byron",
    }


def _document(**changes: object) -> dict[str, object]:
    data = {"type": "prospect", "id": 1, "attributes": {"custom1": "x"}} | changes
    return {"data": {key: value for key, value in data.items() if value is not ...}}


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"{", 400, "badRequest"),
        (b"[]", 400, "badRequest"),
        (_document(id="1"), 400, "badRequest"),
        (_document(id=2), 400, "badRequest"),
        (_document(id=True), 400, "badRequest"),
        (_document(id=...), 400, "badRequest"),
        (_document(type="prospects"), 400, "badRequest"),
        (_document(attributes=[]), 400, "badRequest"),
        (_document(attributes={"custom151": "x"}), 400, "badRequest"),
        (_document(attributes={"custom1": 1}), 422, "validationError"),
        (_document(attributes={"custom1": ["x"]}), 422, "validationError"),
        (_document(attributes={"optedOut": "yes"}), 422, "validationError"),
        (_document(attributes={"linkedInConnections": True}), 422, "validationError"),
        (_document(attributes={"dateOfBirth": "2026-02-30"}), 422, "validationError"),
        (_document(attributes={"addedAt": "yesterday"}), 422, "validationError"),
        (_document(attributes={"tags": "one"}), 422, "validationError"),
        (_document(attributes={"createdAt": "2026-01-01T00:00:00Z"}), 422, "validationError"),
        (_document(attributes={"custom1": "x" * 32_001}), 422, "validationDataTooLongError"),
        (_document(attributes={"title": "x" * 256}), 422, "validationDataTooLongError"),
    ],
)
def test_a_patch_that_outreach_would_not_take_is_refused_and_changes_nothing(
    sandbox: Sandbox, body: object, status: int, kind: str
) -> None:
    reply = ask(sandbox, "PATCH", "/api/v2/prospects/1", body)
    assert (reply.status, reply.error["id"]) == (status, kind)
    assert sandbox.prospects()[1] == {}


def test_each_refused_attribute_is_named_by_a_pointer(sandbox: Sandbox) -> None:
    reply = patch(sandbox, 1, custom7=1, custom8="fine", title="x" * 300)
    pointers = [each["source"]["pointer"] for each in reply.json["errors"]]
    assert pointers == ["/data/attributes/custom7", "/data/attributes/title"]


def test_the_longest_custom_value_is_taken(sandbox: Sandbox) -> None:
    assert patch(sandbox, 1, custom150="x" * 32_000).status == 200


@pytest.mark.parametrize("content_type", [None, "application/json", f"{JSON_API}; charset=utf-8"])
def test_another_content_type_is_415_whose_error_says_details(
    sandbox: Sandbox, content_type: str | None
) -> None:
    reply = ask(
        sandbox, "PATCH", "/api/v2/prospects/1", _document(), content_type=content_type
    )  # fmt: skip
    assert (reply.status, reply.error["id"]) == (415, "unsupportedMediaType")
    assert "details" in reply.error


@pytest.mark.parametrize("prospect", ["121", "0", "-1", "abc"])
def test_a_prospect_that_is_not_there_is_404(sandbox: Sandbox, prospect: str) -> None:
    reply = ask(sandbox, "GET", f"/api/v2/prospects/{prospect}")
    assert (reply.status, reply.error["id"]) == (404, "resourceNotFound")


def test_a_prospect_that_governance_keeps_is_403(sandbox: Sandbox) -> None:
    reply = patch(sandbox, 13, custom1="x")
    assert (reply.status, reply.error["id"]) == (403, "unauthorizedRequest")


@pytest.mark.parametrize("token", [None, "", "unknown"])
def test_a_bad_token_is_401_in_the_gateways_own_shape_and_spends_nothing(token: str | None) -> None:
    options = SandboxOptions(prospects=1, tokens={"good": "ops"})
    with running_sandbox(options) as sandbox:
        reply = ask(sandbox, "GET", "/api/v2/prospects/1", token=token)
        assert (reply.status, reply.json["error"]) == (401, "Invalid JWT token.")
        assert "X-RateLimit-Remaining" not in reply.headers
        good = ask(sandbox, "GET", "/api/v2/prospects/1", token="good")
        assert good.headers["X-RateLimit-Remaining"].startswith("9999,")


def test_a_list_gives_the_prospects_that_exist_and_only_the_fields_asked_for(
    sandbox: Sandbox,
) -> None:
    sandbox.seed({2: {"custom4": "exited"}})
    query = {"filter[id]": "3,2,2,999", "fields[prospect]": "custom4,updatedAt", "count": "false"}
    reply = ask(sandbox, "GET", "/api/v2/prospects", query=query)
    assert [each["id"] for each in reply.json["data"]] == [2, 3]
    assert set(reply.json["data"][0]["attributes"]) == {"custom4", "updatedAt"}
    assert reply.json["data"][0]["attributes"]["custom4"] == "exited"
    assert "meta" not in reply.json


def test_the_new_filter_syntax_takes_ids_one_by_one(sandbox: Sandbox) -> None:
    path = "/api/v2/prospects?newFilterSyntax=true&filter[id][]=5&filter[id][]=6"
    assert [each["id"] for each in ask(sandbox, "GET", path).json["data"]] == [5, 6]
    old = ask(sandbox, "GET", "/api/v2/prospects?filter[id][]=5")
    assert old.status == 400


def test_following_links_next_reads_every_prospect_once(sandbox: Sandbox) -> None:
    path, sizes, seen = "/api/v2/prospects", [], []
    while path:
        document = ask(sandbox, "GET", path).json
        assert document["meta"]["count"] == 120
        sizes.append(len(document["data"]))
        seen += [each["id"] for each in document["data"]]
        path = document["links"].get("next", "").removeprefix(sandbox.url)
    assert sizes == [50, 50, 20]
    assert seen == list(range(1, 121))


@pytest.mark.parametrize(
    "query",
    [
        "page[size]=0",
        "page[size]=1001",
        "page[size]=ten",
        "page[after]=!",
        "filter[custom4]=realized",
        "filter[id]=x",
        "fields[prospect]=custom151",
        "sorted=yes",
    ],
)
def test_a_list_with_a_parameter_that_does_not_exist_is_400(sandbox: Sandbox, query: str) -> None:
    assert ask(sandbox, "GET", f"/api/v2/prospects?{query}").status == 400


def test_a_prospect_is_found_by_its_email(sandbox: Sandbox) -> None:
    sandbox.seed({7: {"emails": ["ada@example.com", "b+yron@example.com"]}})
    query = {"filter[emails]": "b+yron@example.com"}
    reply = ask(sandbox, "GET", "/api/v2/prospects", query=query)
    assert [each["id"] for each in reply.json["data"]] == [7]


def test_a_url_longer_than_gateways_take_is_414(sandbox: Sandbox) -> None:
    ids = ",".join(str(number) for number in range(10_000_000, 10_001_000))
    assert ask(sandbox, "GET", f"/api/v2/prospects?filter[id]={ids}").status == 414


def test_the_log_tells_who_asked_what_and_what_was_answered(sandbox: Sandbox) -> None:
    patch(sandbox, 1, "secret-token", custom1="x")
    ask(sandbox, "GET", "/api/v2/prospects/999")
    first, second = sandbox.requests()
    assert (first.method, first.path, first.status) == ("PATCH", "/api/v2/prospects/1", 200)
    assert (first.user, first.altered) == ("user-1", 1)
    assert b'"custom1": "x"' in first.body
    assert first.finished_at is not None
    assert first.finished_at >= first.started_at
    assert (second.user, second.status) == ("user-2", 404)
    assert "secret-token" not in repr(sandbox.requests())


def _together(sandbox: Sandbox, prospects: list[int]) -> None:
    async def send() -> None:
        async with aiohttp.ClientSession() as session:

            async def one(prospect: int) -> None:
                body = {"data": {"type": "prospect", "id": prospect, "attributes": {}}}
                headers = {"Authorization": "Bearer x", "Content-Type": JSON_API}
                url = f"{sandbox.url}/api/v2/prospects/{prospect}"
                async with session.patch(url, json=body, headers=headers) as reply:
                    assert reply.status == 200

            await asyncio.gather(*(one(each) for each in prospects))

    asyncio.run(send())


def test_two_writes_in_flight_for_one_prospect_are_a_violation() -> None:
    with running_sandbox(SandboxOptions(prospects=9, latency_seconds=0.05)) as sandbox:
        _together(sandbox, [1, 2, 3])
        assert sandbox.violations() == []
        _together(sandbox, [4, 5, 4])
        (violation,) = sandbox.violations()
        assert violation.kind == "overlap"
        assert "/api/v2/prospects/4" in violation.detail


def test_a_request_that_its_client_gave_up_is_no_longer_in_flight() -> None:
    with running_sandbox(SandboxOptions(prospects=1, latency_seconds=0.3)) as sandbox:
        with pytest.raises(TimeoutError):
            ask(sandbox, "PATCH", "/api/v2/prospects/1", _document(), timeout=0.05)
        assert patch(sandbox, 1, custom1="y").status == 200
        assert sandbox.violations() == []
        assert [each.status for each in sandbox.requests()] == [None, 200]


def test_giving_up_and_asking_again_in_one_breath_is_no_overlap() -> None:
    body = json.dumps(_document()).encode()
    request = (
        b"PATCH /api/v2/prospects/1 HTTP/1.1\r\nHost: sandbox\r\nAuthorization: Bearer x\r\n"
        b"Content-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (JSON_API.encode(), len(body), body)
    )
    with running_sandbox(SandboxOptions(prospects=1, latency_seconds=0.2)) as sandbox:
        where = urlsplit(sandbox.url)
        address = (where.hostname, where.port)
        with (
            socket.create_connection(address) as first,
            socket.create_connection(address) as second,
        ):
            first.sendall(request)
            wait_for(sandbox.requests)

            def at_once() -> None:
                second.sendall(request)
                first.close()

            # On the sandbox's own loop, so that it learns of both in the same turn.
            sandbox._on_loop(at_once)
            assert second.recv(12) == b"HTTP/1.1 200"
        assert [each.status for each in sandbox.requests()] == [None, 200]
        assert sandbox.violations() == []
