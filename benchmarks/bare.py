"""The least that could be done: a bare aiohttp loop that sends a file's changes as they stand.

Usage: python -m benchmarks.bare URL FILE FIELD IN_FLIGHT
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import aiohttp


async def send(url: str, path: Path, field: str, in_flight: int) -> int:
    lines = iter(path.read_text(encoding="utf-8").splitlines())
    sent = 0
    headers = {
        "Authorization": "Bearer bench",
        "Content-Type": "application/vnd.api+json",
    }

    async def work(session: aiohttp.ClientSession) -> None:
        nonlocal sent
        for line in lines:
            change = json.loads(line)
            prospect = change["outreach_id"]
            body = {
                "data": {
                    "type": "prospect",
                    "id": prospect,
                    "attributes": {field: change["status"]},
                }
            }
            async with session.patch(
                f"{url}/api/v2/prospects/{prospect}", data=json.dumps(body)
            ) as answer:
                await answer.read()
                answer.raise_for_status()
                sent += 1

    connector = aiohttp.TCPConnector(limit=in_flight)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        await asyncio.gather(*(work(session) for _ in range(in_flight)))
    return sent


if __name__ == "__main__":
    print(asyncio.run(send(sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))))
