"""Where an always-on job's changes come from: a subscription, the door, or both."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from rich.console import Console
from rich.markup import escape

from pipeline.destination.file import Destination
from pipeline.door.group_commit import GroupCommit
from pipeline.door.refusals import Refusals
from pipeline.door.server import DoorOptions, opened
from pipeline.engine.pubsub_ingest import Subscription


class Inlets:
    """Everything that puts messages into the inbox.

    Args:
      destination: with its sources.
      subscription: to pull from; None for none.
      door: to open; None for none.
      ledger: its path.
      arrived: is called, on any thread, when something has.
      clock: seconds since the epoch.
      acknowledges: whether messages are acknowledged once they are in the ledger.

    Attributes:
      refusals: what the door refused; None where there is none.
    """

    def __init__(
        self,
        destination: Destination,
        subscription: str | None,
        door: DoorOptions | None,
        ledger: str,
        arrived: Callable[[], None],
        clock: Callable[[], float],
        *,
        acknowledges: bool = True,
    ) -> None:
        self._destination = destination
        self._name = subscription
        self._options = door
        self._clock = clock
        self._subscription = (
            None
            if subscription is None
            else Subscription(subscription, ledger, arrived, acknowledges=acknowledges)
        )
        self._commit = (
            None if door is None else GroupCommit(ledger, arrived, clock, door.inbox_limit)
        )
        self.refusals = None if door is None else Refusals(clock())
        self._door = ExitStack()

    def open(self, stack: ExitStack, console: Console) -> None:
        """Lets changes in.

        Args:
          stack: closes what is left open.
          console: prints where.

        Raises:
          ConfigurationError: the subscription cannot be pulled from, or nothing can listen there.
        """
        stack.enter_context(self._door)
        if self._options is not None and self._commit is not None:
            self._commit.open()
            self._door.callback(self._commit.close)
            where = opened(
                self._destination,
                self._options,
                self._commit,
                self._clock,
                refusals=self.refusals,
            )
            url = self._door.enter_context(where)
            names = ", ".join(source.name for source in self._destination.sources)
            console.print(escape(f"listening at {url}/changes/ for {names}; Ctrl-C stops"))
        if self._subscription is not None:
            self._subscription.open()
            console.print(f"pulling from {escape(str(self._name))}; Ctrl-C stops")

    @property
    def failure(self) -> BaseException | None:
        """Why pulling ended by itself; None while it goes on."""
        return None if self._subscription is None else self._subscription.failure

    def check(self) -> None:
        """Returns while all is well.

        Raises:
          ConfigurationError: as of `pipeline.engine.pubsub_ingest.Subscription.check`.
          ActivationError: as of that.
        """
        if self._subscription is not None:
            self._subscription.check()

    def close(self) -> None:
        """Lets nothing in any more; what was answered is in the ledger."""
        self._door.close()
        if self._subscription is not None:
            self._subscription.close()
