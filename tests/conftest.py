"""Counterparts that are started once for all tests."""

from tests.prism import prism
from tests.pubsub_emulator import channel, emulator

__all__ = ["channel", "emulator", "prism"]
