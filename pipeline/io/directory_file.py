"""The directory as a file, for runners without a ledger: what `pull --output` writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import apache_beam as beam
import orjson
from apache_beam.pvalue import PBegin, PCollection

from pipeline.io.files import open_file
from transforms.coders import register
from transforms.directory import DirectoryEntry, entry_line, read_entry
from transforms.errors import ActivationError, ConfigurationError
from transforms.times import format_time, parse_time

register(DirectoryEntry)

_HEAD: Final = b'{"directory":'
_REMEDY: Final = "write it with: outreach-activation pull --output FILE"


class DirectoryHead(NamedTuple):
    """The first line of a directory's file.

    Attributes:
      fields: the fields that were read of each prospect.
      hashed: whether addresses are digests.
      as_of: when it was read, in microseconds since the epoch.
    """

    fields: Sequence[str]
    hashed: bool
    as_of: int


def read_head(path: str) -> DirectoryHead:
    """The first line of a file.

    Raises:
      ConfigurationError: it cannot be read, or is no directory.
    """
    with ExitStack() as stack:
        try:
            head = orjson.loads(next(iter(open_file(path, stack)), b""))["directory"]
            return DirectoryHead(
                tuple(map(str, head["fields"])), bool(head["hashed"]), parse_time(head["as_of"])
            )
        except (KeyError, TypeError, ValueError):
            raise ConfigurationError(f"--directory {path} is no directory; {_REMEDY}") from None
        except Exception as problem:  # each filesystem has exceptions of its own
            raise ConfigurationError(
                f"--directory {path} cannot be read ({problem}); {_REMEDY}"
            ) from problem


def read_entries(path: str) -> Iterator[DirectoryEntry]:
    """The entries of a file, of any filesystem that Beam knows, compressed or not.

    Raises:
      ConfigurationError: it cannot be read, or a line of it is no entry; names the line.
    """
    with ExitStack() as stack:
        try:
            for number, line in enumerate(open_file(path, stack), 1):
                if line.strip() and (number > 1 or not line.startswith(_HEAD)):
                    yield _entry(line, path, number)
        except ActivationError:
            raise
        except Exception as problem:  # each filesystem has exceptions of its own
            raise ConfigurationError(
                f"--directory {path} cannot be read ({problem}); {_REMEDY}"
            ) from problem


def write_entries(path: str, head: DirectoryHead, entries: Iterable[DirectoryEntry]) -> int:
    """Writes entries to a file, one a line below its head; returns how many.

    Raises:
      OSError: it cannot be written.
    """
    written = 0
    about = {**head._asdict(), "as_of": format_time(head.as_of)}
    with Path(path).open("wb") as file:
        file.write(orjson.dumps({"directory": about}, option=orjson.OPT_APPEND_NEWLINE))
        for entry in entries:
            file.write(entry_line(entry) + b"\n")
            written += 1
    return written


def _entry(line: bytes, path: str, number: int) -> DirectoryEntry:
    try:
        return read_entry(line)
    except ValueError as error:
        raise ConfigurationError(f"{path}:{number}: {error}; {_REMEDY}") from None


@dataclass
class ReadDirectory(beam.PTransform):
    """The entries of a file, to be a side input.

    Attributes:
      path: of the file.
    """

    path: str

    def expand(self, begin: PBegin) -> PCollection[DirectoryEntry]:
        """PBegin to PCollection[DirectoryEntry]."""
        return (
            begin
            | "Path" >> beam.Create([self.path])
            | "Entries" >> beam.FlatMap(read_entries).with_output_types(DirectoryEntry)
        )
