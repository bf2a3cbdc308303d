import json
from pathlib import Path
from typing import NamedTuple

import pytest

from pipeline.commands.validate import validate_command
from pipeline.destination.file import destination_schema
from tests.support.processes.program import ROOT

EXAMPLE = ROOT / "examples" / "destination.yaml"
TOKEN = "tok3n-of-the-ops-user"

GOOD = """\
name: Enterprise audiences
users:
  - name: ops
    auth: {type: bearer, token_env: OUTREACH_TOKEN}
audiences:
  - {segment: aaaa-1111, name: Enterprise intent, mapping_id: 4}
"""


class Said(NamedTuple):
    status: object
    out: str
    err: str


class Validate:
    """Runs the command as the command line does."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path = folder / "destination.yaml"
        self._capsys = capsys

    def __call__(self, *flags: str) -> Said:
        with pytest.raises(SystemExit) as ended:
            validate_command.main(list(flags))
        captured = self._capsys.readouterr()
        return Said(ended.value.code, captured.out, captured.err)

    def text(self, text: str, *flags: str) -> Said:
        self.path.write_text(text, encoding="utf-8")
        return self("--destination", str(self.path), *flags)


@pytest.fixture
def validate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Validate:
    monkeypatch.setenv("OUTREACH_TOKEN", TOKEN)
    monkeypatch.setenv("COLUMNS", "120")
    return Validate(tmp_path, capsys)


def test_a_good_file_is_told_in_short_on_standard_error_and_ends_with_0(validate: Validate) -> None:
    said = validate("--destination", str(EXAMPLE))
    assert (said.status, said.out) == (0, "")
    lines = [" ".join(line.split()) for line in said.err.splitlines()]
    assert lines[0] == "Enterprise audiences to https://api.outreach.io"
    assert "Enterprise intent custom4 5c8e1f0a-2d37-4b96-a1c4-7f3e90b2d865" in lines
    assert "realized: Guest, existing: Guest, exited: cleared" in lines
    assert "workAddress.city addressCity" in lines
    assert "ops 9,500 an hour token from the environment variable OUTREACH_TOKEN" in lines
    assert lines[-1] == "ready to be used; nothing was sent"
    assert "warning" not in said.err
    assert TOKEN not in said.err


def test_a_bad_file_ends_with_2_and_every_line_that_is_wrong(validate: Validate) -> None:
    said = validate.text(GOOD.replace("mapping_id: 4", "mapping_id: 151, nam: x"))
    assert (said.status, said.out) == (2, "")
    assert said.err.splitlines() == [
        (
            f"error {validate.path}:6: audiences[0].mapping_id: must be a whole number from 1 to"
            " 150 (151); use the N of the Custom Field N that this audience is written to"
        ),
        f"error {validate.path}:6: audiences[0].nam: unknown key; did you mean name?",
    ]


def test_a_missing_variable_ends_with_2_and_is_named_with_its_line(
    validate: Validate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OUTREACH_TOKEN")
    said = validate.text(GOOD)
    assert said.status == 2
    assert f"{validate.path}:4: users[0].auth.token_env: the environment variable" in said.err
    assert "ready" not in said.err


def test_a_file_that_is_not_there_ends_with_2(validate: Validate) -> None:
    said = validate("--destination", "absent.yaml", "--json")
    assert said.status == 2
    assert "absent.yaml: there is no such file" in said.err
    assert json.loads(said.out)["errors"] == [
        {
            "line": None,
            "key": "",
            "text": "absent.yaml: there is no such file; name one with --destination",
        }
    ]


def test_without_a_destination_it_asks_for_one(validate: Validate) -> None:
    said = validate()
    assert said.status == 2
    assert "--destination" in said.err


def test_the_schema_is_printed_without_a_destination_and_with_nothing_around_it(
    validate: Validate,
) -> None:
    said = validate("--schema")
    assert (said.status, said.err) == (0, "")
    assert json.loads(said.out) == destination_schema()


def test_what_was_found_is_printed_as_json_for_programs(validate: Validate) -> None:
    said = validate.text(GOOD.replace("mapping_id: 4", "mapping_id: 4, nam: x"), "--json")
    assert json.loads(said.out) == {
        "destination": str(validate.path),
        "ok": False,
        "errors": [
            {"line": 6, "key": "audiences[0].nam", "text": "unknown key; did you mean name?"}
        ],
        "warnings": [],
    }
    said = validate.text(f"{GOOD}delivery: {{remember_days: 0}}\n", "--json")
    assert json.loads(said.out) == {
        "destination": str(validate.path),
        "ok": True,
        "errors": [],
        "warnings": [
            {
                "line": 7,
                "key": "delivery.remember_days",
                "text": "sends values again that a prospect already holds",
            }
        ],
    }


@pytest.mark.parametrize(
    ("old", "new", "warning"),
    [
        (
            "OUTREACH_TOKEN}",
            "OUTREACH_TOKEN}\n    budget: {reserve: 0}",
            "5: users[0].budget.reserve: leaves the user's other tools nothing to spend",
        ),
        (
            "OUTREACH_TOKEN}",
            "OUTREACH_TOKEN}\n    budget: {requests: 10000, per_seconds: 60}",
            "5: users[0].budget.requests: is 600,000 an hour; Outreach allows 10,000",
        ),
        (
            "audiences:",
            "  - name: second\n    auth: {type: bearer, token_env: OUTREACH_TOKEN}\naudiences:",
            "6: users[1].auth.token_env: is the token of users[0] too; one Outreach user's",
        ),
        (
            "mapping_id: 4",
            "mapping_id: 4, values: {exited: realized}",
            "6: audiences[0].values.exited: is what a member has too; nobody can tell who left",
        ),
        (
            "audiences:",
            "audiences:\n  - {segment: VIP, mapping_id: 8}\n  - {segment: vip, mapping_id: 9}",
            "7: audiences[1].segment: differs from audiences[0].segment in capitals only",
        ),
        (
            "mapping_id: 4",
            "mapping_id: 4, values: {exited: ''}",
            "6: audiences[0].values.exited: writes an empty text; null clears the field",
        ),
        (
            "audiences:",
            "attributes:\n  - {source: deletedAt, target: trashedAt}\naudiences:",
            "6: attributes[0].target: deletes the prospects that have this attribute",
        ),
        (
            "audiences:",
            "delivery: {hold_seconds: 5400}\naudiences:",
            "5: delivery.hold_seconds: keeps every change back for 1.5 hours",
        ),
        (
            "audiences:",
            "delivery: {remember_days: 0}\naudiences:",
            "5: delivery.remember_days: sends values again that a prospect already holds",
        ),
    ],
)
def test_what_is_legal_but_odd_is_a_warning_with_its_line(
    validate: Validate, old: str, new: str, warning: str
) -> None:
    said = validate.text(GOOD.replace(old, new))
    assert said.status == 0
    warnings = [line for line in said.err.splitlines() if line.startswith("warning")]
    assert [line.startswith(f"warning {validate.path}:{warning}") for line in warnings] == [True]


def test_a_token_store_is_to_be_written_first_and_to_be_read_by_its_owner_alone(
    validate: Validate, tmp_path: Path
) -> None:
    text = GOOD.replace(
        "{type: bearer, token_env: OUTREACH_TOKEN}",
        "{type: oauth, client_id: a, client_secret_env: OUTREACH_TOKEN, token_store: t.json}",
    )
    assert "holds no tokens yet; run connect --user 'ops'" in validate.text(text).err
    store = tmp_path / "t.json"
    store.write_text("{}", encoding="ascii")
    store.chmod(0o644)
    assert f"can be read by others; run chmod 600 {store}" in validate.text(text).err
    store.chmod(0o600)
    assert "warning" not in validate.text(text).err


def test_a_token_in_a_file_is_shown_by_its_place_and_to_be_read_by_its_owner_alone(
    validate: Validate, tmp_path: Path
) -> None:
    token = tmp_path / "ops-token"
    token.write_text("s3cr3t", encoding="ascii")
    token.chmod(0o644)
    said = validate.text(GOOD.replace("token_env: OUTREACH_TOKEN", "token_file: ops-token"))
    # A long path is folded.
    assert f"tokenfromthefile{token}" in "".join(said.err.split())
    assert f"users[0].auth.token_file: can be read by others; run chmod 600 {token}" in said.err
    assert "s3cr3t" not in said.err


def test_a_name_with_square_brackets_is_shown_as_it_is(validate: Validate) -> None:
    text = GOOD.replace("name: Enterprise audiences", "name: '[bold]a[/b] [x]'")
    said = validate.text(text.replace("name: Enterprise intent", "name: '[i]b[/]'"))
    assert said.err.startswith("[bold]a[/b] [x] to ")
    assert "[i]b[/]" in said.err


def test_of_a_webhook_only_the_host_is_shown(validate: Validate) -> None:
    said = validate.text(f"{GOOD}alerts: {{webhook: 'https://hooks.example.com/T0/hushhush'}}\n")
    assert "alerts go to hooks.example.com" in said.err
    assert "hushhush" not in said.err
