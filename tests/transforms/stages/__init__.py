"""The stages of the graph: bounded, on a stream, and callback by callback."""
