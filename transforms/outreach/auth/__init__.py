"""Credentials of Outreach users: bearer, OAuth and S2S tokens, and where secrets are kept.

Imports the HTTP client and the pure core; imported by `outreach`, `stages` and `pipeline`.
"""
