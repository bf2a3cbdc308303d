"""What a file is refused for in users, numbers and addresses."""

from pathlib import Path

import pytest

from tests.pipeline.destination.refusing import USER, assert_refused, edited, refusals


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        # Numbers.
        (
            "reserve: 500",
            "reserve: 10000",
            (
                "7: users[0].budget.reserve: leaves nothing to spend: the reserve is 10,000 of"
                " 10,000 requests (10000); write a reserve smaller than requests"
            ),
        ),
        (
            "requests: 10000\n      reserve: 500",
            "requests: 500",
            "5: users[0].budget.reserve: leaves nothing to spend: the reserve is 500 of 500",
        ),
        ("requests: 10000", "requests: 0", "6: users[0].budget.requests: must be at least 1 (0);"),
        ("reserve: 500", "reserve: -1", "7: users[0].budget.reserve: must be at least 0 (-1);"),
        (
            "reserve: 500",
            "reserve: '500'",
            "7: users[0].budget.reserve: must be a whole number (500);",
        ),
        (
            "reserve: 500",
            "per_seconds: 0",
            "7: users[0].budget.per_seconds: must be more than 0 (0); for example per_seconds:",
        ),
        (
            "reserve: 500",
            "per_seconds: .nan",
            "7: users[0].budget.per_seconds: must be a number (.nan)",
        ),
        (
            "outreach:",
            "delivery: {in_flight: 2.5}\noutreach:",
            "17: delivery.in_flight: must be a whole number (2.5); for example in_flight: 16",
        ),
        (
            "outreach:",
            "delivery: {hold_seconds: 90000}\noutreach:",
            "17: delivery.hold_seconds: must be at most 86,400 (90000)",
        ),
        # Lanes that could send nothing.
        (
            "outreach:",
            "delivery: {lanes: 0}\noutreach:",
            "17: delivery.lanes: must be at least 1 (0); for example lanes: 4",
        ),
        (
            "outreach:",
            "delivery: {lanes: 17}\noutreach:",
            (
                "17: delivery.lanes: leaves a lane without a request under way: in_flight is 16"
                " (17); write no more lanes than in_flight"
            ),
        ),
        (
            "reserve: 500",
            "reserve: 9993\ndelivery: {lanes: 8}",
            (
                "8: delivery.lanes: leaves a lane without a request: the budget of users[0] on line"
                " 3 has 7 (8); write fewer lanes"
            ),
        ),
        (
            "outreach:",
            "guard: {max_exit_percent: 101}\noutreach:",
            "17: guard.max_exit_percent: must be at most 100 (101)",
        ),
        # Credentials and addresses.
        (
            "type: bearer",
            "type: baerer",
            "4: users[0].auth.type: unknown type of credential (baerer); did you mean bearer?",
        ),
        (
            "type: bearer",
            "type: saml",
            "4: users[0].auth.type: unknown type of credential (saml); the types here are bearer,",
        ),
        (
            "{type: bearer, token_env: OUTREACH_TOKEN}",
            "{token_env: OUTREACH_TOKEN}",
            "4: users[0].auth: has no type; add type: bearer, type: oauth or type: s2s",
        ),
        (
            "token_env: OUTREACH_TOKEN",
            "token_env: OUTREACH_TOKEN, token_file: t",
            (
                "4: users[0].auth.token_file: users[0].auth.token_env on line 4 is in its place;"
                " write one of the two"
            ),
        ),
        (
            "token_env: OUTREACH_TOKEN",
            "token_file: projects/p/secrets/t/versions/3",
            (
                "4: users[0].auth.token_file: must be projects/PROJECT/secrets/SECRET, as Google"
                " Secret Manager names secrets (value hidden); the latest version is read;"
            ),
        ),
        (
            "{type: bearer, token_env: OUTREACH_TOKEN}",
            "{type: oauth, client_id: a, token_store: t.json}",
            (
                "4: users[0].auth.client_secret_env: required and missing; add it, for example"
                " client_secret_env: OUTREACH_CLIENT_SECRET"
            ),
        ),
        (
            "type: bearer, token_env: OUTREACH_TOKEN",
            "type: oauth, client_id: a, client_secret_env: S",
            (
                "4: users[0].auth.token_store: required and missing; add it, for example"
                " token_store: ops-token.json"
            ),
        ),
        (
            "https://api",
            "http://api",
            "18: outreach.base_url: must be encrypted (http://api.outreach.io); write https://;",
        ),
        (
            "https://api.outreach.io",
            "http://localhost.example.com",
            "18: outreach.base_url: must be encrypted (http://localhost.example.com)",
        ),
        ("https://api", "api", "18: outreach.base_url: must be a web address (api.outreach.io);"),
        (
            "https://api.outreach.io",
            "https://api.outreach.io:port",
            "18: outreach.base_url: must be a web address (https://api.outreach.io:port)",
        ),
        (
            "https://api.outreach.io",
            "https://api.outreach.io/?a=b",
            "18: outreach.base_url: must be the start of an address (https://api.outreach.io…);",
        ),
        (
            "outreach:",
            "alerts: {webhook: http://hooks.example.com/T0/hush}\noutreach:",
            "17: alerts.webhook: must be encrypted (http://hooks.example.com…); write https://",
        ),
    ],
)
def test_what_is_wrong_is_said_once_with_its_line_its_value_and_a_remedy(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert_refused(tmp_path, edited(old, new), said)


def test_two_users_may_not_keep_their_tokens_in_one_file(tmp_path: Path) -> None:
    oauth = "{type: oauth, client_id: a, client_secret_env: S, token_store: ops.json}"
    text = edited("{type: bearer, token_env: OUTREACH_TOKEN}", oauth)
    text = text.replace(USER, f"{USER}  - name: second\n    auth: {oauth}\n")
    assert refusals(tmp_path, text) == [
        (
            "9: users[1].auth.token_store: already taken by users[0].auth.token_store on line 4"
            " (ops.json); give each user a file of its own"
        )
    ]
