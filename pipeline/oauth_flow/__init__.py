"""The authorization code flow of `connect`: the request, the callback server, the exchange.

Imports `destination`, `preflight` and `transforms`; imported by `commands`.
"""
