"""Records that no platform sends, made of keys and values that platforms do send."""

from __future__ import annotations

from hypothesis import strategies as st

KEYS = st.sampled_from(
    [
        "type",
        "event",
        "context",
        "properties",
        "traits",
        "users",
        "in_cohort",
        "cohort_id",
        "action",
        "parameters",
        "members",
        "add",
        "remove",
        "message",
        "data",
        "body",
        "kinesis",
        "records",
        "identifiers",
        "fields",
        "user_profiles",
        "audiences",
        "outreach_id",
        "segment",
        "status",
        "personas",
        "listData",
        "specversion",
        "source",
        "id",
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(
        ["track", "record", "members", "audiencelist", "vip", "Audience Entered", "1"]
    )
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
