"""Jobs that ask Outreach about the org: reading it, comparing, clearing. As of `pipeline.jobs`."""
