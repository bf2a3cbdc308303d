"""The stages as composite transforms for other people's pipelines (docs/beam.md).

Imports the stages and formats; imported by `transforms`, which re-exports it, and Beam YAML.
"""
