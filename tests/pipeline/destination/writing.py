"""The smallest destination file, and the examples."""

from pathlib import Path

from tests.support.processes.program import ROOT

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
