"""How a command ends: exit statuses, and errors as a person can use them."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

from rich.console import Console
from rich.markup import escape

from transforms.errors import ActivationError, ConfigurationError, CredentialError

DONE = 0
FAILED = 1
WRONG = 2
DEAD_LETTERS = 3
"""Exit statuses, as the README documents them."""


@contextlib.contextmanager
def failing_plainly(console: Console) -> Iterator[None]:
    """Tells errors in a line, and ends with the status that they call for."""
    try:
        yield
    except (ConfigurationError, CredentialError) as problem:
        console.print(f"[bold red]refused[/] {escape(str(problem))}")
        raise SystemExit(WRONG) from problem
    except ActivationError as problem:
        console.print(f"[bold red]failed[/] {escape(str(problem))}")
        raise SystemExit(FAILED) from problem
    except sqlite3.DatabaseError as problem:
        console.print(
            f"[bold red]failed[/] the ledger cannot be used: {escape(str(problem))}; if it is"
            " damaged, restore a backup of it, or keep it aside and begin another"
        )
        raise SystemExit(FAILED) from problem
