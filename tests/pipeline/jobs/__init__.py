"""The kinds of run: what is submitted to Dataflow, and what signals do."""
