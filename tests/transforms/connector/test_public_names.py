"""All that is public is imported from `transforms`, and not before it is asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

import transforms
from tests.support.processes.program import environment

pytestmark = pytest.mark.real


def test_all_that_is_public_can_be_imported_from_transforms() -> None:
    assert {name for name in transforms.__all__ if getattr(transforms, name).__doc__} == set(
        transforms.__all__
    )
    assert set(transforms.__all__) <= set(dir(transforms))
    with pytest.raises(AttributeError, match="Wrote"):
        _ = transforms.Wrote


def test_what_is_public_is_not_imported_before_it_is_asked_for() -> None:
    script = (
        "import sys, transforms.errors; print('apache_beam' in sys.modules);"
        "from transforms import WriteToOutreach; print('apache_beam' in sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        env=environment(),
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert ended.stdout.decode().split() == ["False", "True"]
