"""Parse: ids, places and dead letters of arrivals."""
