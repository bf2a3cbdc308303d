"""A launch on Dataflow: what is refused, updated, or written out for the template's launcher."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from pipeline import template
from tests.support.beam.job_graph import (
    TOKEN,
    arguments,
    destination_in,
    launch,
    launcher_flags,
    secrets,
)
from tests.support.servers.dataflow_service import JOB_ID, dataflow_service
from tests.support.servers.secret_manager import PATH

pytestmark = pytest.mark.real


@pytest.mark.parametrize(
    ("auth", "key", "named", "instead"),
    [
        ({"type": "bearer", "token_env": "T"}, "token_env", "T", "token_file"),
        ({"type": "bearer", "token_file": "token"}, "token_file", "{}/token", "token_file"),
        (
            {"type": "oauth", "client_id": "a", "client_secret_env": "S", "token_store": PATH},
            "client_secret_env",
            "S",
            "client_secret_file",
        ),
        (
            {"type": "oauth", "client_id": "a", "client_secret_file": PATH, "token_store": "t"},
            "token_store",
            "{}/t",
            "token_store",
        ),
        (
            {"type": "s2s", "install_id": "i", "issuer": "us", "private_key_file": "k.pem"},
            "private_key_file",
            "{}/k.pem",
            "private_key_file",
        ),
    ],
)
def test_a_credential_that_workers_cannot_reach_is_refused_before_the_job_starts(
    tmp_path: Path, auth: dict[str, str], key: str, named: str, instead: str
) -> None:
    said = launch(tmp_path, users=[{"name": "ops", "auth": auth}])
    assert said.status == 2
    assert f"users[0].auth.{key}: names " in said.output
    assert f"({named.format(tmp_path)})" in said.output
    assert f"write {instead}: projects/PROJECT/secrets/SECRET" in said.output
    assert said.service.asked == []


def test_a_secret_that_is_not_there_is_refused_before_the_job_starts(tmp_path: Path) -> None:
    auth = {"type": "bearer", "token_file": "projects/p/secrets/other"}
    said = launch(tmp_path, users=[{"name": "ops", "auth": auth}])
    assert said.status == 2
    assert "users[0].auth.token_file: the secret cannot be read" in said.output
    assert said.service.asked == []


def test_outputs_that_would_be_lost_are_refused_before_the_job_starts(tmp_path: Path) -> None:
    said = launch(tmp_path, "--receipts=receipts.jsonl")
    assert said.status == 2
    assert "receipts.jsonl would be written by workers on other machines" in said.output
    assert said.service.asked == []


def test_what_dataflow_refuses_is_told_in_a_sentence(tmp_path: Path) -> None:
    said = launch(tmp_path, refusing=(403, "the caller lacks a permission"))
    assert said.status == 2
    last = said.output.splitlines()[-1]  # Beam's own log is before it.
    assert last.startswith("refused Dataflow refuses the job: ")
    assert last.endswith("the caller lacks a permission")
    assert "Traceback" not in said.output


def test_a_job_that_runs_already_under_the_name_is_not_started_twice(tmp_path: Path) -> None:
    said = launch(tmp_path, running="activation", taken=True)
    assert said.status == 2
    assert f"already active job named activation with id: {JOB_ID}" in said.output


def test_without_what_dataflow_needs_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "apache_beam.runners.dataflow.internal.apiclient", None)
    said = launch(tmp_path)
    assert said.status == 2
    assert "install outreach-activation[dataflow]" in said.output


def test_an_update_names_the_job_that_it_replaces_and_the_steps_that_have_other_names(
    tmp_path: Path,
) -> None:
    mapping = {"Coalesce/Hold": "Coalesce/Gather"}
    updating = ("--update", f"--transform_name_mapping={json.dumps(mapping)}")
    said = launch(tmp_path, *updating, running="activation")
    assert said.status == 0, said.output
    assert said.job["replaceJobId"] == JOB_ID
    assert said.job["transformNameMapping"] == mapping


def test_the_templates_launcher_gets_the_job_written_out_and_does_not_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    staging = tmp_path / "staging"
    staging.mkdir()
    job_object = tmp_path / "job_object"
    given = arguments(destination_in(tmp_path))
    monkeypatch.setenv(template.IMAGE, "europe-docker.pkg.dev/my-project/images/activation:1")
    with dataflow_service() as service, secrets():
        flags = launcher_flags(str(job_object), str(staging))
        endpoint = [f"--dataflow_endpoint=http://localhost:{service.port}", "--no_auth"]
        monkeypatch.setattr(sys, "argv", ["launch.py", *given, *flags, *endpoint])
        with pytest.raises(SystemExit) as ended:
            template.main()
    assert ended.value.code == 0
    assert service.asked == []
    job = json.loads(job_object.read_text())
    assert job["labels"] == {"goog-dataflow-provided-template-type": "flex"}
    options = job["environment"]["sdkPipelineOptions"]["options"]
    assert options["sdk_container_image"] == "europe-docker.pkg.dev/my-project/images/activation:1"
    said = capsys.readouterr()
    assert said.err == "the job is written out, for Dataflow to start it\n"
    assert TOKEN not in job_object.read_text()


def test_the_template_adds_the_runner_and_its_image_unless_others_are_named() -> None:
    given = ["--destination=d", "--project=p"]
    assert template.arguments(given, {}) == [*given, "--runner=DataflowRunner"]
    assert template.arguments(given, {template.IMAGE: "i:1"}) == [
        *given,
        "--runner=DataflowRunner",
        "--sdk_container_image=i:1",
    ]
    named = ["--runner=TestDataflowRunner", "--sdk_container_image=j:2"]
    assert template.arguments(named, {template.IMAGE: "i:1"}) == named
