"""`validate --live` against the sandbox over HTTP, and `--input` over files."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import orjson
import pytest

from pipeline.commands.validate import validate_command
from pipeline.destination.file import load_destination
from pipeline.preflight.field_types import FieldSetup, is_known, read_setups, unmet
from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from pipeline.sandbox.custom_fields import parse_field
from tests.support.sandbox_client import ask
from transforms.budget.forecast import hours
from transforms.budget.terms import BudgetTerms
from transforms.outreach.auth.token_response import allows, read_scopes

pytestmark = pytest.mark.real

SECRET = "s3cr3t-of-the-application"
OPS, ANN = "tok-of-ops-1f0c", "tok-of-ann-77b2"
INTENT = "custom4:label=Enterprise intent,type=picklist,values=realized|existing|exited"
AUDIENCE = {"segment": "aaaa-1111", "name": "Enterprise intent", "mapping_id": 4}


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPS_TOKEN", OPS)
    monkeypatch.setenv("ANN_TOKEN", ANN)
    monkeypatch.setenv("CLIENT_SECRET", SECRET)
    monkeypatch.setenv("COLUMNS", "160")


@contextmanager
def outreach(*fields: str, violations: Sequence[str] = (), **options: Any) -> Iterator[Sandbox]:
    """A sandbox, which at the end is as it was."""
    given = {"tokens": {OPS: "ops", ANN: "ann"}, "prospects": 3, **options}
    setups = tuple(map(parse_field, fields or (INTENT,)))
    with running_sandbox(SandboxOptions(fields=setups, **given)) as sandbox:
        yield sandbox
        assert [each.kind for each in sandbox.violations()] == list(violations)
        assert all(not attributes for attributes in sandbox.prospects().values())


@dataclass(frozen=True, slots=True)
class Said:
    status: object
    found: Mapping[str, Any]
    err: str

    def texts(self, kind: str) -> list[str]:
        return [f"{each['key']}: {each['text']}" for each in self.found[kind]]


class Validate:
    """Runs the command as the command line does, in a folder of its own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.path = folder / "destination.yaml"
        self._capsys = capsys

    def write(
        self,
        url: str,
        audiences: Sequence[Mapping[str, object]] = (AUDIENCE,),
        *,
        users: Sequence[Mapping[str, object]] = (),
        **more: object,
    ) -> None:
        content = {
            "name": "test",
            "outreach": {"base_url": url},
            "users": users or [user("ops")],
            "audiences": audiences,
            **more,
        }
        self.path.write_text(json.dumps(content, indent=1), encoding="utf-8")

    def __call__(self, *flags: str) -> Said:
        with pytest.raises(SystemExit) as ended:
            validate_command.main(["--destination", str(self.path), "--json", *flags])
        captured = self._capsys.readouterr()
        for secret in (OPS, ANN, SECRET):
            assert secret not in captured.out + captured.err
        return Said(ended.value.code, json.loads(captured.out), captured.err)


def user(name: str, **more: object) -> dict[str, object]:
    return {"name": name, "auth": {"type": "bearer", "token_env": f"{name.upper()}_TOKEN"}, **more}


@pytest.fixture
def validate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Validate:
    return Validate(tmp_path, capsys)


def rows(said: Said) -> list[str]:
    return [" ".join(line.split()) for line in said.err.splitlines()]


# All is well.


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


# Tokens and scopes.


def test_a_token_that_is_refused_ends_with_2_and_names_where_to_put_another(
    validate: Validate,
) -> None:
    with outreach(tokens={ANN: "ann"}) as sandbox:
        validate.write(sandbox.url, users=[user("ops"), user("ann")])
        said = validate("--live")
    assert said.status == 2
    (error,) = said.texts("errors")
    assert error == (
        "users[0].auth: Outreach refuses its access token, which has expired or is not one; put a"
        " fresh one into the environment variable OPS_TOKEN and start again"
    )
    assert [each["token"] for each in said.found["live"]["users"]] == [False, True]
    assert said.found["live"]["fields"][0]["fits"] is True


def test_a_token_that_may_not_write_ends_with_2(validate: Validate) -> None:
    with outreach(scopes=["prospects.read"]) as sandbox:
        validate.write(sandbox.url)
        said = validate("--live")
    assert said.status == 2
    (error,) = said.texts("errors")
    assert error == (
        "users[0].auth: its token lacks the scope prospects.write, so nothing can be delivered;"
        " put a token that has it into the environment variable OPS_TOKEN"
    )
    scopes = said.found["live"]["users"][0]["scopes"]
    assert scopes == {"prospects.read": True, "prospects.write": False}


def test_a_token_that_may_not_see_or_create_the_accounts_to_be_tied_to_ends_with_2(
    validate: Validate,
) -> None:
    tied = {
        "attributes": [{"source": "site", "target": "account_domain"}],
        "identity": {"match": "email"},
        "mode": "upsert",
    }
    with outreach(scopes=["prospects.all"]) as sandbox:
        validate.write(sandbox.url, **tied)
        said = validate("--live")
    assert said.status == 2
    lacking = "users[0].auth: its token lacks the scope accounts"
    tied_to = "so the accounts that prospects are to be tied to cannot be"
    assert [each.partition(";")[0] for each in said.texts("errors")] == [
        f"{lacking}.read, {tied_to} found",
        f"{lacking}.write, {tied_to} created",
    ]
    with outreach(scopes=["prospects.all", "accounts.all"]) as sandbox:
        validate.write(sandbox.url, **tied)
        said = validate("--live")
    scopes = said.found["live"]["users"][0]["scopes"]
    assert (said.status, scopes["accounts.read"], scopes["accounts.write"]) == (0, True, True)


def test_a_token_that_may_not_read_is_a_warning(validate: Validate) -> None:
    with outreach(scopes=["prospects.write"]) as sandbox:
        validate.write(sandbox.url)
        said = validate("--live")
    assert said.status == 0
    (warning,) = said.texts("warnings")
    assert warning.startswith("users[0].auth: its token lacks the scope prospects.read, so a value")


def connected(sandbox: Sandbox, store: Path, scope: str, minutes_ago: float = 10) -> dict[str, Any]:
    """Stores tokens as `connect` does."""
    back = "http://127.0.0.1:9/back"
    query = {"client_id": "app", "redirect_uri": back, "response_type": "code", "scope": scope}
    sent = ask(sandbox, "GET", "/oauth/authorize", query=query)
    form = {
        "grant_type": "authorization_code",
        "code": parse_qs(urlsplit(sent.headers["Location"]).query)["code"][0],
        "client_id": "app",
        "client_secret": SECRET,
        "redirect_uri": back,
    }
    kind = "application/x-www-form-urlencoded"
    answer = ask(sandbox, "POST", "/oauth/token", urlencode(form).encode(), content_type=kind)
    tokens = {**answer.json, "created_at": time.time() - 60 * minutes_ago}
    store.write_text(json.dumps(tokens), encoding="ascii")
    store.chmod(0o600)
    return tokens


OAUTH = {
    "type": "oauth",
    "client_id": "app",
    "client_secret_env": "CLIENT_SECRET",
    "token_store": "ops-token.json",
}
CLIENT = {"clients": {"app": SECRET}, "approve": "ops", "token_interval": 0.0}


def test_scopes_are_read_from_the_token_store_and_spare_the_requests(validate: Validate) -> None:
    with outreach(**CLIENT) as sandbox:
        connected(sandbox, validate.folder / "ops-token.json", "prospects.read users.read")
        validate.write(sandbox.url, users=[{"name": "the ops", "auth": OAUTH}])
        said = validate("--live")
    assert said.status == 2
    assert said.found["live"]["requests"] == 1
    (error,) = said.texts("errors")
    assert error.endswith("run: outreach-activation connect --destination FILE --user 'the ops'")


def test_an_access_token_that_has_ended_is_renewed_on_the_way(validate: Validate) -> None:
    store = validate.folder / "ops-token.json"
    with outreach(**CLIENT) as sandbox:
        before = connected(sandbox, store, "prospects.all")
        sandbox.expire_tokens("ops")
        validate.write(sandbox.url, users=[{"name": "ops", "auth": OAUTH}])
        said = validate("--live")
    assert said.status == 0, said.err
    assert said.found["live"]["requests"] == 2
    assert orjson.loads(store.read_bytes())["access_token"] != before["access_token"]


def test_a_user_who_is_not_connected_or_no_longer_is_told_to_connect(validate: Validate) -> None:
    with outreach(**CLIENT) as sandbox:
        validate.write(sandbox.url, users=[{"name": "ops", "auth": OAUTH}])
        never = validate("--live")
        connected(sandbox, validate.folder / "ops-token.json", "prospects.all")
        sandbox.revoke_tokens("ops")
        no_longer = validate("--live")
    for said in (never, no_longer):
        assert said.status == 2
        assert "run: outreach-activation connect" in said.texts("errors")[0]


# The server itself.


def test_an_outreach_that_is_not_there_ends_with_2(validate: Validate) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
    validate.write(url, users=[user("ops"), user("ann")])
    said = validate("--live")
    assert said.status == 2
    (error,) = said.texts("errors")
    assert error.startswith("outreach.base_url: Outreach cannot be asked: no connection to")


class WebSite(BaseHTTPRequestHandler):
    """Some other server."""

    protocol_version = "HTTP/1.1"
    status, body = 200, b"<!doctype html><title>Welcome</title>"

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("status", [200, 404])
def test_a_web_site_is_not_taken_for_outreach(validate: Validate, status: int) -> None:
    handler = type("Site", (WebSite,), {"status": status})
    with HTTPServer(("127.0.0.1", 0), handler) as site:
        thread = Thread(target=site.serve_forever, args=[0.01])
        thread.start()
        try:
            validate.write(f"http://127.0.0.1:{site.server_port}")
            said = validate("--live")
        finally:
            site.shutdown()
            thread.join()
    assert said.status == 2
    (error,) = said.texts("errors")
    assert error.startswith(f"outreach.base_url: does not answer as Outreach's API does ({status}")


def test_a_spent_budget_is_a_warning_and_is_not_asked_further(validate: Validate) -> None:
    with outreach(limit=1, violations=["over_limit"]) as sandbox:
        validate.write(sandbox.url)
        ask(sandbox, "GET", "/api/v2/types", token=OPS)
        said = validate("--live")
        assert len(sandbox.requests()) == 2
    assert said.status == 0
    texts = said.texts("warnings")
    assert "users[0]: Outreach does not answer now (Rate Limit Exceeded: " in texts[0]
    assert texts[1] == "users[0].budget.requests: is 10,000, and Outreach allows this user 1"
    assert said.found["live"]["users"][0]["remaining"] == 0


def test_maintenance_is_a_warning(validate: Validate) -> None:
    with outreach() as sandbox:
        validate.write(sandbox.url)
        sandbox.maintain(60)
        said = validate("--live")
    assert said.status == 0
    assert "Outreach does not answer now" in said.texts("warnings")[0]


# Fields.


@pytest.mark.parametrize(
    ("setup", "values", "refusal"),
    [
        (
            "type=picklist,values=In|Out",
            {},
            "(existing) and 'exited' (exited): it takes one of 'In', 'Out'; write what it takes",
        ),
        (
            "type=picklist,values=In|Out",
            {"realized": "In", "existing": "in", "exited": "Out"},
            "refuses 'in' (existing): it takes one of 'In', 'Out'; did you mean 'In'?",
        ),
        ("type=boolean", {}, "it takes true or false"),
        (
            "type=number",
            {"realized": "1", "existing": "1"},
            "refuses 'exited' (exited): it takes a",
        ),
        ("type=date", {}, "it takes a date such as 2026-01-31"),
        ("type=date_time", {}, "it takes a date and time"),
        ("type=url", {}, "it takes an address"),
        ("type=phone_number", {}, "it takes a telephone number"),
        (
            "type=text,max_length=7",
            {},
            "'realized' (realized) and 'existing' (existing): it takes at most 7 characters",
        ),
        (
            "type=text,required=true",
            {"exited": None},
            "refuses null (exited): it is required",
        ),
    ],
)
def test_a_field_that_cannot_hold_what_is_written_ends_with_2(
    validate: Validate, setup: str, values: dict[str, object], refusal: str
) -> None:
    with outreach(f"custom4:label=Enterprise intent,{setup}") as sandbox:
        validate.write(sandbox.url, [{**AUDIENCE, "values": values}])
        said = validate("--live")
    assert said.status == 2
    (error,) = said.texts("errors")
    assert error.startswith("audiences[0].values: custom4 (Enterprise intent) refuses ")
    assert refusal in error
    assert said.found["live"]["fields"][0]["fits"] is False
    assert f":{line_of(validate, 'values')}: audiences[0].values" in said.err


def line_of(validate: Validate, key: str) -> int:
    return load_destination(str(validate.path)).line("audiences", 0, key)


@pytest.mark.parametrize(
    ("setup", "values"),
    [
        ("type=boolean", {"realized": "true", "existing": "true", "exited": "false"}),
        ("type=number", {"realized": "1", "existing": "1.5", "exited": None}),
        ("type=date", {"realized": "2026-01-31", "existing": "2026-01-31", "exited": None}),
        ("type=multi_inclusion,values=realized|existing|exited", {}),
        ("type=text,max_length=8", {"exited": ""}),
    ],
)
def test_a_field_that_can_hold_what_is_written_is_fine(
    validate: Validate, setup: str, values: dict[str, object]
) -> None:
    with outreach(f"custom4:label=Enterprise intent,{setup}") as sandbox:
        validate.write(sandbox.url, [{**AUDIENCE, "values": values}])
        said = validate("--live")
    assert (said.status, said.found["errors"]) == (0, [])
    assert said.found["live"]["fields"][0]["fits"] is True


def test_a_field_that_outreach_does_not_have_ends_with_2(validate: Validate) -> None:
    with outreach() as sandbox:
        change_types(sandbox, lambda fields: [fields.pop(name) for name in ("custom4", "custom9")])
        validate.write(
            sandbox.url, attributes=[{"source": "a", "target": "custom9"}], identity=None
        )
        said = validate("--live")
    assert said.status == 2
    assert [text.partition(" is not among")[0] for text in said.texts("errors")] == [
        "audiences[0].mapping_id: custom4",
        "attributes[0].target: custom9",
    ]
    assert "custom4 Enterprise intent missing no" in rows(said)


def change_types(sandbox: Sandbox, change: Any) -> None:
    """Lets the sandbox answer something else about the prospect's fields than it has."""
    resources = sandbox._outreach.resources
    document = orjson.loads(resources._types)
    change(document["data"][0]["meta"]["validations"])
    resources._types = orjson.dumps(document)


def test_a_type_that_is_not_known_is_a_note(validate: Validate) -> None:
    with outreach() as sandbox:
        change_types(sandbox, lambda fields: fields["custom4"].update(type="hologram"))
        validate.write(sandbox.url)
        said = validate("--live")
        change_types(sandbox, lambda fields: fields.update(custom4=None))
        untold = validate("--live")
    assert (said.status, untold.status) == (0, 0)
    (note,) = said.texts("notes")
    assert "is of a type not known here (hologram)" in note
    assert "custom4 has no type" in untold.texts("notes")[0]
    assert said.found["live"]["fields"][0]["fits"] is None


def test_fields_that_are_not_told_are_a_note(validate: Validate) -> None:
    with outreach() as sandbox:
        validate.write(sandbox.url)
        sandbox._outreach.resources._types = b'{"data": []}'
        said = validate("--live")
    assert (said.status, said.found["live"]["fields"]) == (0, [])
    (note,) = said.texts("notes")
    assert "does not tell how its custom fields are set up, so they were not looked at" in note


@pytest.mark.parametrize(
    ("label", "doubt"),
    [
        ("Churn risk", "custom4 is labelled 'Churn risk' in Outreach, and this audience"),
        ("Webinar guests", "is the audience of custom5 here; are the two mixed up?"),
        ("Custom Field 4", "custom4 has no label in Outreach; call it 'Enterprise intent' there"),
    ],
)
def test_a_label_that_differs_from_the_audiences_name_is_a_warning(
    validate: Validate, label: str, doubt: str
) -> None:
    other = {"segment": "aaaa-2222", "name": "Webinar guests", "mapping_id": 5}
    with outreach(f"custom4:label={label}", "custom5:label=webinar  GUESTS!") as sandbox:
        validate.write(sandbox.url, [AUDIENCE, other])
        said = validate("--live")
    assert said.status == 0
    (warning,) = said.texts("warnings")
    assert warning.startswith("audiences[0].name: custom4 ")
    assert doubt in warning


def test_an_audience_without_a_name_is_not_compared_with_a_label(validate: Validate) -> None:
    with outreach("custom4:label=Anything") as sandbox:
        validate.write(sandbox.url, [{"segment": "aaaa-1111", "mapping_id": 4}])
        said = validate("--live")
    assert (said.status, said.found["warnings"]) == (0, [])


def test_users_who_see_other_fields_may_be_of_two_organisations(validate: Validate) -> None:
    with outreach() as sandbox:
        validate.write(sandbox.url, users=[user("ops"), user("ann")])
        answer = sandbox._outreach.resources.answer

        def answer_differently(*arguments: Any) -> Any:
            change_types(sandbox, lambda fields: fields["custom4"].update(type="inclusion"))
            if arguments[1].user == "ann":
                change_types(sandbox, lambda fields: fields["custom4"].update(type="string"))
            return answer(*arguments)

        sandbox._outreach.resources.answer = answer_differently
        said = validate("--live")
    assert said.status == 0
    assert said.texts("warnings") == [
        "users[1]: sees other custom fields than 'ops'; are both of one Outreach organisation?"
    ]


def test_what_an_answer_leaves_out_is_taken_in_the_fields_favour() -> None:
    assert read_setups(b"[]") is None
    assert read_setups(b"{") is None
    body = {
        "data": [
            {"type": "Account"},
            {"type": "Prospect", "meta": {"validations": {"custom1": {"type": "inclusion"}}}},
        ]
    }
    setups = read_setups(orjson.dumps(body))
    assert setups == {"custom1": FieldSetup("custom1", type="inclusion")}
    assert unmet(setups["custom1"], "anything") is None
    assert not is_known(setups["custom1"])


def test_a_scope_of_all_is_each_of_its_kind_and_of_no_other() -> None:
    granted = read_scopes(b'{"scope": "prospects.all users.read"}')
    assert granted is not None
    assert allows(granted, "prospects.write")
    assert allows(granted, "users.read")
    assert not allows(granted, "users.write")
    assert read_scopes(b'{"scope": ""}') is None
    assert read_scopes(b"[1]") is None


# What it would take.


def change(prospect: object, segment: str = "aaaa-1111", **more: object) -> str:
    said = {"outreach_id": prospect, "segment": segment, "status": "realized", **more}
    return json.dumps(said)


def test_the_input_is_counted_by_user_without_a_request(validate: Validate) -> None:
    lines = [change(n % 40 + 1) for n in range(100)]
    lines += [change(7, "zzzz"), "nonsense", change("x")]
    (validate.folder / "a.jsonl").write_text("\n".join(lines[:50]), encoding="utf-8")
    (validate.folder / "b.jsonl").write_text("\n".join(lines[50:]), encoding="utf-8")
    slow = {"requests": 12, "reserve": 2}
    validate.write("http://127.0.0.1:9", users=[user("ops", budget=slow), user("ann", budget=slow)])
    said = validate("--input", str(validate.folder / "a*"), "--input", f"{validate.folder}/b.jsonl")
    assert said.status == 0
    found = said.found["estimate"]
    assert "live" not in said.found
    assert [Path(file).name for file in found["files"]] == ["a.jsonl", "b.jsonl"]
    assert (found["records"], found["unreadable"], found["unmapped"]) == (103, 2, 1)
    assert found["unmapped_segments"] == [{"segment": "zzzz", "count": 1, "resembles": None}]
    assert (found["changes"], found["prospects"], found["requests"]) == (100, 40, 40)
    ops, ann = found["users"]
    assert ops["prospects"] + ann["prospects"] == 40
    assert ops["prospects"] > 10  # so that it takes more than one hour
    assert ops["hours"] == (ops["prospects"] - 1) // 10
    assert found["hours"] == max(ops["hours"], ann["hours"])
    assert "in 103 records: 100 changes, 1 memberships unmapped, 2 unreadable" in rows(said)
    assert f"ops {ops['prospects']} {ops['hours']:.1f} hours" in rows(said)
    assert rows(said)[-1] == "ready to be used; nothing was sent"


@pytest.mark.parametrize(
    ("requests", "expected"), [(0, 0.0), (1, 0.0), (9_500, 0.0), (9_501, 1.0), (28_501, 3.0)]
)
def test_a_budget_is_spent_at_once_and_again_each_hour(requests: int, expected: float) -> None:
    assert hours(requests, BudgetTerms(10_000, 3_600, 500)) == expected


def test_values_in_the_input_that_a_live_field_refuses_are_counted(validate: Validate) -> None:
    lines = [
        change(1, attributes={"score": 7}),
        change(2, attributes={"score": "high"}),
        change(3, "zzzz", attributes={"score": "low"}),
    ]
    path = validate.folder / "changes.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    with outreach(INTENT, "custom9:label=Score,type=number") as sandbox:
        validate.write(sandbox.url, attributes=[{"source": "score", "target": "custom9"}])
        said = validate("--live", "--input", str(path))
    assert said.status == 0
    found = said.found["estimate"]
    assert (found["changes"], found["refused"], found["prospects"]) == (5, 2, 2)
    assert found["refusals"] == {"custom9": "custom9 (Score) refuses 'high': it takes a number"}
    assert "custom9 (Score) refuses 'high': it takes a number" in rows(said)
    assert "custom9 score Score number unknown" in rows(said)


def test_input_that_is_not_there_ends_with_2(
    validate: Validate, capsys: pytest.CaptureFixture[str]
) -> None:
    validate.write("http://127.0.0.1:9")
    with pytest.raises(SystemExit) as ended:
        validate_command.main(["--destination", str(validate.path), "--input=absent.jsonl"])
    assert ended.value.code == 2
    assert "no file matches 'absent.jsonl'" in capsys.readouterr().err
