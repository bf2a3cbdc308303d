"""What a local run shows while it works, and how it is asked to stop.

The stages run in this process, on threads of Beam's; they tell their standing to the one
board that a process has, through `watch`, which travels to them by name.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from transforms.clock import steady
from transforms.outreach.delivery import UserProgress

PLAIN_EVERY_SECONDS = 15.0
"""How often a line is printed where standard error is no terminal."""


class Board:
    """The latest standings of this process's senders, and whether they are to drain.

    Attributes:
      beyond: prospects that wait for later senders, by user; told by a loop over a ledger.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._standings: Sequence[UserProgress] = ()
        self._ended = 0
        self._drain = False
        self.beyond: Mapping[str, int] = {}

    def tell(self, standings: Sequence[UserProgress]) -> bool:
        """Takes the newest standings; returns whether to drain."""
        with self._lock:
            self._standings = standings
            return self._drain

    def rest(self, standings: Sequence[UserProgress]) -> None:
        """No sender is at work; the standings say what is waited for."""
        with self._lock:
            self._ended += sum(standing.ended for standing in self._standings)
            self._standings = standings
            self.beyond = {}

    def begin(self, beyond: Mapping[str, int]) -> None:
        """Other senders begin; what the last ones ended is added up."""
        with self._lock:
            self._ended += sum(standing.ended for standing in self._standings)
            self._standings = ()
            self.beyond = beyond

    def drain(self) -> None:
        """Asks the senders to finish what is in flight and to leave the rest."""
        self._drain = True

    @property
    def draining(self) -> bool:
        """Whether `drain` was called."""
        return self._drain

    @property
    def problems(self) -> list[str]:
        """Why users were paused, and what mends it."""
        with self._lock:
            return [str(one.paused) for one in self._standings if one.paused is not None]

    @property
    def prospects(self) -> tuple[int, int]:
        """How many prospects are done, and how many there are."""
        with self._lock:
            done = self._ended + sum(standing.ended for standing in self._standings)
            left = sum(standing.waiting + standing.in_flight for standing in self._standings)
            return done, done + left + sum(self.beyond.values())

    def describe(self) -> str:
        """What is under way or waited for, in a line."""
        with self._lock:
            standings = self._standings
        if not standings:
            return "reading and merging"
        several = len(standings) > 1
        return " · ".join(_describe(standing, several) for standing in standings)


def _describe(standing: UserProgress, several: bool) -> str:
    name = f"{standing.user}: " if several else ""
    if standing.waits_for == "budget":
        state = (
            f"budget: {standing.available:,} of {standing.allowance:,} left,"
            f" next at {_clock_time(standing.resumes_at)}"
        )
    elif standing.waits_for:
        state = _describe_trouble(standing)
    else:
        state = f"budget: {standing.available:,} of {standing.allowance:,} left"
    retried = f", {standing.troubled:,} to be retried" if standing.troubled else ""
    return f"{name}{state}{retried}"


def _describe_trouble(standing: UserProgress) -> str:
    since = gives_up = ""
    if standing.troubled_since is not None:
        since = f" since {_clock_time(standing.troubled_since)}"
    if standing.gives_up_at is not None:
        gives_up = f"; gives up {_clock_time(standing.gives_up_at)}"
    again = f"; again at {_clock_time(standing.resumes_at)}"
    return f"{standing.waits_for}{since}{again}{gives_up}"


def _clock_time(at: float | None) -> str:
    if at is None:
        return "once answered"
    style = "%H:%M:%S" if abs(at - steady()) < 120 else "%H:%M"  # noqa: PLR2004
    if abs(at - steady()) > 12 * 3600:
        style = "%Y-%m-%d %H:%M"
    return dt.datetime.fromtimestamp(at).astimezone().strftime(style)


board = Board()
"""The process's board; a run takes a new one with `fresh_board`."""


def fresh_board() -> Board:
    """Makes a new board the process's."""
    global board  # noqa: PLW0603 - one a process, as the workers' threads find it by name
    board = Board()
    return board


def watch(standings: Sequence[UserProgress]) -> bool:
    """Tells the process's board; picklable by name, for `PatchProspects`."""
    return board.tell(standings)


def rest(standings: Sequence[UserProgress]) -> None:
    """Tells the process's board what is waited for, with no sender at work."""
    board.rest(standings)


def announce(beyond: Mapping[str, int]) -> None:
    """Tells the process's board that other senders begin, and what waits beyond them."""
    board.begin(beyond)


@contextmanager
def shown(console: Console, current: Board) -> Iterator[None]:
    """Shows a board until the block ends: a bar on a terminal, else a line now and then."""
    ended = threading.Event()
    if console.is_terminal:
        bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}", markup=False),
            console=console,
            transient=True,
        )
        task = bar.add_task("prospects", total=None, state="")

        def show() -> None:
            with bar:
                while not ended.wait(0.2):
                    done, total = current.prospects
                    bar.update(task, completed=done, total=total or None, state=current.describe())
    else:

        def show() -> None:
            while not ended.wait(PLAIN_EVERY_SECONDS):
                done, total = current.prospects
                console.print(f"{done:,} of {total:,} prospects; {escape(current.describe())}")

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
