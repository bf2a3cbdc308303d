"""Every input format; a new one is a module beside these, and a line here."""

from __future__ import annotations

from typing import Final

from transforms.formats import add_remove, dead_letter, flat, profile, receipt, xdm
from transforms.formats.context import Format
from transforms.formats.platforms import amplitude, mixpanel, mparticle, rudderstack, segment

FORMATS: Final[tuple[Format, ...]] = (
    receipt,
    flat,
    profile,
    dead_letter,
    add_remove,
    xdm,
    segment,
    rudderstack,
    mparticle,
    amplitude,
    mixpanel,
)
"""In the order of asking: a record is of the first that it matches."""
