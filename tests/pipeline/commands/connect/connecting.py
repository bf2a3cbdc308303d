"""A running `connect`, and a person who decides in a browser of a few lines."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from pipeline.sandbox import SandboxOptions
from tests.support.processes.program import command, environment
from tests.support.servers.sandbox_client import Reply, ask

SECRET = "s3cr3t-of-the-application"
SECRET_ENV = "OUTREACH_CLIENT_SECRET"
HOSTED = "https://tools.example.com/outreach/back"
OPTIONS = SandboxOptions(prospects=1, tokens={"unused": "other"}, clients={"app": SECRET})


def write_destination(folder: Path, url: str, **oauth: str) -> Path:
    auth = {
        "type": "oauth",
        "client_id": "app",
        "client_secret_env": SECRET_ENV,
        "token_store": "ops-token.json",
        **oauth,
    }
    content = {
        "name": "test",
        "outreach": {"base_url": url},
        "users": [
            {"name": "ops", "auth": auth},
            {"name": "trial", "auth": {"type": "bearer", "token_env": "TRIAL_TOKEN"}},
        ],
        "audiences": [{"segment": "aaaa-1111", "mapping_id": 4}],
    }
    path = folder / "destination.yaml"
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return path


def variables(**more: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in environment().items()
        if name not in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    }
    return {**kept, SECRET_ENV: SECRET, **more}


class Connecting:
    """A running `connect`, whose standard error is read up to the address it prints."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said = ""

    def address(self) -> str:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line
            if "/oauth/authorize?" in line:
                return line.strip()
        raise AssertionError(self.said)

    def paste(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def end(self) -> tuple[int, str]:
        out, err = self.process.communicate(timeout=30)
        assert out == ""
        return self.process.returncode, self.said + err


@contextmanager
def connecting(
    folder: Path, *flags: str, environ: Mapping[str, str] | None = None
) -> Iterator[Connecting]:
    arguments = ["connect", "--destination=destination.yaml", "--user=ops", *flags]
    with subprocess.Popen(
        command(*arguments),
        cwd=folder,
        env=dict(environ or variables()),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Connecting(process)
        finally:
            process.kill()


def decide(address: str, decision: str = "allow", user: str = "ops") -> str:
    """Where the person is sent who decides on the page at an address."""
    parts = urlsplit(address)
    url = f"http://{parts.netloc}"
    page = ask(url, "GET", f"{parts.path}?{parts.query}", token=None)
    assert page.status == 200, page.body
    form = urlencode({"user": user, "decision": decision}).encode()
    answer = ask(
        url,
        "POST",
        f"{parts.path}?{parts.query}",
        form,
        token=None,
        content_type="application/x-www-form-urlencoded",
    )
    assert answer.status == 302, answer.body
    return answer.headers["Location"]


def go(address: str) -> Reply:
    parts = urlsplit(address)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return ask(f"http://{parts.netloc}", "GET", path, token=None)


def changed(address: str, **query: str | None) -> str:
    parts = urlsplit(address)
    merged = {**dict(parse_qsl(parts.query)), **query}
    kept = {name: value for name, value in merged.items() if value is not None}
    return parts._replace(query=urlencode(kept)).geturl()


def stored(folder: Path) -> Any:
    return json.loads((folder / "ops-token.json").read_bytes())
