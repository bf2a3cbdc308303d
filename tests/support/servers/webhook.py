"""A webhook's server of this process, which keeps what it was sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Receiver:
    """A webhook server that keeps what it was sent."""

    url: str = ""
    bodies: list[object] = field(default_factory=list)
    kinds: list[str | None] = field(default_factory=list)
    status: int = 200
    hanging: threading.Event = field(default_factory=threading.Event)

    @property
    def texts(self) -> list[str]:
        return [body["text"] for body in self.bodies if isinstance(body, dict)]


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    receiver.hanging.set()

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.hanging.wait(30)
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if receiver.status < 300:
                receiver.bodies.append(json.loads(body))
                receiver.kinds.append(self.headers["Content-Type"])
            self.send_response(receiver.status)
            if receiver.status == 302:
                self.send_header("Location", f"{receiver.url}/elsewhere")
            self.end_headers()

        def do_GET(self) -> None:
            receiver.bodies.append("followed a redirect")
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with closing_server(ThreadingHTTPServer(("127.0.0.1", 0), Answer)) as port:
        receiver.url = f"http://127.0.0.1:{port}/services/T0/secret-9f3c"
        yield receiver


@contextmanager
def closing_server(server: ThreadingHTTPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
