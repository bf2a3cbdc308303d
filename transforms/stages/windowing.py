"""Windows: a prospect and a user have one state for all time, so the stages know one window."""

from __future__ import annotations

import apache_beam as beam
from apache_beam.pvalue import PCollection
from apache_beam.transforms.window import GlobalWindows


def globally(elements: PCollection) -> PCollection:
    """The same elements, with their timestamps, in the global window and without a trigger."""
    windowing = elements.windowing
    if isinstance(windowing.windowfn, GlobalWindows) and windowing.is_default():
        return elements
    return elements | "Globally" >> beam.WindowInto(GlobalWindows())
