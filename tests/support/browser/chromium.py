"""Headless Chromium by way of chromedriver, in the few verbs of WebDriver that are needed.

https://www.w3.org/TR/webdriver2/ is the protocol; a client library would bring ten
packages for these hundred lines.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_HOW_TO = "no Chromium to look with: apt-get install chromium chromium-driver"
_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


class Browser:
    """One window."""

    def __init__(self, driver_url: str, profile: Path, *flags: str) -> None:
        self._base = driver_url
        arguments = [*_FLAGS, f"--user-data-dir={profile}", *flags]
        options = {"args": arguments, "binary": shutil.which("chromium")}
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        session = self._send("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._base += f"/session/{session['sessionId']}"

    def _send(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._base + path, data, headers, method=method)  # noqa: S310 - always http
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - as above
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(json.load(error)["value"]["message"]) from None

    def open(self, url: str) -> None:
        self._send("POST", "/url", {"url": url})

    def run(self, script: str, *arguments: object) -> Any:
        """The value of a script's ``return``."""
        return self._send("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def text(self, selector: str) -> str:
        return self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def find(self, selector: str) -> str:
        found = self._send("POST", "/element", {"using": "css selector", "value": selector})
        return found[_ELEMENT]

    def click(self, selector: str) -> None:
        self._send("POST", f"/element/{self.find(selector)}/click", {})

    def type(self, selector: str, text: str) -> None:
        self._send("POST", f"/element/{self.find(selector)}/value", {"text": text})

    def press(self, *keys: str) -> None:
        """Presses keys where the focus is."""
        presses = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        device = {"type": "key", "id": "keyboard", "actions": presses}
        self._send("POST", "/actions", {"actions": [device]})

    def resize(self, width: int, height: int) -> None:
        self._send("POST", "/window/rect", {"width": width, "height": height})

    def devtools(self, command: str, **parameters: object) -> Any:
        body = {"cmd": command, "params": parameters}
        return self._send("POST", "/goog/cdp/execute", body)

    def complaints(self) -> list[str]:
        """What the console has been told since this was last asked."""
        log = self._send("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in log]

    def picture(self, path: Path, height: int | None = None) -> None:
        """Saves the page from its top down to a height; without one, to its end."""
        tall = height or self.run("return document.documentElement.scrollHeight")
        wide = self.run("return window.innerWidth")
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            width=wide, height=tall, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        path.write_bytes(base64.b64decode(self._send("GET", "/screenshot")))
        self.devtools("Emulation.clearDeviceMetricsOverride")

    def close(self) -> None:
        self._send("DELETE", "")


@contextmanager
def browser(profile: Path, *flags: str) -> Iterator[Browser]:
    """A browser for as long as the ``with`` block lasts.

    Skips the test where there is no Chromium, or fails it if REQUIRE_REAL is set.
    """
    program = shutil.which("chromedriver")
    if program is None or shutil.which("chromium") is None:
        if os.environ.get("REQUIRE_REAL"):
            pytest.fail(_HOW_TO)
        pytest.skip(_HOW_TO)
    # Its line about the port is read, and the pipe is kept until it ends.
    with subprocess.Popen(
        [program, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as driver:
        try:
            assert driver.stdout is not None
            line = next(line for line in driver.stdout if "started successfully on port" in line)
            port = int(line.rstrip(".\n").rpartition(" ")[2])
            window = Browser(f"http://127.0.0.1:{port}", profile, *flags)
            try:
                yield window
            finally:
                window.close()
        finally:
            driver.terminate()
