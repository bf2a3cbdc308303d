"""Serves `/metrics` and `/healthz`, beside the loop."""

from __future__ import annotations

import logging
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder

from pipeline.monitoring.health import Health
from pipeline.monitoring.metrics import LedgerCollector
from transforms.errors import ActivationError, ConfigurationError

_log = logging.getLogger(__name__)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(
        self, address: tuple[str, int], registry: CollectorRegistry, health: Health
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.registry = registry
        self.health = health
        super().__init__(address, _Answer)


class _Answer(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10.0

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/metrics":
                self._answer_metrics()
            case "/healthz":
                trouble = self.server.health.trouble()
                status = HTTPStatus.OK if trouble is None else HTTPStatus.SERVICE_UNAVAILABLE
                self._answer(status, "text/plain; charset=utf-8", f"{trouble or 'ok'}\n".encode())
            case _:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"/metrics and /healthz\n")

    def _answer_metrics(self) -> None:
        encode, kind = choose_encoder(self.headers.get("Accept", ""))
        try:
            self._answer(HTTPStatus.OK, kind, encode(self.server.registry))
        except (sqlite3.Error, ActivationError, OSError) as problem:
            _log.warning("the metrics cannot be read from the ledger: %s", problem)
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", b"see the log\n")

    def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Says nothing: it is asked every few seconds."""


@contextmanager
def serving(host: str, port: int, ledger: str, health: Health) -> Iterator[str]:
    """Serves until the block ends; yields the address, such as ``http://127.0.0.1:9090``.

    Raises:
      ConfigurationError: the address cannot be listened on.
    """
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    registry.register(LedgerCollector(ledger, health))
    try:
        server = _Server((host, port), registry, health)
    except OSError as problem:
        raise ConfigurationError(
            f"--metrics_port: cannot listen on {host} port {port}: {problem.strerror}"
        ) from problem
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        name = f"[{host}]" if ":" in host else host
        yield f"http://{name}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
