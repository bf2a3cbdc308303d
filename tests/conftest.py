"""Counterparts that are started once for all tests."""

from tests.pubsub_emulator import channel, emulator

__all__ = ["channel", "emulator"]
