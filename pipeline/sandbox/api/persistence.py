"""Prospects and accounts in a file of JSON Lines: to start from, and to outlive a process.

One line an alteration, ``{"type": "prospect", "id": 4, "attributes": {"custom4":
"realized"}, "at": 1800000000.0}``; attributes of null say that the record is gone.
``type`` and ``at`` may be left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from io import FileIO
from pathlib import Path

import orjson
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, model_validator

from pipeline.sandbox.api.records import LINKED, Collection
from pipeline.sandbox.fields import FIELDS, ResourceKind
from transforms.errors import ConfigurationError


class SavedState(BaseModel):
    """One line of the file."""

    model_config = ConfigDict(strict=True, extra="forbid")

    type: ResourceKind = "prospect"
    id: PositiveInt
    attributes: dict[str, object] | None = Field(default_factory=dict)
    at: float | None = None

    @model_validator(mode="after")
    def _has_known_attributes(self) -> SavedState:
        unknown = (self.attributes or {}).keys() - FIELDS[self.type].keys() - {LINKED}
        if unknown:
            raise ValueError(f"{min(unknown)!r} is not an attribute of {self.type}")
        return self


def read_records(path: Path, *, torn_end: bool = False) -> Iterator[SavedState]:
    """Reads a file line by line.

    Args:
      path: the file.
      torn_end: whether to pass over a last line that a killed process left unfinished.

    Raises:
      ConfigurationError: a line is none of that; the text names file and line.
    """
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip() or (torn_end and not line.endswith(b"\n")):
                continue
            try:
                yield SavedState.model_validate_json(line)
            except ValidationError as problem:
                first = problem.errors()[0]
                raise ConfigurationError(
                    f"{path}:{number}: {'.'.join(map(str, first['loc']))}: {first['msg']}; a line "
                    'is such as {"id": 1, "attributes": {"custom4": "realized"}}'
                ) from None


def restore(
    kept: Iterator[SavedState], collections: Mapping[ResourceKind, Collection], now: float
) -> None:
    """Puts what a file says into the collections."""
    for each in kept:
        records, at = collections[each.type], now if each.at is None else each.at
        if each.attributes is not None:
            records.add(each.id, each.attributes, at)
        elif each.id in records:
            records.remove(each.id, at)


class StateSaver:
    """Writes each alteration to a file, and reads the file back at the next start.

    A process that is killed loses nothing that was answered; the file is rewritten
    without its history at each start.
    """

    def __init__(self, path: Path, collections: Mapping[ResourceKind, Collection]) -> None:
        self._path = path
        self._collections = collections
        self._file: FileIO | None = None

    def open(self, now: float) -> bool:
        """Reads what is there and starts keeping; True if the file was there.

        Raises:
          ConfigurationError: the file holds something else.
          OSError: it cannot be read or written.
        """
        known = self._path.exists()
        if known:
            restore(read_records(self._path, torn_end=True), self._collections, now)
        self._rewrite()
        self._file = FileIO(self._path, "ab")
        for records in self._collections.values():
            records.keep = self._write
        return known

    def close(self) -> None:
        """Stops keeping."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _rewrite(self) -> None:
        fresh = self._path.with_name(f"{self._path.name}.new")
        with fresh.open("wb") as file:
            for kind, records in self._collections.items():
                for record_id, record in records.items():
                    file.write(_line(kind, record_id, record.attributes, record.updated_at))
        fresh.replace(self._path)

    def _write(
        self, kind: ResourceKind, record_id: int, attributes: Mapping[str, object] | None, at: float
    ) -> None:
        if self._file is not None:
            self._file.write(_line(kind, record_id, attributes, at))


def _line(
    kind: ResourceKind, record_id: int, attributes: Mapping[str, object] | None, at: float
) -> bytes:
    line = {"type": kind, "id": record_id, "attributes": attributes, "at": at}
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
