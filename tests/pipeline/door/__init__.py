"""The HTTP door: who may post, what is answered, and when that is durable."""
