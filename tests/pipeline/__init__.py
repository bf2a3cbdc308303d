"""The program's rooms, and what it offers to Beam YAML and as a Dataflow template."""
