"""Changes, and traces of them with an oracle that says what they must come to."""
