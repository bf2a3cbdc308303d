"""Scale: what a simulation on a virtual clock says of many prospects and many users.

No network and no waiting: the budget, the fold and the queue are the job's own, and so are the
coders; time, arrivals and Outreach are made up. `python -m benchmarks.scale` writes `scale.md`.
"""
