"""`connect` as its user runs it, with an HTTP client in the place of the browser."""
