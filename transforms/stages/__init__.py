"""The stages of the graph, each a pure function with a Beam transform of one name around it.

Imports the pure core, `budget`, `formats` and `outreach`; imported by `connector` and `pipeline`.
"""
