"""YAML with the line of every key, so that a complaint can say where to look.

YAML 1.2 as ruamel.yaml reads it: ``yes``, ``no`` and ``on`` are text. What a
destination file has no use for is a problem rather than a surprise: a key given
twice, tags, merge keys, a value that holds itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode
from ruamel.yaml.reader import ReaderError

from pipeline.destination.yaml_errors import REMEDY, explain

Path = tuple[str | int, ...]
"""The way to a value from the top of the file: keys, and places in lists from 0."""


class Problem(NamedTuple):
    """One error in a file, for a person to correct.

    Attributes:
      line: where, counted from 1.
      path: of the value that is wrong; empty for the file itself.
      text: what is wrong and what to do about it; without secrets.
    """

    line: int
    path: Path
    text: str


class Document(NamedTuple):
    """A YAML file as read.

    Attributes:
      data: dicts, lists, strings, numbers, booleans and None; None for an empty
        file and for one that is not YAML.
      lines: the line of every value in `data`: a scalar's own, else its key's.
      texts: every scalar as it was written, without its quotes.
      problems: with the YAML itself; `data` holds what could be read regardless.
    """

    data: object
    lines: Mapping[Path, int]
    texts: Mapping[Path, str]
    problems: tuple[Problem, ...] = ()

    def line(self, path: Path) -> int:
        """The line of `path`, or of the nearest thing around it that is written down."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def spell(path: Path) -> str:
    """Spells `path` as a person would: ``users[0].auth.type``."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".")


def read_yaml(text: str) -> Document:
    """Reads one YAML document. What is wrong with it is in its `problems`; raises nothing."""
    walk = _Walk()
    try:
        root = _compose(text)
        data = None if root is None else walk.value(root, ())
    except _NotYamlError as error:
        problem = Problem(error.line, (), f"not YAML: {error.problem}; {error.remedy}")
        return Document(None, {}, {}, (problem,))
    return Document(data, walk.lines, walk.texts, tuple(walk.problems))


_DEPTH: Final = 30
_VALUES: Final = 100_000
_TAG: Final = "tag:yaml.org,2002:"
_TRUE: Final = {"true", "yes", "y", "on"}
_BASES: Final = {"0x": 16, "0o": 8, "0b": 2}


class _NotYamlError(Exception):
    """The text cannot be read as YAML at all."""

    def __init__(self, line: int, problem: str, remedy: str = REMEDY) -> None:
        super().__init__(line, problem, remedy)
        self.line = line
        self.problem = problem
        self.remedy = remedy


def _compose(text: str) -> Node | None:
    """ruamel.yaml's nodes of `text`; None if it is empty."""
    yaml = YAML(typ="safe", pure=True)
    yaml.max_depth = _DEPTH
    yaml.composer.warn_double_anchors = False
    try:
        return yaml.compose(text)
    except MarkedYAMLError as error:
        raise _NotYamlError(*explain(error, text, _DEPTH)) from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problem = f"a character that YAML does not allow, {error.character!r}"
        raise _NotYamlError(line, problem, "remove it") from None
    except YAMLError as error:
        raise _NotYamlError(1, type(error).__name__) from None
    except (ValueError, OverflowError):
        # They escape from ruamel.yaml for "\UFFFFFFFF", without a line.
        problem = "an escape such as \\U stands for no character"
        raise _NotYamlError(1, problem, "write the character itself") from None


class _Walk:
    """One walk over ruamel.yaml's nodes, which know their lines."""

    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self.texts: dict[Path, str] = {}
        self.problems: list[Problem] = []
        self._open: set[int] = set()

    def value(self, node: Node, path: Path) -> object:
        """The plain value of `node`; notes its line, and its keys' and places' lines."""
        if len(self.lines) > _VALUES:
            problem = "its aliases unfold to more than a destination file can mean"
            raise _NotYamlError(1, problem, "write the values out")
        self.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._open:
            self._problem(path, "holds itself; write the value out")
            return None
        if str(node.ctag) not in {f"{_TAG}map", f"{_TAG}seq"}:
            self._problem(path, f"tags mean nothing here ({node.ctag}); remove it")
        self._open.add(id(node))
        try:
            if isinstance(node, MappingNode):
                return self._mapping(node, path)
            return [self.value(each, (*path, n)) for n, each in enumerate(node.value)]
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, object]:
        result: dict[str, object] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, ScalarNode):
                self.problems.append(Problem(line, path, "a key must be a plain word"))
                continue
            key = key_node.value
            if str(key_node.ctag) == f"{_TAG}merge":
                text = "merge keys are not read here; write the keys out, or use an alias"
                self.problems.append(Problem(line, (*path, key), text))
            elif key in result:
                first = self.lines[*path, key]
                text = f"given twice, first on line {first}; remove one of the two"
                self.problems.append(Problem(line, (*path, key), text))
            else:
                self._check_text(key, path, line)
                own = isinstance(value_node, ScalarNode) and value_node.value
                self.lines[*path, key] = value_node.start_mark.line + 1 if own else line
                result[key] = self.value(value_node, (*path, key))
        return result

    def _scalar(self, node: ScalarNode, path: Path) -> object:
        text, tag = node.value, str(node.ctag).removeprefix(_TAG)
        self.texts[path] = text
        self._check_text(text, path, self.lines[path])
        match tag:
            case "null":
                return None
            case "bool":
                return text.lower() in _TRUE
            case "int" | "float":
                return _number(text)
            case "str" | "timestamp" | "value" | "merge":
                return text
        self._problem(path, f"tags mean nothing here ({node.ctag}); remove it")
        return text

    def _check_text(self, text: str, path: Path, line: int) -> None:
        if any("\ud800" <= character <= "\udfff" for character in text):
            self.problems.append(Problem(line, path, "holds half a character; retype the value"))

    def _problem(self, path: Path, text: str) -> None:
        self.problems.append(Problem(self.lines[path], path, text))


def _number(text: str) -> Any:  # noqa: ANN401 - an int, a float, or what only looks like one
    digits = text.lower().replace("_", "")
    base = _BASES.get(digits.lstrip("+-")[:2], 10)
    try:
        return int(digits, base)
    except ValueError:
        pass
    if digits.endswith((".inf", ".nan")):
        return math.nan if digits.endswith("n") else float(digits.replace(".", ""))
    try:
        return float(digits)
    except ValueError:
        return text
