"""What is known to be wrong is said before anybody is sent to a browser."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pipeline.cli import cli
from pipeline.commands.connect import oauth_of
from pipeline.destination.file import load_destination
from tests.pipeline.commands.connect.connecting import SECRET, SECRET_ENV, write_destination

pytestmark = pytest.mark.real


def invoked(monkeypatch: pytest.MonkeyPatch, path: Path, *flags: str, user: str = "ops") -> Result:
    monkeypatch.setenv(SECRET_ENV, SECRET)
    monkeypatch.setenv("COLUMNS", "200")
    arguments = ["connect", f"--destination={path}", f"--user={user}", "--no_browser"]
    return CliRunner().invoke(cli, [*arguments, "--wait_seconds=0.01", *flags])


def test_a_user_who_does_not_sign_in_by_oauth_is_refused_with_what_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = invoked(monkeypatch, write_destination(tmp_path, "http://127.0.0.1:9"), user="trial")
    assert said.exit_code == 2
    assert "user 'trial' is not connected by OAuth but is of type bearer" in said.output
    assert "write type: oauth with client_id" in said.output
    assert "/oauth/authorize" not in said.output


def test_a_user_who_is_not_in_the_file_is_refused_with_the_nearest_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_destination(tmp_path, "http://127.0.0.1:9")
    said = invoked(monkeypatch, path, user="opps")
    assert said.exit_code == 2
    assert "no user is called 'opps'; did you mean 'ops'?" in said.output
    said = invoked(monkeypatch, path, user="zz")
    assert "there are ops, trial" in said.output


def test_a_missing_client_secret_is_named_and_other_users_secrets_are_not_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_destination(tmp_path, "http://127.0.0.1:9")
    monkeypatch.delenv(SECRET_ENV, raising=False)
    said = CliRunner().invoke(cli, ["connect", f"--destination={path}", "--user=ops"])
    assert said.exit_code == 2
    assert f"users[0].auth.client_secret_env: the environment variable {SECRET_ENV}" in said.output
    assert "TRIAL_TOKEN" not in said.output


@pytest.mark.parametrize(
    "store", ["absent/t.json", "folder", "destination.yaml/t.json", "gs://b/t.json"]
)
def test_a_store_that_cannot_be_written_is_refused_before_anybody_signs_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: str
) -> None:
    (tmp_path / "folder").mkdir()
    path = write_destination(tmp_path, "http://127.0.0.1:9", token_store=store)
    said = invoked(monkeypatch, path)
    assert said.exit_code == 2, said.output
    assert store in said.output
    assert "/oauth/authorize" not in said.output


def test_a_store_in_secret_manager_is_in_no_folder(tmp_path: Path) -> None:
    secret = "projects/p/secrets/outreach-ops"
    path = write_destination(tmp_path, "http://127.0.0.1:9", token_store=secret)
    assert oauth_of(load_destination(str(path)), "ops", {SECRET_ENV: SECRET}).token_store == secret


def test_a_port_that_is_taken_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_destination(tmp_path, "http://127.0.0.1:9")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = invoked(monkeypatch, path, f"--port={taken.getsockname()[1]}")
    assert said.exit_code == 2
    assert "cannot listen on 127.0.0.1:" in said.output
    assert "register another redirect URI" in said.output


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--redirect_uri=http://tools.example.com/x"], "must be encrypted"),
        (["--redirect_uri=https://tools.example.com/#x"], "must be without a fragment"),
        (["--redirect_uri=localhost:8910"], "must be a web address"),
        (["--redirect_uri=https://x.example", "--port=8910"], "give one"),
        (["--port=0"], "0 is not in the range"),
        (["--wait_seconds=0"], "0.0 is not in the range"),
    ],
)
def test_a_command_line_that_cannot_work_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str], said: str
) -> None:
    path = write_destination(tmp_path, "http://127.0.0.1:9")
    result = invoked(monkeypatch, path, *flags)
    assert result.exit_code == 2
    assert said in result.output
