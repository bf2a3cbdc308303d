"""Outputs and inputs by name: which are files, topics or subscriptions, and can they be used."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from transforms.errors import ConfigurationError

_SUBSCRIPTION = re.compile(r"projects/[^/]+/subscriptions/[^/]+")


_REMOTE = re.compile(r"^[a-z][a-z0-9+.-]*://")


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


def prepare(target: str, inputs: Sequence[str], *, aside: bool = True) -> str | None:
    """Makes way for an output file; returns where an earlier one was put, if there was one.

    Args:
      target: the output.
      inputs: files that are read.
      aside: whether an earlier file is put aside, rather than written on.

    Raises:
      ConfigurationError: the target is also an input, or cannot be written.
    """
    if not is_local(target):
        return None
    path = Path(target)
    if any(Path(name).exists() and path.exists() and path.samefile(name) for name in inputs):
        raise ConfigurationError(f"{target} is both read and written; write to another file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if aside and path.is_file() and path.stat().st_size > 0:
            earlier = path.with_name(path.name + ".previous")
            path.replace(earlier)
            return str(earlier)
        with path.open("ab"):
            pass
    except OSError as problem:
        raise ConfigurationError(
            f"{target} cannot be written: {problem.strerror}; name a file that can"
        ) from problem
    return None
