"""Outputs and inputs by name: which are files, topics or subscriptions, and can they be used."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from transforms.errors import ConfigurationError

_SUBSCRIPTION = re.compile(r"projects/[^/]+/subscriptions/[^/]+")
_REMOTE = re.compile(r"^[a-z][a-z0-9+.-]*://")

OutputKind = Literal["receipts", "dead letters", "summary", "report", "directory"]
_FIRST_KEYS: dict[OutputKind, bytes] = {
    "receipts": b"change_id",
    "dead letters": b"stage",
    "summary": b"records",
}
_BEGINS = {
    **{kind: re.compile(rb'\s*\{\s*"%b"' % key) for kind, key in _FIRST_KEYS.items()},
    "report": re.compile(rb"<!doctype html>", re.IGNORECASE),
    "directory": re.compile(rb'\{"directory":'),
}
"""How a file of each kind begins."""


def is_topic(target: str) -> bool:
    """Whether an output is a Pub/Sub topic rather than a file."""
    return target.startswith("projects/")


def is_local(target: str) -> bool:
    """Whether an output is a file of this machine."""
    return not is_topic(target) and not _REMOTE.match(target)


def check_subscription(name: str) -> None:
    """Returns where a name may be that of a Pub/Sub subscription.

    Raises:
      ConfigurationError: it cannot be.
    """
    if not _SUBSCRIPTION.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} is no subscription; name it as projects/PROJECT/subscriptions/NAME"
        )


def prepare(target: str, kind: OutputKind, *, aside: bool = True) -> str | None:
    """Makes way for an output file; returns where an earlier one was put, if there was one.

    Args:
      target: path or topic of the output.
      kind: what is to be written there.
      aside: whether an earlier file is put aside, rather than written on.

    Raises:
      ConfigurationError: the file holds something else than earlier output of that kind, or
        cannot be written.
    """
    if not is_local(target):
        return None
    path = Path(target)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file() and path.stat().st_size > 0:
            _check_kind(path, kind)
            if aside:
                return str(put_aside(path))
        with path.open("ab"):
            pass
    except OSError as problem:
        raise ConfigurationError(
            f"{target} cannot be written: {problem.strerror}; name a file that can"
        ) from problem
    return None


def check_output(target: str, kind: OutputKind) -> None:
    """Returns where a file may be written: it is new, empty, or earlier output of that kind.

    Raises:
      ConfigurationError: it holds something else.
    """
    path = Path(target)
    if is_local(target) and path.is_file() and path.stat().st_size > 0:
        _check_kind(path, kind)


def put_aside(path: Path) -> Path:
    """Renames a file to the next free of ``NAME.1``, ``NAME.2`` …; returns the new path.

    The highest number is the newest. No file is replaced, whoever else does the same meanwhile.

    Raises:
      OSError: the file cannot be renamed.
    """
    number = max((_number(each) for each in earlier_files(path)), default=0)
    while True:
        number += 1
        earlier = path.with_name(f"{path.name}.{number}")
        try:
            # Unlike a rename, a link fails where there is a file of that name.
            os.link(path, earlier)
        except FileExistsError:
            continue
        except OSError:  # A filesystem without links.
            if earlier.exists():
                continue
            return path.rename(earlier)
        path.unlink()
        return earlier


def earlier_files(path: Path) -> list[Path]:
    """The files that were put aside for one of this name, oldest first."""
    if not path.parent.is_dir():
        return []
    found = [each for each in path.parent.iterdir() if each.stem == path.name and _number(each)]
    return sorted(found, key=_number)


def _number(path: Path) -> int:
    ending = path.suffix[1:]
    return int(ending) if ending.isascii() and ending.isdigit() else 0


def _check_kind(path: Path, kind: OutputKind) -> None:
    with path.open("rb") as file:
        beginning = file.read(256)
    if not _BEGINS[kind].match(beginning):
        raise ConfigurationError(
            f"{path} exists and holds no {kind}; it is left alone: name another file, or move"
            " that one away"
        )
