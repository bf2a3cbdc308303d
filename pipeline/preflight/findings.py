"""What a check has found: errors, warnings and notes, each about a key of the destination file."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.destination.file import Destination
from pipeline.destination.yaml_reader import Path, Problem


@dataclass(slots=True)
class Findings:
    """What there is to say about a destination file, besides what is fine.

    Attributes:
      destination: the file.
      errors: delivery would fail.
      warnings: what may well be meant so.
      notes: what could not be told.
    """

    destination: Destination
    errors: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)

    def error(self, text: str, *path: str | int) -> None:
        """Delivery would fail, because of what stands at `path`."""
        self._add(self.errors, text, path)

    def warn(self, text: str, *path: str | int) -> None:
        """Warns that the value at `path` may be a mistake."""
        self._add(self.warnings, text, path)

    def note(self, text: str, *path: str | int) -> None:
        """Something about `path` could not be told."""
        self._add(self.notes, text, path)

    def _add(self, kind: list[Problem], text: str, path: Path) -> None:
        problem = Problem(self.destination.line(*path), path, text)
        if problem not in kind:
            kind.append(problem)
