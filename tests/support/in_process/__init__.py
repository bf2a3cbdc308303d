"""Parts of the product that run in the test's own process, on a clock that it sets."""
