"""Whether Pub/Sub and Outreach are there, and telling people once where they are not."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

import grpc

_log = logging.getLogger(__name__)

AWAY_SECONDS = 5.0
"""How long a lost connection is not logged: connections are renewed all the time."""


class Connectivity:
    """Is told how a channel stands, on any thread, and asked whether people are to know.

    Args:
      what: is reached by the channel, for people.
      clock: seconds since the epoch.
      there: is called when it can be reached again.
    """

    def __init__(
        self, what: str, clock: Callable[[], float], there: Callable[[], None] = lambda: None
    ) -> None:
        self._what = what
        self._clock = clock
        self._there = there
        self._lock = threading.Lock()
        self._away_since: float | None = None
        self._is_told = False

    def watch(self, channel: grpc.Channel) -> None:
        """Is told of this channel from now on."""
        channel.subscribe(self.turned)

    def turned(self, connectivity: grpc.ChannelConnectivity) -> None:
        """The channel stands so now."""
        with self._lock:
            was_away = self._away_since is not None
            if connectivity is grpc.ChannelConnectivity.READY:
                self._away_since = None
            elif connectivity is grpc.ChannelConnectivity.TRANSIENT_FAILURE and not was_away:
                self._away_since = self._clock()
        if was_away and not self.is_away:
            self._there()

    @property
    def is_away(self) -> bool:
        """Whether it could not be reached when that was last tried."""
        with self._lock:
            return self._away_since is not None

    def look(self) -> None:
        """Tells people what is new: once that it is away, and once that it is there again."""
        with self._lock:
            since = self._away_since
        is_long = since is not None and self._clock() - since >= AWAY_SECONDS
        if is_long and not self._is_told:
            _log.warning("%s cannot be reached; trying again", self._what)
            self._is_told = True
        elif since is None and self._is_told:
            _log.warning("%s can be reached again", self._what)
            self._is_told = False


class Troubles:
    """Tells people which users' requests all meet trouble, once each and once it is over."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def look(self, troubles: Mapping[str, str]) -> None:
        """By user, what the requests meet of those whose requests all meet some."""
        for user in troubles.keys() - self._told:
            _log.warning("user %s: Outreach is in trouble: %s; trying again", user, troubles[user])
        for user in self._told - troubles.keys():
            _log.warning("user %s: Outreach answers again", user)
        self._told = set(troubles)
