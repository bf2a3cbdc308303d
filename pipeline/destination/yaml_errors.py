"""Explains YAML syntax errors to the person who typed the file.

The parser's own words are those of a grammar, and it stops where it cannot go on, which is often
far from what was mistyped.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from ruamel.yaml.error import MarkedYAMLError, StreamMark


class Fault(NamedTuple):
    """What is wrong, where, and what mends it.

    Attributes:
      line: counted from 1.
      problem: what is wrong.
      remedy: what to do about it.
    """

    line: int
    problem: str
    remedy: str


REMEDY: Final = "check the indentation, and put values with : or # in quotes"
_OPENED: Final = re.compile(r"""(?:^\s*|[:\-?]\s+|[\[{,]\s*)(["'])""")
_BRACKETS: Final = re.compile(r""""(?:[^"\\]|\\.)*"|'[^']*'|[\[\]{}]|(?:^|\s)#.*""")
_CLOSING: Final = {"[": "]", "{": "}"}
_SAME: Final = "give all keys of a group the same number of blanks before them"


def explain(error: MarkedYAMLError, text: str, deepest: int) -> Fault:
    """The fault that made a parser stop.

    Args:
      error: of the parser.
      text: that it read.
      deepest: levels that may be inside one another.
    """
    problem = error.problem or ""
    line = _line(error.problem_mark) or _line(error.context_mark) or 1
    if "depth of data structure" in problem:
        return Fault(line, f"is nested deeper than {deepest} levels", "no key here is that deep")
    quote = _open_quote(text, line)
    if quote is not None:
        return Fault(quote, "a quote is opened and not closed on its line", "close the quote")
    if "'\\t'" in problem or _is_tab(text, line):
        return Fault(line, "a tab stands where blanks are needed", "indent with spaces, not tabs")
    if problem.startswith("but "):
        problem = f"{error.context} {problem}"
    return _by_words(problem, line, _line(error.context_mark), text)


def _by_words(problem: str, line: int, began: int | None, text: str) -> Fault:
    """The fault that the parser's words stand for; the words themselves where none is known.

    Args:
      problem: the words.
      line: where the parser stopped.
      began: where what it was reading began, if it said so.
      text: that it read.
    """
    is_open = "expected ',' or" in problem or "<stream end>" in problem
    bracket = _open_bracket(text, began or line) if is_open else None
    if bracket is not None:
        return bracket
    if "expected <block end>" in problem and began:
        said = f"is indented otherwise than line {began}, with which its group begins"
        return Fault(line, said, _SAME)
    if "mapping values are not allowed" in problem:
        return _second_colon(text, line)
    if "could not find expected ':'" in problem:
        return Fault(began or line, "has no colon after its key", "write it as key: value")
    start = re.search(r"found character ('.+') that cannot start any token", problem)
    if start:
        return Fault(line, f"a value cannot begin with {start[1]}", "put the value in quotes")
    return Fault(line, problem, REMEDY)


def _line(mark: StreamMark | None) -> int | None:
    return None if mark is None else int(mark.line) + 1


def _open_quote(text: str, last: int) -> int | None:
    """The first line, up to a last one, that opens a quote and does not close it."""
    for number, line in enumerate(text.splitlines()[:last], start=1):
        place = 0
        while found := _OPENED.search(line, place):
            quote = found[1]
            body = r'(?:[^"\\]|\\.)*"' if quote == '"' else r"(?:[^']|'')*'"
            closed = re.compile(body).match(line, found.end())
            if closed is None:
                return None if _in_comment(line, found.start()) else number
            place = closed.end()
    return None


def _open_bracket(text: str, began: int) -> Fault | None:
    """The innermost bracket that is never closed, or the one that a line begins; else None."""
    opened: list[tuple[str, int]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        for found in _BRACKETS.finditer(line):
            if found[0] in _CLOSING:
                opened.append((found[0], number))
            elif opened and found[0] == _CLOSING[opened[-1][0]]:
                opened.pop()
    here = [each for each in opened if each[1] == began] or opened
    if not here:
        return None
    bracket, number = here[-1]
    said = f"a {bracket} is opened and not closed"
    return Fault(number, said, f"close it with {_CLOSING[bracket]}")


def _in_comment(line: str, place: int) -> bool:
    return re.search(r"(?:^|\s)#", line[:place]) is not None


def _is_tab(text: str, line: int) -> bool:
    lines = text.splitlines()
    return 0 < line <= len(lines) and re.match(r" *\t", lines[line - 1]) is not None


def _second_colon(text: str, line: int) -> Fault:
    lines = text.splitlines()
    here = lines[line - 1] if line <= len(lines) else ""
    above = next((each for each in reversed(lines[: line - 1]) if each.strip()), "")
    deeper = len(here) - len(here.lstrip()) > len(above) - len(above.lstrip(" -"))
    if deeper and not above.rstrip().endswith(":"):
        said = "is indented deeper than the line above it, which has a value of its own"
        return Fault(line, said, _SAME)
    if len(re.findall(r":(?:\s|$)", here)) > 1:
        return Fault(line, "has a second colon within its value", "put the value in quotes")
    return Fault(line, "has a colon where none can be", REMEDY)
