"""Prism, Beam's own portable runner, for tests of streaming jobs.

In this order: the program that PRISM names; one built by Go from Beam's own module, of the version
of Beam that is installed, once. (Beam itself would download it, which tests do not.)
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import apache_beam
import pytest

from tests.support.processes.program import ROOT

PACKAGE = "github.com/apache/beam/sdks/v2/go/cmd/prism"
HOW_TO = "no Prism to run on: install Go, or name the program in PRISM"


def built() -> Path | None:
    """The program's path; None where it cannot be had."""
    named = os.environ.get("PRISM")
    if named:
        return Path(named)
    go = shutil.which("go")
    if go is None:
        return None
    version = apache_beam.__version__
    program = ROOT / "build" / f"prism-{version}" / "prism"
    if not program.exists():
        folder = program.with_name(f"made.{os.getpid()}")
        subprocess.run(
            [go, "install", f"{PACKAGE}@v{version}"],
            cwd=ROOT,
            env={**os.environ, "GOBIN": str(folder), "GOFLAGS": "-mod=mod"},
            check=True,
        )
        (folder / "prism").replace(program)
        folder.rmdir()
    return program


@pytest.fixture(scope="session")
def prism() -> list[str]:
    """Flags that name it; skips the test where there is none, or fails it under REQUIRE_REAL."""
    program = built()
    if program is None and os.environ.get("REQUIRE_REAL"):
        pytest.fail(HOW_TO)
    if program is None:
        pytest.skip(HOW_TO)
    return ["--runner=PrismRunner", f"--prism_location={program}"]


if __name__ == "__main__":
    print(built() or HOW_TO)  # noqa: T201 - so that it can be built beforehand
