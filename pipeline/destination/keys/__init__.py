"""The keys of the destination file, section by section.

`pipeline.destination.file` puts them together.
"""
