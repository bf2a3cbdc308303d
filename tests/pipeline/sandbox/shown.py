"""Fields and users of the sandbox whose page is looked at."""

from __future__ import annotations

from pipeline.sandbox.custom_fields import parse_field

SECRETS = {"bearer-of-ops": "ops", "bearer-of-ann": "ann"}
FIELDS = (parse_field("custom4:label=Enterprise intent"), parse_field("custom7:label=Churn risk"))
