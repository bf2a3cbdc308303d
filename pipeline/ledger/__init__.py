"""The ledger: a SQLite file that makes an always-on job durable on one machine.

Beam's local runner acknowledges before it processes and forgets its state at exit; so what
arrived, what waits, what each field holds, and what each user spent is kept here, and the
graph runs over it, cut in two: read, parse and map end in `waiting`; coalesce and patch begin
there and end in `known` and `receipts`. Each step is one transaction.
"""
