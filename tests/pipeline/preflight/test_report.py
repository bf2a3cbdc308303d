"""What `validate` shows where all is well, where nothing can be asked, or one user cannot."""

from __future__ import annotations

import pytest

from tests.pipeline.preflight.validating import AUDIENCE, Validate, outreach, rows, user

pytestmark = pytest.mark.real


def test_what_is_as_it_should_be_ends_with_0_and_is_shown(validate: Validate) -> None:
    with outreach() as sandbox:
        validate.write(sandbox.url, users=[user("ops"), user("ann")])
        said = validate("--live")
        assert len(sandbox.requests()) == 6
    assert said.status == 0
    assert (said.found["ok"], said.found["errors"], said.found["notes"]) == (True, [], [])
    assert said.found["warnings"] == []
    assert said.found["live"] == {
        "requests": 6,
        "users": [
            {
                "name": name,
                "token": True,
                "scopes": {"prospects.read": True, "prospects.write": True},
                "limit": 10_000,
                "remaining": 9_997,
            }
            for name in ("ops", "ann")
        ],
        "fields": [
            {
                "field": "custom4",
                "source": "Enterprise intent",
                "label": "Enterprise intent",
                "type": "inclusion",
                "fits": True,
            }
        ],
    }
    assert "user token prospects.read prospects.write left" in rows(said)
    assert "ops accepted yes yes 9,997 of 10,000" in rows(said)
    assert "custom4 Enterprise intent Enterprise intent picklist yes" in rows(said)
    assert rows(said)[-1] == "ready to be used; 6 requests were spent, and nothing was written"


def test_a_file_that_cannot_be_used_is_told_without_a_request(validate: Validate) -> None:
    with outreach() as sandbox:
        validate.write(sandbox.url, [{**AUDIENCE, "mapping_id": 151}])
        said = validate("--live")
        assert sandbox.requests() == []
    assert said.status == 2
    assert "live" not in said.found


def test_a_user_without_a_secret_is_left_out_and_the_others_are_not(
    validate: Validate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPS_TOKEN")
    with outreach() as sandbox:
        validate.write(sandbox.url, users=[user("ops"), user("ann")])
        said = validate("--live")
    assert said.status == 2
    assert [each["name"] for each in said.found["live"]["users"]] == ["ann"]
    (error,) = said.texts("errors")
    assert error.startswith("users[0].auth.token_env: the environment variable OPS_TOKEN is not")
