"""The job as Dataflow gets it, and as other runners do: built by `run`, or by what `run` calls."""

from __future__ import annotations

import base64
import bz2
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import apache_beam as beam
from apache_beam.portability.api import beam_runner_api_pb2
from click.testing import CliRunner

from pipeline.cli import cli
from pipeline.destination.file import load_destination
from pipeline.io.pubsub_source import ReadMessages
from pipeline.jobs.streaming import Streaming, activation_of, options_of
from tests.support.processes.program import write_destination
from tests.support.servers.dataflow_service import PROJECT, REGION, Service, dataflow_service
from tests.support.servers.secret_manager import PATH, Manager, secretmanager, serving

Pipeline = Any
"""A `beam_runner_api_pb2.Pipeline`, which has no types."""

TOKEN = "0f8e-t0ken-of-ops-2b71"
SUBSCRIPTION = f"projects/{PROJECT}/subscriptions/changes"
TOPICS = {
    name: f"projects/{PROJECT}/topics/{name}" for name in ("receipts", "dead_letters", "deferred")
}
USERS: list[dict[str, object]] = [
    {"name": "ops", "auth": {"type": "bearer", "token_file": PATH}},
    {
        "name": "oauth",
        "auth": {
            "type": "oauth",
            "client_id": "app",
            "client_secret_file": PATH,
            "token_store": "projects/p/secrets/tokens",
        },
    },
]


@dataclass(frozen=True)
class Sent:
    """What a launch came to.

    Attributes:
      status: of the program.
      output: of the program.
      service: what it was sent.
      folder: where it was staged.
    """

    status: int
    output: str
    service: Service
    folder: Path

    @property
    def job(self) -> dict[str, Any]:
        """The job's description."""
        (job,) = self.service.jobs
        return job

    @property
    def pipeline(self) -> Pipeline:
        """The graph, as it was staged."""
        return beam_runner_api_pb2.Pipeline.FromString((self.folder / "pipeline.pb").read_bytes())


def destination_in(folder: Path, audiences: int = 3, **more: object) -> str:
    """Writes a destination file whose credentials are in Secret Manager; returns its path."""
    segments = {
        f"{number:08}-5114-4d75-8ce7-1ba43ebae53e": number for number in range(1, audiences + 1)
    }
    write_destination(
        folder,
        "https://api.outreach.io",
        segments,
        attributes=[{"source": "person.name.firstName", "target": "firstName"}],
        **{"users": USERS, **more},
    )
    return str(folder / "destination.yaml")


def arguments(destination: str, without: Collection[str] = ()) -> list[str]:
    """Those of `run` that name what it works on."""
    named = {"destination": destination, "input_subscription": SUBSCRIPTION, **TOPICS}
    return [f"--{name}={value}" for name, value in named.items() if name not in without]


def launcher_flags(job_object: str, staging: str = "gs://my-bucket/staging") -> list[str]:
    """Those that the Flex Template's launcher adds."""
    return [
        "--runner=DataflowRunner",
        f"--project={PROJECT}",
        f"--region={REGION}",
        "--job_name=activation",
        f"--temp_location={staging}",
        f"--staging_location={staging}",
        f"--template_location={job_object}",
        '--labels={"goog-dataflow-provided-template-type": "flex"}',
        "--service_account_email=activation@my-project.iam.gserviceaccount.com",
        "--max_num_workers=2",
    ]


def launch(
    folder: Path,
    *more: str,
    running: str | None = None,
    refusing: tuple[int, str] | None = None,
    taken: bool = False,
    without: Collection[str] = (),
    **destination: Any,
) -> Sent:
    """Starts a job on the service, with Secret Manager beside it."""
    path = destination_in(folder, **destination)
    staging = folder / "staging"
    staging.mkdir()
    with dataflow_service() as service, secrets():
        service.running, service.refusing, service.taken = running, refusing, taken
        words = ["run", *arguments(path, without), *service.flags(staging), *more]
        said = CliRunner().invoke(cli, words)
    if said.exception is not None and not isinstance(said.exception, SystemExit):
        raise said.exception
    return Sent(said.exit_code, said.output, service, staging)


def secrets() -> Any:
    """A context in which Secret Manager holds the token."""
    manager = Manager()
    manager.versions[1] = TOKEN.encode()
    return _SecretManager(manager)


class _SecretManager:
    def __init__(self, manager: Manager) -> None:
        self._serving = serving(manager)

    def __enter__(self) -> None:
        client = self._serving.__enter__()
        self._patch = patch.object(secretmanager, "SecretManagerServiceClient", lambda: client)
        self._patch.start()

    def __exit__(self, *error: object) -> None:
        self._patch.stop()
        self._serving.__exit__(*error)


def graph_on(runner: str, folder: Path, **more: object) -> Pipeline:
    """The graph as it is handed to a runner, before that makes it its own."""
    asked = Streaming(
        subscription=SUBSCRIPTION, beam_flags=[f"--runner={runner}"], **TOPICS, **more
    )
    pipeline = beam.Pipeline(options=options_of(asked))
    destination = load_destination(destination_in(folder))
    activation_of(destination, asked).build(pipeline, ReadMessages(SUBSCRIPTION))
    return pipeline.to_runner_api()


def steps(pipeline: Pipeline) -> list[str]:
    """The unique names of all steps, in the order of the alphabet."""
    names = (step.unique_name for step in pipeline.components.transforms.values())
    return sorted(filter(None, names))


def par_dos(pipeline: Pipeline) -> Iterator[tuple[Any, Any]]:
    """Each step that runs our code, or Beam's: the step, and its ParDoPayload."""
    for step in pipeline.components.transforms.values():
        if step.spec.urn == "beam:transform:pardo:v1":
            yield step, beam_runner_api_pb2.ParDoPayload.FromString(step.spec.payload)


def unpacked(payload: bytes) -> bytes:
    """A pickle as it was before Beam packed it; other payloads as they are."""
    try:
        packed = base64.b64decode(payload, validate=True)
        return bz2.decompress(packed) if packed.startswith(b"BZh") else zlib.decompress(packed)
    except (ValueError, OSError, zlib.error):
        return payload


def timers(payload: Any) -> Mapping[str, str]:
    """The timers of a step, with their time domains."""
    domains = beam_runner_api_pb2.TimeDomain.Enum
    return {
        name.partition("/")[2] or name: domains.Name(spec.time_domain)
        for name, spec in payload.timer_family_specs.items()
    }
