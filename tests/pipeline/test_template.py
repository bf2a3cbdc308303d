"""The Flex Template in `deploy/dataflow/`: what it says is what the program and the API take."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import apache_beam
import click
import pytest
from google.cloud.dataflow_v1beta3 import types

from pipeline import template
from pipeline.commands.run import run_command
from pipeline.console.flags import beam_flags
from pipeline.destination.file import load_destination
from pipeline.jobs.dataflow import check_credentials
from tests.support.beam.job_graph import arguments, destination_in, launch
from tests.support.processes.program import ROOT

FOLDER = ROOT / "deploy" / "dataflow"
DOCKERFILE = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
README = (FOLDER / "README.md").read_text(encoding="utf-8")
METADATA: dict[str, Any] = json.loads((FOLDER / "metadata.json").read_text(encoding="utf-8"))
PARAMETERS: dict[str, dict[str, Any]] = {each["name"]: each for each in METADATA["parameters"]}
FLAGS = {each.name: each for each in run_command.params if isinstance(each, click.Option)}
OF_ONE_MACHINE = {
    *("dry_run", "ledger", "metrics_port", "metrics_host", "summary", "listen", "port_file"),
    *("tls_certificate", "tls_key", "tls_client_ca", "behind_proxy", "max_body_bytes"),
    *("inbox_limit", "page_port", "page_token_env", "page_private"),
}
"""Flags that are for the job on one machine, or for one that is waited for."""
REQUIRED = sorted(name for name, each in PARAMETERS.items() if not each.get("isOptional"))
RIGHT = {
    "GCS_READ_FILE": ["gs://my-bucket/destination.yaml", "gs://a.b_c/x/y z.yaml"],
    "PUBSUB_SUBSCRIPTION": [
        "projects/my-project/subscriptions/changes",
        "projects/example.com:p/subscriptions/a.b",
    ],
    "PUBSUB_TOPIC": ["projects/my-project/topics/dead-letters", "projects/p-1/topics/a_b~c"],
}
WRONG = [
    "", "destination.yaml", "gs://bucket", "gs:///x", "s3://bucket/x", "changes", "a\nb",
    "projects/p/subscriptions/", "projects/p/topics/", "projects/p/topics/1st",
    "projects//topics/changes", "gs://my-bucket/a\nb",
]  # fmt: skip


def lines(pattern: str, text: str) -> list[Any]:
    """All that a pattern finds, where ``^`` and ``$`` are those of lines."""
    return re.findall(pattern, text, re.MULTILINE)


def test_the_api_knows_all_that_the_template_says_of_itself() -> None:
    known = types.TemplateMetadata.from_json(json.dumps(METADATA), ignore_unknown_fields=False)
    assert known.name
    assert known.streaming
    assert known.supports_exactly_once
    assert not known.supports_at_least_once
    assert len(known.parameters) == len(PARAMETERS) == len(METADATA["parameters"])


def test_its_parameters_are_the_flags_of_run_that_a_job_on_dataflow_has() -> None:
    assert PARAMETERS.keys() == FLAGS.keys() - OF_ONE_MACHINE


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_is_explained_as_the_flag_is_and_its_example_is_right(name: str) -> None:
    help_text = PARAMETERS[name]["helpText"]
    flag_help = (FLAGS[name].help or "").removeprefix("With --runner: ")
    assert help_text.lower().startswith(flag_help.lower())
    (example,) = re.findall(r"Example: (\S+)$", help_text)
    (regex,) = PARAMETERS[name]["regexes"]
    assert re.search(regex, example)


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_takes_what_is_right_and_nothing_else(name: str) -> None:
    kind = PARAMETERS[name]["paramType"]
    (regex,) = PARAMETERS[name]["regexes"]
    assert regex.startswith("^")
    assert regex.endswith("$")
    others = [value for other, values in RIGHT.items() if other != kind for value in values]
    assert [value for value in RIGHT[kind] if not re.search(regex, value)] == []
    assert [value for value in [*others, *WRONG] if re.search(regex, value)] == []


@pytest.mark.real
@pytest.mark.parametrize("name", REQUIRED)
def test_a_job_does_not_start_without_what_is_required(tmp_path: Path, name: str) -> None:
    said = launch(tmp_path, without={name})
    assert said.status == 2
    assert f"--{name}" in said.output
    assert said.service.asked == []


@pytest.mark.real
def test_a_job_starts_with_what_is_required_and_no_more(tmp_path: Path) -> None:
    said = launch(tmp_path, without=PARAMETERS.keys() - REQUIRED)
    assert said.status == 0, said.output
    assert len(said.service.jobs) == 1


def test_the_image_has_the_beam_that_is_tested_here_and_a_python_that_is_supported() -> None:
    ((python, beam),) = re.findall(
        r"^FROM apache/beam_python([\d.]+)_sdk:(\S+)", DOCKERFILE, re.MULTILINE
    )
    (launcher,) = re.findall(
        r"^FROM \S+/python(\d+)-template-launcher-base", DOCKERFILE, re.MULTILINE
    )
    assert beam == apache_beam.__version__
    assert python.replace(".", "") == launcher
    assert f'"Programming Language :: Python :: {python}"' in (ROOT / "setup.py").read_text()


def test_the_image_holds_all_that_is_installed_and_starts_workers_as_beam_does() -> None:
    sources = {
        word for line in lines(r"^COPY (?!--)(.*) \S+$", DOCKERFILE) for word in line.split()
    }
    assert sources == {"setup.py", "pyproject.toml", "README.md", "pipeline", "transforms"}
    assert not re.search(r"^(ENTRYPOINT|CMD|USER)", DOCKERFILE)
    assert f"ENV {template.IMAGE}=$IMAGE" in DOCKERFILE


@pytest.mark.real
def test_the_launchers_file_is_run_by_its_path_as_the_launcher_does(tmp_path: Path) -> None:
    (path,) = lines(r"^ENV FLEX_TEMPLATE_PYTHON_PY_FILE=(\S+)$", DOCKERFILE)
    ((text, written),) = lines(r"^RUN printf '(.*)' > (\S+)$", DOCKERFILE)
    assert written == path
    launcher = tmp_path / Path(path).name
    launcher.write_text(text.replace("\\n", "\n"), encoding="utf-8")
    auth = {"type": "bearer", "token_env": "OUTREACH_TOKEN"}
    given = arguments(destination_in(tmp_path, users=[{"name": "ops", "auth": auth}]))
    said = subprocess.run(
        [sys.executable, launcher, *given],
        cwd=tmp_path,
        capture_output=True,
        check=False,
        text=True,
    )
    assert said.returncode == 2
    assert "names an environment variable, and Dataflow's workers have none" in said.stderr


@pytest.mark.real
def test_what_a_setup_file_brings_to_the_workers_is_the_whole_program(tmp_path: Path) -> None:
    command = ["setup.py", "-q", "egg_info", "--egg-base", tmp_path, "sdist", "-d", tmp_path]
    subprocess.run(
        [sys.executable, "-W", "ignore", *command], cwd=ROOT, capture_output=True, check=True
    )
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    listed = subprocess.run(
        ["git", "ls-files", "-z", "setup.py", "README.md", "pipeline", "transforms"],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    )
    if listed.returncode:
        pytest.skip("this is no git checkout")
    assert set(listed.stdout.split("\0")) - {""} <= names


def commands(beginning: str) -> list[list[str]]:
    """The words of each command of the page that begins so, over its broken lines."""
    joined = README.replace("\\\n", " ")
    return [shlex.split(line) for line in lines(rf"^ *({beginning} .*)$", joined)]


def test_the_page_launches_with_parameters_of_the_template() -> None:
    (words,) = commands("gcloud dataflow flex-template run")
    named = [
        word.removeprefix("--parameters=").partition("=")[0]
        for word in words
        if word.startswith("--parameters=")
    ]
    assert set(named) == PARAMETERS.keys()
    (build,) = commands("gcloud dataflow flex-template build")
    (metadata,) = [word for word in build if word.startswith("--metadata-file=")]
    assert (ROOT / metadata.partition("=")[2]) == FOLDER / "metadata.json"


def test_the_page_launches_without_the_template_by_flags_of_ours_and_of_beams() -> None:
    launching, replaying = (
        {word.removeprefix("--").partition("=")[0] for word in words[2:]}
        for words in commands("outreach-activation run")
    )
    assert launching > PARAMETERS.keys()
    assert replaying <= FLAGS.keys()
    assert {f"--{name}" for name in launching - FLAGS.keys()} <= beam_flags().keys()


def test_the_destination_on_the_page_can_be_launched(tmp_path: Path) -> None:
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    path = tmp_path / "destination.yaml"
    path.write_text(text, encoding="utf-8")
    check_credentials(load_destination(str(path)))


def test_the_page_makes_what_the_launch_names() -> None:
    (launching,) = commands("gcloud dataflow flex-template run")
    (loop,) = re.findall(
        r"^for topic in (.*); do\n  gcloud pubsub topics create", README, re.MULTILINE
    )
    named = re.findall(r"projects/\$PROJECT/(?:topics|subscriptions)/(\S+)", " ".join(launching))
    assert set(named) == set(loop.split())
