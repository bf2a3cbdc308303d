"""Killing the program in the middle of its work."""

from __future__ import annotations

import subprocess
from pathlib import Path

from pipeline.sandbox import Sandbox
from tests.support.processes.program import command, environment
from tests.support.servers.sandbox_client import wait_for


def killed_after(requests: int, sandbox: Sandbox, folder: Path, *words: str) -> bool:
    """Starts the program, and kills it once it has made some more requests.

    Args:
      requests: how many.
      sandbox: that they go to.
      folder: in which the program is started.
      words: of its command line.

    Returns:
      False where it came to its end before.
    """
    target = len(sandbox.requests()) + requests
    with subprocess.Popen(
        command(*words),
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            wait_for(
                lambda: process.poll() is not None or len(sandbox.requests()) >= target,
                60,
                every=0.002,
            )
            return process.poll() is None
        finally:
            process.kill()  # Does nothing to one that has ended.
