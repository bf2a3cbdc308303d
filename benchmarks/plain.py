"""The least that merging could cost: `json.loads` and dictionaries over the same file.

Usage: python -m benchmarks.plain FILE
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def merge(path: Path) -> dict[int, dict[str, tuple[str, str]]]:
    prospects: dict[int, dict[str, tuple[str, str]]] = {}
    with path.open(encoding="utf-8") as file:
        for line in file:
            change = json.loads(line)
            fields = prospects.setdefault(change["outreach_id"], {})
            newest = fields.get(change["segment"])
            if newest is None or change["event_time"] >= newest[0]:
                fields[change["segment"]] = (change["event_time"], change["status"])
    return prospects


if __name__ == "__main__":
    print(len(merge(Path(sys.argv[1]))))
