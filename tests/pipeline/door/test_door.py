"""The door: what is answered 200 is in the ledger, and everything else says what is wrong."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
import socket
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.destination.file import load_destination
from pipeline.door.limits import FailedSignIns, RateLimit
from pipeline.door.server import DoorOptions, check_door
from pipeline.door.tokens import LIFE_SECONDS, AccessTokens
from tests.support.data.strange_records import KEYS, VALUES
from tests.support.in_process.door import SECRETS, Answer, OpenDoor, open_door, post
from tests.support.in_process.door import write_destination_with_sources as write
from tests.support.processes.program import environment, run
from transforms.errors import ConfigurationError

pytestmark = pytest.mark.real

BEARER = {"Authorization": "Bearer aep-token"}
FLAT = {"outreach_id": 1, "segment": "vip", "status": "realized"}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenDoor]:
    folder = tmp_path_factory.mktemp("door")
    write(folder)
    with open_door(folder, max_body_bytes=100_000) as found:
        yield found


def basic(username: str, password: str) -> dict[str, str]:
    return {
        "Authorization": f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"
    }


def to_aep(door: OpenDoor, body: Any, **headers: str) -> Answer:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return post(f"{door.url}/changes/aep", body, {**BEARER, **named})


def test_what_is_answered_200_is_in_the_ledger_as_it_came(door: OpenDoor) -> None:
    before = len(door.inbox())
    body = json.dumps([FLAT, {**FLAT, "segment": "nobody's"}, {**FLAT, "outreach_id": "x"}])

    answer = to_aep(door, body)

    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    (problem,) = answer.json["problems"]
    assert {key: answer.json[key] for key in ("accepted", "changes", "unmapped", "unreadable")} == {
        "accepted": 3,
        "changes": 1,
        "unmapped": 1,
        "unreadable": 1,
    }
    assert (problem["place"], problem["reason"]) == ("record 3", "identity_invalid")
    assert "'x' is not an OutreachId" in problem["detail"]
    (kept,) = door.inbox()[before:]
    assert (kept[0], kept[3].decode()) == ("/changes/aep", body)


@pytest.mark.parametrize("body", ["nonsense", "", "{}", [{"outreach_id": 0}], "1", '"text"'])
def test_a_body_of_which_nothing_can_be_read_is_400_and_not_kept(door: OpenDoor, body: Any) -> None:
    before = len(door.inbox())

    answer = to_aep(door, body)

    assert (answer.status, answer.json["accepted"]) == (400, 0)
    assert answer.json["problems"][0]["reason"]
    assert len(door.inbox()) == before


def test_a_bad_record_beside_one_that_changes_nothing_costs_only_itself(door: OpenDoor) -> None:
    ping = {"type": "audience_subscription_request"}
    before = len(door.inbox())

    answer = to_aep(door, [ping, {"outreach_id": 0, "segment": "vip", "status": "realized"}])

    assert (answer.status, answer.json["accepted"], answer.json["unreadable"]) == (200, 2, 1)
    assert len(door.inbox()) == before + 1


def test_failed_sign_ins_are_told_without_what_was_sent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path)
    with open_door(tmp_path) as door:
        post(f"{door.url}/changes/aep", FLAT, {"Authorization": "Bearer not-the-token"})
    assert "1 failed sign-ins so far, the last at /changes/aep" in caplog.text
    assert "not-the-token" not in caplog.text


def test_at_most_ten_problems_are_named(door: OpenDoor) -> None:
    answer = to_aep(door, [FLAT, *({"outreach_id": 0} for _ in range(30))])

    assert (answer.json["unreadable"], len(answer.json["problems"])) == (30, 10)


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda data: zlib.compress(data)[2:-4]),
        ("identity", bytes),
    ],
)
def test_a_body_may_be_compressed_and_of_any_kind(
    door: OpenDoor, encoding: str, packed: Any
) -> None:
    lines = "\n".join(json.dumps({**FLAT, "outreach_id": each}) for each in (1, 2, 3))
    for text in (lines, "outreach_id,segment,status\n1,vip,realized\n2,vip,exited\n3,vip,exited\n"):
        answer = to_aep(
            door, packed(text.encode()), Content_Encoding=encoding, Content_Type="text/plain"
        )
        assert (answer.status, answer.json["accepted"], answer.json["changes"]) == (200, 3, 3)


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (415, b"x", {"Content_Encoding": "br"}),
        (400, b"no gzip", {"Content_Encoding": "gzip"}),
        (400, gzip.compress(b"{}" * 99, mtime=0)[:-9], {"Content_Encoding": "gzip"}),
        (413, b" " * 100_001, {}),
        (413, gzip.compress(b" " * 50_000_000, mtime=0), {"Content_Encoding": "gzip"}),
        (413, zlib.compress(b" " * 50_000_000), {"Content_Encoding": "deflate"}),
    ],
)
def test_a_body_that_is_too_large_or_cannot_be_unpacked_is_refused(
    door: OpenDoor, status: int, body: bytes, headers: dict[str, str]
) -> None:
    answer = to_aep(door, body, **headers)

    assert answer.status == status
    assert answer.json["problems"][0]["detail"]


def test_addresses_and_methods_that_are_none_are_refused(door: OpenDoor) -> None:
    assert post(f"{door.url}/changes/nobody", FLAT).status == 404
    assert post(f"{door.url}/elsewhere", FLAT).status == 404
    wrong = post(f"{door.url}/changes/aep", "", BEARER, method="GET")
    assert (wrong.status, wrong.headers["Allow"]) == (405, "POST")
    assert post(f"{door.url}/healthz", "", method="GET").json == {"status": "ok"}
    parts = urlsplit(door.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as plain:
        plain.sendall(b"POST /changes/rudder HTTP/1.1\r\nHost: x\r\n\r\n")
        assert plain.recv(1000).startswith(b"HTTP/1.1 411 ")


def signed(body: bytes, secret: str = SECRETS["SEGMENT_SECRET"]) -> dict[str, str]:
    return {"X-Signature": hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()}


BODY = json.dumps(FLAT).encode()


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


def test_mixpanel_gets_the_body_that_it_requires(door: OpenDoor) -> None:
    right = basic("mixpanel", "mixpanel-password")
    parameters = {"mixpanel_cohort_id": "vip", "members": [{"mixpanel_distinct_id": "1"}]}
    address = f"{door.url}/changes/mixpanel"
    for action in ("add_members", "remove_members", "members"):
        answer = post(address, {"action": action, "parameters": parameters}, right)
        assert (answer.status, answer.json) == (200, {"action": action, "status": "success"})
    bad = {"action": "members", "parameters": {**parameters, "members": [{"email": "a@b.c"}]}}
    answer = post(address, bad, right)
    assert (answer.status, answer.json["status"]) == (400, "failure")
    assert "identity_missing" in answer.json["error"]["message"]


def test_a_message_that_its_platform_repeats_is_kept_once(door: OpenDoor) -> None:
    cohort = {
        "cohort_id": "vip",
        "in_cohort": True,
        "message_id": "m::enter::0",
        "users": [{"user_id": "1"}],
    }
    before = len(door.inbox())
    for _ in range(2):
        assert to_aep(door, cohort).status == 200
        assert to_aep(door, FLAT, ce_id="1", ce_source="s", ce_specversion="1.0").status == 200
    assert len(door.inbox()) == before + 2
    # What has no name is kept each time: two may say the same of two moments.
    for _ in range(2):
        to_aep(door, FLAT)
    assert len(door.inbox()) == before + 4


def test_a_source_has_its_lane(door: OpenDoor) -> None:
    record = {"type": "record", "action": "insert", "identifiers": {"outreach_id": 5}}
    assert post(f"{door.url}/changes/rudder", record).json["changes"] == 1
    assert door.inbox()[-1][2] != 0


def test_a_full_inbox_and_a_disk_that_refuses_are_503_and_nothing_is_lost(tmp_path: Path) -> None:
    write(tmp_path)
    with open_door(tmp_path, inbox_limit=2) as door:
        answers = [to_aep(door, FLAT) for _ in range(4)]
        assert [each.status for each in answers] == [200, 200, 503, 503]
        assert answers[-1].headers["Retry-After"] == "10"
        assert len(door.inbox()) == 2


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


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.dictionaries(KEYS, VALUES, max_size=7).map(json.dumps).map(str.encode)
    | st.binary(max_size=60)
)
def test_no_body_is_too_strange_for_an_answer(door: OpenDoor, body: bytes) -> None:
    before = len(door.inbox())
    answer = to_aep(door, body)
    assert answer.status in (200, 400)
    assert len(door.inbox()) in ({before, before + 1} if answer.status == 200 else {before})


@pytest.mark.parametrize(
    ("source", "shape", "changes"),
    [
        ("aep", "profile", 1),
        ("mixpanel", "mixpanel", None),
        ("amplitude", "amplitude", 1),
        ("segment", "segment", 1),
        ("adobe", "profile", 1),
        ("rudder", "rudderstack", 1),
        ("slow", "flat", 1),
        ("aep", "mparticle", 1),
    ],
)
def test_a_test_record_is_sent_as_each_platform_sends_one(
    door: OpenDoor, source: str, shape: str, changes: int | None
) -> None:
    folder = Path(door.ledger).parent
    words = ("--destination=destination.yaml", f"--to={door.url}", f"--shape={shape}")
    variables = {**environment(), **SECRETS}
    sent = run(folder, "send-test", source, *words, "--segment=vip", variables=variables)
    assert sent.status == 0, sent.stderr
    answer = json.loads(sent.stdout)
    assert answer.get("changes") == changes
    assert answer.get("status", "success") == "success"
    for secret in SECRETS.values():
        assert secret not in sent.stderr + sent.stdout


def test_a_test_record_writes_nothing_unless_it_is_told_to_and_says_what_is_wrong(
    door: OpenDoor,
) -> None:
    folder = Path(door.ledger).parent
    words = ("--destination=destination.yaml", f"--to={door.url}")
    sent = run(folder, "send-test", "aep", *words, variables={**environment(), **SECRETS})
    assert json.loads(sent.stdout)["unmapped"] == 1
    wrong = {**environment(), **SECRETS, "AEP_TOKEN": "x"}
    refused = run(folder, "send-test", "aep", *words, variables=wrong)
    assert (refused.status, "answered 401" in refused.stderr) == (1, True)
    near = run(folder, "send-test", "aepp", *words, variables=wrong)
    assert (near.status, "did you mean 'aep'" in near.stderr) == (2, True)
