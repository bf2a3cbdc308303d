"""The sandbox's resources: prospects, users, types; how they are listed, changed and kept.

Imports `transforms` and the sandbox's own rooms; imported by the sandbox's server.
"""
