"""The sandbox's OAuth and S2S endpoints, and the tokens that they issue.

Imports the sandbox's core; imported by the sandbox's server.
"""
