"""The door: what is answered 200 is in the ledger, and everything else says what is wrong."""

from __future__ import annotations

import gzip
import json
import socket
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.pipeline.door.posting import BEARER, FLAT, basic, to_aep
from tests.support.data.strange_records import KEYS, VALUES
from tests.support.in_process.door import SECRETS, OpenDoor, open_door, post
from tests.support.in_process.door import write_destination_with_sources as write
from tests.support.processes.program import environment, run

pytestmark = pytest.mark.real


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
