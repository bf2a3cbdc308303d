"""Entry point of the Flex Template: `run`, with the flags that Dataflow's launcher gives."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from pipeline.commands.run import run_command

IMAGE: Final = "ACTIVATION_IMAGE"
"""The variable that names the image which holds this, and which the workers are to run too."""


def arguments(given: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """The flags of `run`: those that were given, and those that go without saying.

    Args:
      given: by the launcher, as ``--name=value``.
      environ: the environment variables.
    """
    names = {flag.partition("=")[0] for flag in given}
    added = {"--runner": "DataflowRunner", "--sdk_container_image": environ.get(IMAGE)}
    return [
        *given,
        *(f"{name}={value}" for name, value in added.items() if value and name not in names),
    ]


def main() -> None:
    """Writes the job out, for the launcher to start it."""
    run_command(arguments(sys.argv[1:], os.environ), prog_name="outreach-activation run")
