"""A bare aiohttp handler to compare the door with.

Usage: python -m benchmarks.bare_door none|row DATABASE. Prints its address; keeps nothing, or one
SQLite row a request, each in a durable transaction of its own.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys

from aiohttp import web


async def serve(kind: str, database: str) -> None:
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE kept (body BLOB)")

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        if kind == "row":
            connection.execute("INSERT INTO kept VALUES (?)", (body,))
        return web.json_response({"accepted": 1})

    app = web.Application()
    app.router.add_post("/changes/{source}", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], sys.argv[2]))
