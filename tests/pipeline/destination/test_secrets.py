"""Secrets are found where the file names them, named when missing, and never shown."""

from pathlib import Path

import pytest

from pipeline.destination.file import load_destination
from tests.pipeline.destination.writing import SMALLEST, write
from tests.support.servers.secret_manager import Manager, secretmanager, serving
from transforms.errors import ConfigurationError


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
