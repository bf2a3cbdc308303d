"""`--columns`: what is spelled wrong is said, and a name may hold blanks and commas."""

from __future__ import annotations

import pytest

from pipeline.console.columns import parse_columns
from transforms.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        (None, ()),
        ("outreach_id=Prospect ID", (("outreach_id", "Prospect ID"),)),
        (
            'outreach_id="ID, of Outreach", Status = State',
            (("outreach_id", "ID, of Outreach"), ("status", "State")),
        ),
    ],
)
def test_names_are_read(text: str | None, pairs: tuple[tuple[str, str], ...]) -> None:
    assert parse_columns(text) == pairs


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("outreach_id", "write outreach_id=NAME"),
        ("segment=", "write segment=NAME"),
        ("segmnt=Audience", "did you mean 'segment'?"),
    ],
)
def test_what_is_spelled_wrong_is_said(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_columns(text)
    assert said in str(refused.value)
