"""How many requests a user may send, and when: arithmetic that is told the time.

Imports nothing but the pure core of `transforms`; imported by `stages`, `outreach` and `pipeline`.
"""
