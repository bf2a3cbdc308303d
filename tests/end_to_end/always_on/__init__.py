"""What runs until it is stopped: `run` on Pub/Sub, on Prism, and the door."""
