"""What `validate --live` says of a server that is absent, another's, busy or away."""

from __future__ import annotations

import socket
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from tests.pipeline.preflight.validating import OPS, Validate, outreach, user
from tests.support.servers.sandbox_client import ask

pytestmark = pytest.mark.real


def test_an_outreach_that_is_not_there_ends_with_2(validate: Validate) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
    validate.write(url, users=[user("ops"), user("ann")])
    said = validate("--live")
    assert said.status == 2
    (error,) = said.texts("errors")
    assert error.startswith("outreach.base_url: Outreach cannot be asked: no connection to")


class WebSite(BaseHTTPRequestHandler):
    """Some other server."""

    protocol_version = "HTTP/1.1"
    status, body = 200, b"<!doctype html><title>Welcome</title>"

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("status", [200, 404])
def test_a_web_site_is_not_taken_for_outreach(validate: Validate, status: int) -> None:
    handler = type("Site", (WebSite,), {"status": status})
    with HTTPServer(("127.0.0.1", 0), handler) as site:
        thread = Thread(target=site.serve_forever, args=[0.01])
        thread.start()
        try:
            validate.write(f"http://127.0.0.1:{site.server_port}")
            said = validate("--live")
        finally:
            site.shutdown()
            thread.join()
    assert said.status == 2
    (error,) = said.texts("errors")
    assert error.startswith(f"outreach.base_url: does not answer as Outreach's API does ({status}")


def test_a_spent_budget_is_a_warning_and_is_not_asked_further(validate: Validate) -> None:
    with outreach(limit=1, violations=["over_limit"]) as sandbox:
        validate.write(sandbox.url)
        ask(sandbox, "GET", "/api/v2/types", token=OPS)
        said = validate("--live")
        assert len(sandbox.requests()) == 2
    assert said.status == 0
    texts = said.texts("warnings")
    assert "users[0]: Outreach does not answer now (Rate Limit Exceeded: " in texts[0]
    assert texts[1] == "users[0].budget.requests: is 10,000, and Outreach allows this user 1"
    assert said.found["live"]["users"][0]["remaining"] == 0


def test_maintenance_is_a_warning(validate: Validate) -> None:
    with outreach() as sandbox:
        validate.write(sandbox.url)
        sandbox.maintain(60)
        said = validate("--live")
    assert said.status == 0
    assert "Outreach does not answer now" in said.texts("warnings")[0]
