"""The commands of `outreach-activation`, one module each: flags in, exit status out, no logic.

Imports `jobs`, `preflight`, `oauth_flow` and what is below them; only `pipeline.cli` names it.
"""
