"""Who may post to the door: each source by its credential, as often as it may."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.destination.file import load_destination
from pipeline.door.limits import FailedSignIns, RateLimit
from pipeline.door.server import DoorOptions, check_door
from pipeline.door.tokens import LIFE_SECONDS, AccessTokens
from tests.pipeline.door.posting import BEARER, BODY, FLAT, basic, signed
from tests.support.in_process.door import SECRETS, OpenDoor, open_door, post
from tests.support.in_process.door import write_destination_with_sources as write
from transforms.errors import ConfigurationError

pytestmark = pytest.mark.real


def test_failed_sign_ins_are_told_without_what_was_sent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path)
    with open_door(tmp_path) as door:
        post(f"{door.url}/changes/aep", FLAT, {"Authorization": "Bearer not-the-token"})
    assert "1 failed sign-ins so far, the last at /changes/aep" in caplog.text
    assert "not-the-token" not in caplog.text


@pytest.mark.parametrize(
    ("source", "right", "wrong"),
    [
        ("aep", BEARER, {"Authorization": "Bearer aep-tokem"}),
        ("mixpanel", basic("mixpanel", "mixpanel-password"), basic("mixpanel", "x")),
        ("mixpanel", basic("mixpanel", "mixpanel-password"), basic("x", "mixpanel-password")),
        ("amplitude", {"X-Api-Key": "amplitude-key"}, {"X-Api-Key": "amplitude-ke"}),
        ("segment", signed(BODY), signed(BODY + b" ")),
        ("segment", {"x-signature": signed(BODY)["X-Signature"].upper()}, signed(BODY, "x")),
        ("adobe", None, {"Authorization": "Bearer abc.def"}),
    ],
)
def test_each_kind_of_credential_admits_its_source_and_nobody_else(
    door: OpenDoor, source: str, right: dict[str, str] | None, wrong: dict[str, str]
) -> None:
    if right is None:
        form = "grant_type=client_credentials&client_id=adobe&client_secret=client-secret"
        issued = post(f"{door.url}/oauth/token", form).json
        right = {"Authorization": f"Bearer {issued['access_token']}"}
        assert (issued["token_type"], issued["expires_in"]) == ("bearer", LIFE_SECONDS)
    before = len(door.inbox())
    address = f"{door.url}/changes/{source}"

    assert post(address, BODY, right).status == 200
    for refused in (wrong, {}, {"Authorization": "Basic %%%"}):
        answer = post(address, BODY, refused)
        assert (answer.status, answer.json["problems"][0]["reason"]) == (401, "unauthorized")
    assert len(door.inbox()) == before + 1


def test_a_token_is_issued_for_credentials_in_each_of_their_forms(door: OpenDoor) -> None:
    address = f"{door.url}/oauth/token"
    client = {"client_id": "adobe", "client_secret": "client-secret"}
    in_header = basic("adobe", "client-secret")
    password = {"grant_type": "password", "username": "user", "password": "user-password"}
    assert post(f"{address}", "grant_type=client_credentials", in_header).status == 200
    assert post(address, client).status == 200
    assert post(address, {**client, **password}).status == 200
    assert post(address, {**client, **password, "password": "x"}).json == {"error": "invalid_grant"}
    assert post(address, {**client, "grant_type": "refresh_token"}).status == 400
    wrong = post(address, {**client, "client_secret": "x"})
    assert (wrong.status, wrong.json) == (401, {"error": "invalid_client"})


def test_a_token_ends_and_is_known_again_after_a_restart_unless_the_secret_has_changed() -> None:
    token = AccessTokens({"a": "s"}).issue("a", 1_000)
    again = AccessTokens({"a": "s", "b": "t"})
    assert again.source_of(token, 1_000) == "a"
    assert again.source_of(token, 1_001 + LIFE_SECONDS) is None
    assert AccessTokens({"a": "t"}).source_of(token, 1_000) is None
    assert AccessTokens({"b": "s"}).source_of(token, 1_000) is None
    assert "s" not in repr(again).replace("AccessTokens", "")


def test_whoever_fails_to_sign_in_is_kept_waiting_longer_and_longer() -> None:
    failures = FailedSignIns()
    waits = [failures.failed("a", 0.0) for _ in range(9)]
    assert waits[:3] == [0.0, 0.0, 0.0]
    assert waits == sorted(waits)
    assert waits[-1] == 5.0
    assert failures.failed("b", 0.0) == 0.0
    failures.admitted("a")
    assert failures.failed("a", 0.0) == 0.0
    assert failures.count == 11


def test_a_source_that_sends_more_than_it_may_is_told_when_to_come_again(door: OpenDoor) -> None:
    answers = [post(f"{door.url}/changes/slow", FLAT) for _ in range(6)]
    refused = [each for each in answers if each.status == 429]
    assert refused
    assert refused[0].headers["Retry-After"] == "1"
    limit = RateLimit(2.0)
    assert [limit.wait(0.0), limit.wait(0.0), limit.wait(0.0)] == [0.0, 0.0, 0.5]
    assert limit.wait(0.5) == 0.0


@pytest.mark.parametrize(
    ("options", "sources", "said"),
    [
        ({"listen": "0.0.0.0:0"}, None, "give --tls_certificate and --tls_key, or --behind_proxy"),
        ({"listen": "0.0.0.0:0", "behind_proxy": True}, None, "sources[5].auth: lets anybody in"),
        ({"listen": "8080"}, None, "write HOST:PORT"),
        ({"listen": "127.0.0.1:0", "tls_key": "k"}, None, "belong together"),
        ({"listen": "127.0.0.1:0", "tls_client_ca": "c"}, None, "--tls_client_ca needs"),
        ({"listen": "127.0.0.1:0"}, "", "--listen needs sources in the destination file"),
    ],
)
def test_a_door_that_would_let_strangers_in_is_not_opened(
    tmp_path: Path, options: dict[str, Any], sources: str | None, said: str
) -> None:
    write(tmp_path, **({} if sources is None else {"sources": sources}))
    destination = load_destination(str(tmp_path / "destination.yaml"))
    with pytest.raises(ConfigurationError) as refused:
        check_door(destination, DoorOptions(**options), SECRETS)
    assert said in str(refused.value)


def test_secrets_that_are_not_set_are_all_named(tmp_path: Path) -> None:
    write(tmp_path)
    destination = load_destination(str(tmp_path / "destination.yaml"))
    with pytest.raises(ConfigurationError) as refused:
        check_door(destination, DoorOptions(listen="127.0.0.1:0"), {"AEP_TOKEN": "x"})
    said = str(refused.value)
    assert "MIXPANEL_PASSWORD" in said
    assert "USER_PASSWORD" in said
    assert "AEP_TOKEN" not in said
