"""The flag ``--columns``: what the columns of a CSV file are called."""

from __future__ import annotations

from transforms.errors import ConfigurationError
from transforms.formats.csv_rows import COLUMNS, IDENTITIES, Columns
from transforms.text import did_you_mean, listed


def parse_columns(text: str | None) -> Columns:
    """Pairs of what a column holds and what the header calls it; none where nothing is said.

    Args:
      text: ``outreach_id="Prospect ID",segment=Audience``. A name with a comma in it stands in
        quotes, which the shell must not take off.

    Raises:
      ConfigurationError: it is not spelled so, or names what is no column here.
    """
    found: dict[str, str] = {}
    for part in _parts(text or ""):
        ours, equals, theirs = part.partition("=")
        ours, theirs = ours.strip().casefold(), theirs.strip().strip('"').strip()
        if not equals or not theirs:
            raise ConfigurationError(
                f"--columns {part!r} names no column; write {ours or 'outreach_id'}=NAME, with"
                " commas between several"
            )
        known = tuple(dict.fromkeys((*IDENTITIES, *COLUMNS)))
        if ours not in known:
            near = did_you_mean(ours, known) or f"; there are {listed(known)}"
            raise ConfigurationError(f"--columns {part!r}: {ours!r} is nothing that we read{near}")
        found[ours] = theirs
    return tuple(found.items())


def _parts(text: str) -> list[str]:
    pieces = text.split(",")
    parts: list[str] = []
    while pieces:
        part = pieces.pop(0)
        while part.count('"') % 2 and pieces:
            part += "," + pieces.pop(0)
        if part.strip():
            parts.append(part.strip())
    return parts
