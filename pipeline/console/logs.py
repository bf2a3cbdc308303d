"""Logging of the command line: ours to standard error, and of Beam's only what helps."""

from __future__ import annotations

import logging

from rich.console import Console
from rich.logging import RichHandler


def configure(console: Console, *, verbose: bool = False) -> None:
    """Sets up logging; to be called before Beam is imported, which logs as it is.

    Args:
      console: of standard error, so that a progress bar and the log do not mix.
      verbose: Beam's own log too.
    """
    handler: logging.Handler
    if console.is_terminal:
        handler = RichHandler(console=console, show_path=False, show_time=True, markup=False)
        form = "%(message)s"
    else:
        # A line each, however long: for a journal, for grep, to copy a command from.
        handler = logging.StreamHandler(console.file)
        form = "%(asctime)s %(levelname)s %(message)s"
    logging.basicConfig(level=logging.WARNING, format=form, handlers=[handler], force=True)
    if not verbose:
        # It warns of optional packages that are missing, which nobody here asked for.
        logging.getLogger("apache_beam").setLevel(logging.ERROR)
        handler.addFilter(_helps)


def _helps(record: logging.LogRecord) -> bool:
    # Prism's own lines are given their name and level only after Beam has let them pass.
    is_chatter = record.name == "PrismRunner" and record.levelno < logging.ERROR
    return not is_chatter and "apitools not found" not in str(record.msg)
