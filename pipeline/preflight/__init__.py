"""What `validate` checks before anything is sent: the file, the files to replay, the live org.

Imports `destination`, `jobs`, `io`, `ledger` and `transforms`; imported by `commands`.
"""
