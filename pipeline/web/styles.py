"""The style sheets that all pages share."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

SHARED: Final = files("pipeline.web") / "static"
"""Has ``base.css``, for all pages, and ``plots.css``, for those with plots."""
