"""Makes the README's picture: the operator's page over what `make demo` replays.

Run by `make picture`; Chromium and chromedriver are needed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from pipeline.operator_page.server import operator_page
from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import running_sandbox
from tests.support.browser.chromium import browser
from tests.support.processes.program import ROOT
from tests.support.servers.sandbox_client import wait_for

PICTURE = ROOT / "docs" / "operator-page.png"
WIDTH = 1_100
HEIGHT = 840
"""What fits above is in the picture; below are users, dead letters, receipts."""
INPUTS = ("profiles.jsonl", "changes.jsonl", "changes.csv")


def replayed(folder: Path) -> Path:
    """Replays the examples through a ledger; returns its path."""
    examples = ROOT / "examples"
    ledger, destination = folder / "ledger.db", folder / "destination.yaml"
    options = SandboxOptions(prospects_from=examples / "prospects.jsonl")
    with running_sandbox(options) as sandbox:
        said = (examples / "destination.yaml").read_text("utf-8")
        where = f'outreach: {{base_url: "{sandbox.url}"}}\n\nusers:'
        destination.write_text(said.replace("users:", where, 1), encoding="utf-8")
        files = [str(examples / name) for name in INPUTS]
        words = ["replay", *files, "--destination", str(destination), "--ledger", str(ledger)]
        ended = subprocess.run(
            [sys.executable, "-m", "pipeline", *words],
            cwd=ROOT,
            env={**os.environ, "OUTREACH_TOKEN": "demo"},
            stdout=subprocess.DEVNULL,
            check=False,
        )
    if ended.returncode not in (0, 3):
        raise SystemExit(ended.returncode)
    return ledger


def main() -> None:
    """Writes the picture."""
    with tempfile.TemporaryDirectory(prefix="picture-") as name:
        ledger = replayed(Path(name))
        os.chdir(name)  # The page shows the path, which is to be nobody's.
        at = (ledger.name, "127.0.0.1", 0, "--port", {}, None)
        with (
            operator_page(*at) as page,
            browser(Path(name, "profile"), "--hide-scrollbars") as window,
        ):
            window.resize(WIDTH, HEIGHT)
            window.open(page.url)
            wait_for(lambda: window.text("#live") == "Live")
            wait_for(lambda: window.text("#audience-rows") != "")
            window.picture(PICTURE, height=HEIGHT)
    sys.stdout.write(f"{PICTURE}\n")


if __name__ == "__main__":
    main()
