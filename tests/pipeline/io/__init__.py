"""Files, Pub/Sub and outputs, without the job around them."""
