"""Tests, in the same tree as the code; what they share is in `support`."""

import pytest

# Helpers beside the tests assert too, and are to say what they saw.
pytest.register_assert_rewrite(
    "tests.end_to_end", "tests.pipeline", "tests.support", "tests.transforms"
)
