"""The client against the sandbox: what it asks, and what it makes of the answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from aiohttp import web

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from tests.transforms.outreach.talking import TOKEN, patch_once, serving
from transforms.outreach.client import MOST_IDS, OutreachClient, Reply, Trouble
from transforms.outreach.read_before_write import read_values
from transforms.outreach.responses import Fate, classify, read_limits

pytestmark = pytest.mark.real


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(SandboxOptions(prospects=10)) as running:
        yield running


def test_a_patch_is_spelled_as_outreach_documents_it() -> None:
    async def main() -> list[tuple[web.Request, bytes]]:
        asked = []

        async def answer(request: web.Request) -> web.Response:
            asked.append((request, await request.read()))
            return web.Response()

        async with serving(answer) as url, OutreachClient(f"{url}/") as client:
            await client.patch_prospect(42, {"custom4": "realized", "firstName": None}, TOKEN)
            await client.patch_prospect(42, '{"custom4":"Zoë"}', TOKEN)
        return asked

    (request, by_name), (_, as_text) = asyncio.run(main())
    assert request.method == "PATCH"
    assert request.raw_path == "/api/v2/prospects/42"
    assert request.headers["Content-Type"] == "application/vnd.api+json"
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"
    assert request.headers["User-Agent"].startswith("outreach-activation")
    assert by_name == (
        b'{"data":{"type":"prospect","id":42,"attributes":{"custom4":"realized","firstName":null}}}'
    )
    assert as_text == (
        '{"data":{"type":"prospect","id":42,"attributes":{"custom4":"Zoë"}}}'.encode()
    )


def test_a_patch_changes_the_prospect_and_tells_what_is_left(sandbox: Sandbox) -> None:
    async def main() -> Reply:
        async with OutreachClient(sandbox.url) as client:
            await client.patch_prospect(1, {"custom4": "exited", "custom5": "x"}, TOKEN)
            return await client.patch_prospect(1, '{"custom4":"realized","custom5":null}', TOKEN)

    reply = asyncio.run(main())
    assert sandbox.prospects()[1] == {"custom4": "realized"}
    assert classify(*reply, now=0.0).fate is Fate.ACCEPTED
    assert read_limits(reply.headers).remaining == 9998


def test_an_answer_of_any_status_is_an_answer(sandbox: Sandbox) -> None:
    async def main() -> Reply:
        async with OutreachClient(sandbox.url) as client:
            return await client.patch_prospect(999, {"custom4": "realized"}, TOKEN)

    verdict = classify(*asyncio.run(main()), now=0.0)
    assert (verdict.fate, verdict.reason) == (Fate.REFUSED, "not_found")


def test_many_prospects_are_read_with_one_request(sandbox: Sandbox) -> None:
    sandbox.seed({5: {"custom4": "realized"}, 6: {"custom4": "exited"}})

    async def main() -> Reply:
        async with OutreachClient(sandbox.url) as client:
            return await client.read_prospects([5, 6, 7, 888], ["custom4", "firstName"], TOKEN)

    assert read_values(asyncio.run(main()).body) == {
        5: {"custom4": "realized", "firstName": None},
        6: {"custom4": "exited", "firstName": None},
        7: {"custom4": None, "firstName": None},
    }
    assert len(sandbox.requests()) == 1


def test_the_longest_read_fits_the_request_line_of_a_common_server() -> None:
    ids = [9_999_999_999 - place for place in range(MOST_IDS)]
    fields = [f"custom{number}" for number in range(1, 151)]

    async def main() -> Reply:
        async def answer(request: web.Request) -> web.Response:
            assert request.query["filter[id]"] == ",".join(map(str, ids))
            assert request.query["fields[prospect]"] == ",".join(fields)
            assert request.query["page[size]"] == "1000"
            assert request.query["count"] == "false"
            return web.Response()

        async with serving(answer) as url, OutreachClient(url) as client:
            return await client.read_prospects(ids, fields, TOKEN)

    assert asyncio.run(main()).status == 200


@pytest.mark.parametrize("count", [0, MOST_IDS + 1])
def test_reading_nobody_would_read_everybody_and_reading_too_many_is_refused(count: int) -> None:
    client = OutreachClient("http://127.0.0.1:1")
    with pytest.raises(ValueError, match="cannot be read at once"):
        asyncio.run(client.read_prospects(range(1, count + 1), ["custom4"], TOKEN))


def test_other_resources_are_read_and_posted(sandbox: Sandbox) -> None:
    async def main() -> tuple[Reply, Reply]:
        async with OutreachClient(sandbox.url) as client:
            found = await client.get(
                "/api/v2/prospects", TOKEN, {"filter[id]": "1,2", "count": "false"}
            )
            document = {"data": {"type": "prospect", "attributes": {"custom4": "realized"}}}
            return found, await client.post("/api/v2/prospects", document, TOKEN)

    found, posted = asyncio.run(main())
    assert set(read_values(found.body)) == {1, 2}
    assert posted.status != 415


def test_a_redirect_is_an_answer_and_not_followed() -> None:
    async def main() -> tuple[Reply, int]:
        asked = 0

        async def answer(_: web.Request) -> web.Response:
            nonlocal asked
            asked += 1
            return web.Response(status=301, headers={"Location": "/elsewhere"})

        async with serving(answer) as url:
            return await patch_once(url), asked

    reply, asked = asyncio.run(main())
    assert (reply.status, asked) == (301, 1)


def test_connections_are_kept_and_no_more_than_agreed() -> None:
    async def main() -> tuple[set[object], int, int]:
        peers: set[object] = set()
        under_way = most = 0

        async def answer(request: web.Request) -> web.Response:
            nonlocal under_way, most
            assert request.transport is not None
            peers.add(request.transport.get_extra_info("peername"))
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0)
            under_way -= 1
            return web.Response()

        async with serving(answer) as url, OutreachClient(url, connections=3) as client:
            patches = (client.patch_prospect(n, {"custom4": "x"}, TOKEN) for n in range(1, 40))
            await asyncio.gather(*patches)
            kept = len(peers)
            await client.close()
            await client.patch_prospect(1, {"custom4": "x"}, TOKEN)
        return peers, kept, most

    peers, kept, most = asyncio.run(main())
    assert kept == 3
    assert most <= 3
    assert len(peers) == 4


def test_the_budget_of_a_request_that_hangs_is_its_total_time(sandbox: Sandbox) -> None:
    sandbox.set_faults(timeout=1, timeout_seconds=300)
    with pytest.raises(Trouble, match=r"no answer within 0\.1 s"):
        asyncio.run(patch_once(sandbox.url, total_seconds=0.1))
