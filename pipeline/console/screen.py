"""The terminal: what is printed for people, in which no text from outside is interpreted."""

from __future__ import annotations

import re
from typing import Any, Final

from rich.console import Console
from rich.text import Text

_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""All but tab and line feed; also what turns the direction of writing round."""


class Screen(Console):
    """A console that turns no ``:x:`` into a picture and shows control characters as their codes.

    Markup is interpreted, as it is ours; text from outside goes through `rich.markup.escape`.

    Args:
      stderr: print on standard error, in lines as long as they are; else on standard output.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, emoji=False, soft_wrap=stderr)

    def render_str(
        self,
        text: str,
        **how: Any,  # noqa: ANN401 - as `Console` has them
    ) -> Text:
        """As of `Console`; a control character is shown as its code."""
        return super().render_str(visible(text), **how)


def visible(text: str) -> str:
    """Text in which each control character is its code, so that a terminal obeys none."""
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)
