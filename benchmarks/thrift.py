"""Requests: on the example trace, no more PATCHes than prospects that differ at the end."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.measure import ROOT, Result
from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import running_sandbox

from . import measure


def patches_per_prospect(folder: Path) -> list[Result]:
    """Replays the examples into a sandbox that holds some of the values already."""
    examples = ROOT / "examples"
    options = SandboxOptions(prospects_from=examples / "prospects.jsonl")
    with running_sandbox(options) as sandbox:
        before = {key: dict(value) for key, value in sandbox.prospects().items()}
        text = (examples / "destination.yaml").read_text(encoding="utf-8")
        destination = folder / "destination.yaml"
        destination.write_text(
            text.replace("users:", f"outreach: {{base_url: {json.dumps(sandbox.url)}}}\nusers:", 1),
            encoding="utf-8",
        )
        files = [
            str(examples / name) for name in ("profiles.jsonl", "changes.jsonl", "changes.csv")
        ]
        ran = measure.replay(*files, "--destination", str(destination))
        after = sandbox.prospects()
        accepted = [
            one for one in sandbox.requests() if one.method == "PATCH" and one.status == 200
        ]
    differ = sum(before[key] != value for key, value in after.items())
    ratio = len(accepted) / differ
    summary = ran.summary
    return [
        Result(
            f"PATCHes ÷ prospects that differ ({summary['changes']:,} changes,"
            f" {differ:,} prospects differ, {summary['requests']:,} requests in all)",
            f"{ratio:.2f}",
            "1.00",
            ratio == 1.0,
        )
    ]
