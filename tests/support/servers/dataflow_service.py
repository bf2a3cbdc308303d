"""A server that takes jobs as Dataflow's API does, and keeps what it was sent.

DataflowRunner speaks to it over HTTP (``--dataflow_endpoint``) and stages into a local folder, so
all that the runner checks before it submits a job is checked, without an account. What Dataflow
itself checks after that is not.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PROJECT = "my-project"
REGION = "europe-west1"
JOB_ID = "2026-01-02_03_04_05-1"
JOBS = f"/v1b3/projects/{PROJECT}/locations/{REGION}/jobs"


class Service:
    """What was asked of it.

    Attributes:
      jobs: those that were to be created, as they came.
      asked: every request, as method and path.
      running: the name of a job that runs, with the id `JOB_ID`.
      taken: whether a job of that name runs already, and is given in place of a new one.
      refusing: status and message of its answers, if it refuses everything.
      port: where it listens, on this machine.
    """

    def __init__(self) -> None:
        self.jobs: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.running: str | None = None
        self.taken = False
        self.refusing: tuple[int, str] | None = None
        self.port = 0

    def flags(self, staging: Path) -> list[str]:
        """What sends a job here, with Dataflow's own flags, and stages into a folder."""
        return [
            "--runner=DataflowRunner",
            f"--project={PROJECT}",
            f"--region={REGION}",
            "--job_name=activation",
            f"--temp_location={staging}",
            f"--staging_location={staging}",
            "--sdk_container_image=europe-docker.pkg.dev/my-project/images/activation:1",
            f"--dataflow_endpoint=http://localhost:{self.port}",
            "--no_auth",
        ]

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """The status and the JSON of an answer."""
        path = path.partition("?")[0]
        self.asked.append(f"{method} {path}")
        if self.refusing is not None:
            status, message = self.refusing
            return status, {"error": {"code": status, "message": message}}
        if (method, path) == ("POST", JOBS):
            job = json.loads(body)
            self.jobs.append(job)
            return 200, {
                "id": JOB_ID,
                "projectId": PROJECT,
                "name": job["name"],
                "clientRequestId": "another" if self.taken else job["clientRequestId"],
            }
        if (method, path) == ("GET", JOBS):
            state = {"id": JOB_ID, "name": self.running, "currentState": "JOB_STATE_RUNNING"}
            return 200, {"jobs": [] if self.running is None else [state]}
        return 404, {"error": {"code": 404, "message": "nothing there", "status": "NOT_FOUND"}}


@contextmanager
def dataflow_service() -> Iterator[Service]:
    """Serves on a free port of this machine."""
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, said = service.answer(self.command, self.path, body)
            content = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = _answer  # noqa: N815 - the names that are looked for

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
