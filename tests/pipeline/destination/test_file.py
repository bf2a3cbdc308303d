import json
import pickle
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.io.localfilesystem import LocalFileSystem
from jsonschema import Draft202012Validator

from pipeline.destination.file import destination_schema, load_destination
from pipeline.destination.keys.sections import BearerAuth, OAuth, S2SAuth
from pipeline.destination.yaml_reader import read_yaml
from tests.support.program import ROOT
from tests.support.secret_manager import Manager, secretmanager, serving
from transforms.errors import ConfigurationError
from transforms.outreach.fields import ACCOUNT_FIELDS, PROSPECT_FIELDS

EXAMPLES = ROOT / "examples"

SMALLEST = """\
name: Enterprise audiences
users:
  - name: ops
    auth: {type: bearer, token_env: OUTREACH_TOKEN}
audiences:
  - {segment: 3f0c2d1e, mapping_id: 4}
"""


def write(folder: Path, text: str) -> str:
    path = folder / "destination.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_what_is_left_out_has_the_documented_defaults(tmp_path: Path) -> None:
    destination = load_destination(write(tmp_path, SMALLEST))
    assert destination.outreach.base_url == "https://api.outreach.io"
    assert destination.users[0].budget.model_dump() == {
        "requests": 10_000,
        "per_seconds": 3600,
        "reserve": 500,
    }
    assert destination.identity.of_profiles == "Oid"
    assert destination.delivery.model_dump() == {
        "hold_seconds": 5,
        "in_flight": 16,
        "remember_days": 30,
        "keep_days": 30,
        "give_up_hours": 24,
        "clock_skew_minutes": 10,
        "refresh_hours": 24,
        "live_share": 0.1,
        "bulk": {
            "mode": "off",
            "min_prospects": 200,
            "max_ids": 10_000,
            "give_up_minutes": 60,
        },
        "lanes": 1,
    }
    assert destination.guard.model_dump() == {"max_exit_percent": 50, "window_minutes": 60}
    assert destination.alerts.webhook is None
    assert destination.attributes == ()
    audience = destination.audiences[0]
    assert dict(audience.values) == {
        "realized": "realized",
        "existing": "existing",
        "exited": "exited",
    }
    assert (audience.namespace, audience.name, audience.field) == (None, "3f0c2d1e", "custom4")


def test_a_key_left_empty_is_a_key_left_out(tmp_path: Path) -> None:
    text = SMALLEST + "description:\noutreach:\nattributes:\ndelivery: {hold_seconds: }\n"
    emptied = load_destination(write(tmp_path, text))
    assert emptied.model_dump() == load_destination(write(tmp_path, SMALLEST)).model_dump()


def test_a_status_not_named_in_values_is_written_as_itself_and_null_clears(tmp_path: Path) -> None:
    text = SMALLEST.replace("mapping_id: 4", "mapping_id: 4, values: {realized: In, exited: null}")
    values = load_destination(write(tmp_path, text)).audiences[0].values
    assert dict(values) == {"realized": "In", "existing": "existing", "exited": None}


def test_yes_and_no_are_words_that_can_be_written(tmp_path: Path) -> None:
    text = SMALLEST.replace("mapping_id: 4", "mapping_id: 4, values: {realized: yes, exited: no}")
    values = load_destination(write(tmp_path, text)).audiences[0].values
    assert (values.realized, values.exited) == ("yes", "no")


def test_a_mapping_id_in_quotes_is_the_number_it_spells(tmp_path: Path) -> None:
    text = SMALLEST.replace("mapping_id: 4", 'mapping_id: "150"')
    assert load_destination(write(tmp_path, text)).audiences[0].mapping_id == 150


def test_an_alias_stands_for_what_its_anchor_holds(tmp_path: Path) -> None:
    text = SMALLEST.replace(
        "OUTREACH_TOKEN}",
        "A_TOKEN}\n    budget: &half {requests: 5000}\n"
        "  - name: second\n    auth: {type: bearer, token_env: B_TOKEN}\n    budget: *half",
    )
    users = load_destination(write(tmp_path, text)).users
    assert [user.budget.requests for user in users] == [5000, 5000]


def test_a_file_may_begin_with_a_byte_order_mark_and_end_its_lines_as_windows_does(
    tmp_path: Path,
) -> None:
    path = tmp_path / "destination.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + SMALLEST.replace("\n", "\r\n").encode())
    assert load_destination(str(path)).name == "Enterprise audiences"


def test_json_is_read_as_well(tmp_path: Path) -> None:
    data = read_yaml(SMALLEST).data
    assert load_destination(write(tmp_path, json.dumps(data, indent=2))).users[0].name == "ops"


@pytest.mark.parametrize(
    "address",
    [
        "http://localhost:8080",
        "http://127.0.0.1",
        "http://127.8.9.10:1",
        "http://[::1]:8080",
        "http://outreach.localhost:8080",
        "https://api.outreach.io",
        "https://proxy.example.com/outreach",
    ],
)
def test_the_address_is_https_or_this_machine_itself(tmp_path: Path, address: str) -> None:
    text = f"{SMALLEST}outreach: {{base_url: '{address}/'}}\nalerts: {{webhook: '{address}'}}\n"
    destination = load_destination(write(tmp_path, text))
    assert (destination.outreach.base_url, destination.alerts.webhook) == (address, address)


def test_each_kind_of_credential_is_read_and_its_files_are_beside_the_destination_file(
    tmp_path: Path,
) -> None:
    text = SMALLEST.replace(
        "audiences:",
        "  - name: second\n    auth: {type: oauth, client_id: abc, client_secret_env: SECRET,"
        " token_store: tokens/second.json}\n"
        "  - name: third\n    auth: {type: s2s, install_id: i1, issuer: us,"
        " private_key_file: /keys/third.pem}\naudiences:",
    )
    first, second, third = (user.auth for user in load_destination(write(tmp_path, text)).users)
    assert first == BearerAuth(type="bearer", token_env="OUTREACH_TOKEN")
    assert isinstance(second, OAuth)
    assert second.token_store == str(tmp_path / "tokens" / "second.json")
    assert isinstance(third, S2SAuth)
    assert third.private_key_file == "/keys/third.pem"


def test_files_are_found_beside_a_destination_named_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        tmp_path,
        SMALLEST.replace(
            "{type: bearer, token_env: OUTREACH_TOKEN}",
            "{type: oauth, client_id: a, client_secret_env: S, token_store: ops.json}",
        ),
    )
    monkeypatch.chdir(tmp_path)
    auth = load_destination("destination.yaml").users[0].auth
    assert isinstance(auth, OAuth)
    assert auth.token_store == str(tmp_path / "ops.json")


class _Elsewhere(LocalFileSystem):
    """A filesystem that is not the local one, for Beam to find by its scheme."""

    @classmethod
    def scheme(cls) -> str:
        return "elsewhere"

    def open(self, path: str, *args: Any, **kwargs: Any) -> Any:
        return super().open(path.removeprefix("elsewhere:/"), *args, **kwargs)


def test_a_destination_is_read_from_wherever_beam_reads(tmp_path: Path) -> None:
    assert beam.io.filesystems.FileSystems.get_filesystem("elsewhere://x").scheme() == "elsewhere"
    text = SMALLEST.replace(
        "{type: bearer, token_env: OUTREACH_TOKEN}",
        "{type: oauth, client_id: a, client_secret_env: S, token_store: ops.json}",
    )
    path = "elsewhere:/" + write(tmp_path, text)
    auth = load_destination(path).users[0].auth
    assert isinstance(auth, OAuth)
    assert auth.token_store == f"elsewhere:/{tmp_path}/ops.json"
    with pytest.raises(ConfigurationError, match=r"absent\.yaml: cannot be read"):
        load_destination("elsewhere:///absent.yaml")
    with pytest.raises(ConfigurationError, match=r"nowhere://x.yaml: cannot be read"):
        load_destination("nowhere://x.yaml")


def test_a_key_is_named_with_its_file_and_line(tmp_path: Path) -> None:
    path = write(tmp_path, SMALLEST)
    destination = load_destination(path)
    at = ("users", 0, "auth", "token_env")
    assert destination.line(*at) == 4
    assert destination.where(*at) == f"{path}:4: users[0].auth.token_env"
    assert destination.where("users", 0, "budget", "reserve").startswith(f"{path}:3: ")
    assert pickle.loads(pickle.dumps(destination)).where(*at) == destination.where(*at)  # noqa: S301 - our own


@pytest.mark.parametrize("path", ["secret", "./projects/secret", "projects/p/secrets/ops"])
def test_secrets_are_read_from_files_and_from_secret_manager(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    (tmp_path / "projects").mkdir()
    for file in ("secret", "projects/secret"):
        (tmp_path / file).write_text(" s3cr3t\n")
    manager = Manager()
    manager.versions[1] = b"s3cr3t\n"
    text = SMALLEST.replace("token_env: OUTREACH_TOKEN", f"token_file: {path}").replace(
        "audiences:",
        "  - name: second\n    auth: {type: oauth, client_id: abc, token_store: second.json,"
        f" client_secret_file: {path}}}\naudiences:",
    )
    destination = load_destination(write(tmp_path, text))
    with serving(manager) as client:
        monkeypatch.setattr(secretmanager, "SecretManagerServiceClient", lambda: client)
        secrets = destination.secrets({})
    assert {name: secret.get_secret_value() for name, secret in secrets.items()} == {
        "ops": "s3cr3t",
        "second": "s3cr3t",
    }
    assert "s3cr3t" not in repr(secrets)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "the secret cannot be read ({}: No such file or directory); put it there"),
        (b"\n", "the secret is empty ({}); put it there"),
        (b"\xff", "the secret cannot be read ({}: not a text file); put it there"),
    ],
)
def test_a_file_that_holds_no_secret_is_named_with_its_line(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    path = write(tmp_path, SMALLEST.replace("token_env: OUTREACH_TOKEN", "token_file: token"))
    with pytest.raises(ConfigurationError) as refused:
        load_destination(path).secrets({})
    where = f"{path}:4: users[0].auth.token_file: "
    assert str(refused.value) == where + said.format(tmp_path / "token")


def test_every_missing_variable_and_key_file_is_named_with_its_line(tmp_path: Path) -> None:
    text = SMALLEST.replace(
        "audiences:",
        "  - name: second\n    auth: {type: oauth, client_id: abc, client_secret_env: SECRET,"
        " token_store: second.json}\n"
        "  - name: third\n    auth: {type: s2s, install_id: i1, issuer: us,"
        " private_key_file: third.pem}\naudiences:",
    )
    path = write(tmp_path, text)
    with pytest.raises(ConfigurationError) as refused:
        load_destination(path).secrets({"SECRET": " "})
    one, two, three = str(refused.value).splitlines()
    assert one == (
        f"{path}:4: users[0].auth.token_env: the environment variable OUTREACH_TOKEN is not set;"
        " set it before starting"
    )
    assert two == (
        f"{path}:6: users[1].auth.client_secret_env: the environment variable SECRET is empty;"
        " set it before starting"
    )
    assert three == (
        f"{path}:8: users[2].auth.private_key_file: the private key cannot be read"
        f" ({tmp_path}/third.pem: No such file or directory); put the app's key there"
    )
    for content in (b"not a key", b"\xff\xfe"):
        (tmp_path / "third.pem").write_bytes(content)
        with pytest.raises(ConfigurationError, match=r"third\.pem") as refused:
            load_destination(path).secrets({"SECRET": "s", "OUTREACH_TOKEN": "t"})
        assert "not a key" not in str(refused.value)


def test_secrets_are_found_by_user_and_masked_when_printed(tmp_path: Path) -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n"
    (tmp_path / "third.pem").write_text(key, encoding="ascii")
    text = SMALLEST.replace(
        "audiences:",
        "  - name: third\n    auth: {type: s2s, install_id: i1, issuer: us,"
        " private_key_file: third.pem}\naudiences:",
    )
    secrets = load_destination(write(tmp_path, text)).secrets({"OUTREACH_TOKEN": "s3cr3t\n"})
    assert {user: secret.get_secret_value() for user, secret in secrets.items()} == {
        "ops": "s3cr3t",
        "third": key,
    }
    assert "s3cr3t" not in repr(secrets)
    assert "MIIE" not in repr(secrets)


def test_the_webhook_which_may_hold_a_secret_is_not_in_the_destinations_repr(
    tmp_path: Path,
) -> None:
    text = f"{SMALLEST}alerts: {{webhook: 'https://hooks.example.com/T0/hushhush'}}\n"
    assert "hushhush" not in repr(load_destination(write(tmp_path, text)))


def test_the_example_loads_and_shows_each_kind_of_mapping() -> None:
    destination = load_destination(str(EXAMPLES / "destination.yaml"))
    assert [audience.field for audience in destination.audiences] == [
        "custom4",
        "custom5",
        "custom17",
        "custom42",
    ]
    assert len(destination.attributes) == 3
    assert destination.outreach.base_url == "https://api.outreach.io"
    assert destination.audiences[3].values.exited is None
    assert destination.secrets({"OUTREACH_TOKEN": "t"})["ops"].get_secret_value() == "t"


def test_the_schema_accepts_what_loads_and_refuses_what_an_editor_should_underline() -> None:
    schema = destination_schema()
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    example = (EXAMPLES / "destination.yaml").read_text(encoding="utf-8")
    assert list(validator.iter_errors(read_yaml(example).data)) == []
    assert list(validator.iter_errors(read_yaml(SMALLEST).data)) == []
    for old, new in [
        ("mapping_id: 4", "mapping_id: 151"),
        ("mapping_id: 4", "mapping_ids: 4"),
        ("mapping_id: 4", "mapping_id: 4, values: {realized: true}"),
        ("mapping_id: 4", "mapping_id: 4, values: {realised: In}"),
        ("type: bearer", "type: baerer"),
        ("name: ops", "name: ''"),
        ("name: Enterprise audiences", "title: Enterprise audiences"),
        ("audiences:", "attributes: [{source: a, target: updatedAt}]\naudiences:"),
        ("audiences:", "attributes: [{source: a, target: emails}]\naudiences:"),
        ("audiences:", "delivery: {hold_seconds: -1}\naudiences:"),
    ]:
        data = read_yaml(SMALLEST.replace(old, new)).data
        assert list(validator.iter_errors(data)), new


def test_each_key_of_the_schema_has_a_title_a_description_and_an_example_that_it_accepts() -> None:
    schema = destination_schema()
    for section in (schema, *schema["$defs"].values()):
        assert section["additionalProperties"] is False
        assert section["description"].endswith(".")
        for key, its in section["properties"].items():
            assert its["title"], key
            assert its["description"].endswith("."), key
            validator = Draft202012Validator({**its, "$defs": schema["$defs"]})
            for example in its["examples"]:
                assert list(validator.iter_errors(example)) == [], key


def test_the_schema_offers_every_field_that_an_attribute_may_be_written_to() -> None:
    offered = destination_schema()["$defs"]["Attribute"]["properties"]["target"]["enum"]
    fields = [*PROSPECT_FIELDS.items(), *ACCOUNT_FIELDS.items()]
    writable = {name for name, field in fields if field.writable}
    assert set(offered) == (writable - {"emails"}) | {"account_domain"}


def test_the_schema_beside_the_example_is_the_current_one() -> None:
    written = (EXAMPLES / "destination.schema.json").read_text(encoding="utf-8")
    assert json.loads(written) == destination_schema()


def test_a_destination_cannot_be_changed_once_read(tmp_path: Path) -> None:
    destination = load_destination(write(tmp_path, SMALLEST))
    with pytest.raises(ValueError, match="frozen"):
        destination.name = "another"  # type: ignore[misc]
