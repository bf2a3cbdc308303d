"""What Dataflow asks for beyond other runners: credentials in reach of its workers, and leave."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Final

from apache_beam.utils.retry import PermanentException
from google.api_core.exceptions import GoogleAPICallError, RetryError, ServerError
from google.auth.exceptions import GoogleAuthError

from pipeline.destination.file import Destination
from pipeline.destination.yaml_reader import Problem
from transforms.errors import ActivationError, ConfigurationError
from transforms.outreach.auth.token_store import SECRET_PREFIX

_REMEDIES: Final = {
    "token_env": "token_file",
    "token_file": "token_file",
    "client_secret_env": "client_secret_file",
    "client_secret_file": "client_secret_file",
    "token_store": "token_store",
    "private_key_file": "private_key_file",
}
"""Each key that says where a credential is, and the one that may name a secret in its place."""


def check_credentials(destination: Destination) -> None:
    """Makes sure that each credential is where workers on other machines can read it.

    Raises:
      ConfigurationError: one is in this machine's environment, or in a file; names them all.
    """
    problems = list(_out_of_reach(destination))
    if problems:
        raise destination.refusal(problems)


def _out_of_reach(destination: Destination) -> Iterator[Problem]:
    for n, user in enumerate(destination.users):
        for key, instead in _REMEDIES.items():
            named = getattr(user.auth, key, None)
            if named is None or named.startswith(SECRET_PREFIX):
                continue
            kind = "an environment variable" if key.endswith("_env") else "a file"
            path = ("users", n, "auth", key)
            yield Problem(
                destination.line(*path),
                path,
                f"names {kind}, and Dataflow's workers have none of this machine's ({named}); put"
                " the secret into Google Secret Manager and write"
                f" {instead}: projects/PROJECT/secrets/SECRET",
            )


@contextlib.contextmanager
def submitting() -> Iterator[None]:
    """Tells in a sentence why a job is not handed over to Dataflow.

    Raises:
      ConfigurationError: what Dataflow needs is not installed, or it refuses the job.
      ActivationError: Dataflow is unwell.
    """
    try:
        import_module("apache_beam.runners.dataflow.internal.apiclient")
    except ImportError as problem:
        raise ConfigurationError(
            f"what Dataflow needs is not installed ({problem}); install"
            " outreach-activation[dataflow]"
        ) from problem
    try:
        yield
    except (ServerError, RetryError) as problem:
        raise ActivationError(f"Dataflow cannot be reached: {problem.message}") from problem
    except GoogleAPICallError as problem:
        raise ConfigurationError(f"Dataflow refuses the job: {problem.message}") from problem
    except (GoogleAuthError, PermanentException, OSError) as problem:
        raise ConfigurationError(f"the job cannot be handed to Dataflow: {problem}") from problem


def started(result: Any) -> str:  # noqa: ANN401 - a PipelineResult, of whatever runner
    """What to say of a job that goes on without this process.

    A Flex Template's launcher has the job written out and starts it by itself: it has no id yet.
    """
    if not getattr(result, "has_job", True):
        return "the job is written out, for Dataflow to start it"
    return (
        f"started job {result.job_id()}; it goes on without this process, and is drained"
        " by its runner's own command"
    )
