"""The paths of a command line, compared with one another before any of them is opened.

An output that is also the ledger, the destination file or an input would destroy what the job
lives on. Paths are compared as the filesystem resolves them: through links and ``./``, and without
regard to case where the filesystem has none.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from glob import glob
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from pipeline.io.targets import is_local
from transforms.errors import ConfigurationError

_BESIDE_A_LEDGER = ("-wal", "-shm", ".lock")
"""What SQLite and this program put beside a ledger."""


class NamedPath(NamedTuple):
    """A path and where it was named.

    Attributes:
      name: for people, such as ``--receipts``.
      path: as it was written.
      is_input: read and never written; two inputs may be one file.
    """

    name: str
    path: str
    is_input: bool = False


def check_paths(
    *,
    inputs: Sequence[str] = (),
    destination: str | None = None,
    ledger: str | None = None,
    outputs: Iterable[tuple[str, str | None]] = (),
    secrets: Iterable[str] = (),
) -> None:
    """Returns where each path of a command line stands for a file of its own.

    Args:
      inputs: paths and globs that are read; ``-`` is standard input.
      destination: the destination file.
      ledger: the ledger; the files beside it are compared as well.
      outputs: flags and what they name; None where one was not given.
      secrets: files that hold tokens and keys, as the destination names them.

    Raises:
      ConfigurationError: two are one file. Topics and remote files are not compared.
    """
    named = [NamedPath("FILE", path, is_input=True) for path in _matched(inputs)]
    if destination is not None:
        named.append(NamedPath("--destination", destination))
    if ledger is not None:
        named.append(NamedPath("--ledger", ledger))
        named += [NamedPath("--ledger", f"{ledger}{end}") for end in _BESIDE_A_LEDGER]
    named += [NamedPath("a secret of the destination file", path) for path in secrets]
    named += [NamedPath(name, path) for name, path in outputs if path is not None]
    local = [each for each in named if is_local(each.path)]
    for one, other in combinations(local, 2):
        if not (one.is_input and other.is_input) and is_same_file(one.path, other.path):
            raise ConfigurationError(
                f"{other.name} {other.path} and {one.name} {one.path} are the same file;"
                f" name another for {other.name}"
            )


def is_same_file(one: str, other: str) -> bool:
    """Whether two paths lead to one file, which need not exist yet.

    A device such as ``/dev/null`` may be named as often as one likes.
    """
    first, second = Path(os.path.realpath(one)), Path(os.path.realpath(other))
    if first.exists() and not first.is_file():
        return False
    if first == second:
        return True
    try:
        return first.samefile(second)
    except OSError:
        pass
    if str(first).casefold() != str(second).casefold():
        return False
    return _folds_case(first.parent) and _folds_case(second.parent)


def _folds_case(folder: Path) -> bool:
    """Whether a folder, or the nearest that exists above it, is found by its name in other case."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        return folder.samefile(folder.with_name(folder.name.swapcase()))
    except (OSError, ValueError):
        return False


def _matched(patterns: Sequence[str]) -> list[str]:
    found: list[str] = []
    for pattern in patterns:
        if pattern == "-" or not is_local(pattern):
            continue
        found += [pattern] if Path(pattern).exists() else glob(pattern)  # noqa: PTH207
    return found
