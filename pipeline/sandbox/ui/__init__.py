"""The sandbox's page and the requests behind its controls.

Imports the sandbox's core; imported by the sandbox's server.
"""
