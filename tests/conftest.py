"""Counterparts that are started once for all tests."""

from tests.support.prism import prism
from tests.support.pubsub_emulator import channel, emulator

__all__ = ["channel", "emulator", "prism"]
