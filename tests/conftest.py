"""Counterparts that are started once for all tests, and what a test without a mark may not do."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.beam.prism import prism
from tests.support.servers.pubsub_emulator import channel, emulator

__all__ = ["channel", "emulator", "prism"]

# Started in the background of a script, we inherit that Ctrl-C is ignored, and so would every
# process that a test starts; a handler of our own is undone when they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

_STARTS = {"subprocess.Popen", "os.posix_spawn", "os.fork", "socket.bind"}
_quick: list[str] = []
"""The test that runs, if it has no mark `real`."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Notes whether the test that begins may start processes and servers."""
    if item.get_closest_marker("real") is None:
        _quick.append(item.nodeid)
    try:
        return (yield)
    finally:
        _quick.clear()


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if _quick and event in _STARTS and arguments[:1] != ("git",):
        raise RuntimeError(
            f"{_quick[0]} starts a process or a server ({event}); give it the mark: real"
        )


sys.addaudithook(_refuse)
