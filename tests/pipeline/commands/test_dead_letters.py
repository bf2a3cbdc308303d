"""Dead letters are listed by reason, printed whole, and tried again once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import running_sandbox
from tests.end_to_end.always_on.test_door import opened, started
from tests.support.in_process.door import write_destination_with_sources
from tests.support.processes.program import replay, run, write_lines
from tests.support.servers.sandbox_client import free_port, wait_for

pytestmark = pytest.mark.real


def test_what_was_refused_is_listed_and_delivered_once_it_is_mended(tmp_path: Path) -> None:
    flat = [
        json.dumps({"outreach_id": each, "segment": "vip", "status": "realized"})
        for each in (1, 2, 41, 42)
    ]
    write_lines(tmp_path / "in.jsonl", [*flat, "nonsense [red]:x:"])
    with running_sandbox(SandboxOptions(prospects=40)) as sandbox:
        write_destination_with_sources(tmp_path, sandbox.url)
        assert replay(tmp_path, "in.jsonl", more=["--ledger=ledger.db"]).status == 3
        words = ("dead-letters", "--ledger=ledger.db")

        listed = run(tmp_path, *words)
        assert "not_found" in listed.stderr
        assert "[red]:x:" in " ".join(listed.stderr.split())
        whole = run(tmp_path, *words, "--reason=not_found")
        assert [json.loads(line)["stage"] for line in whole.stdout.splitlines()] == ["deliver"] * 2
        near = run(tmp_path, *words, "--reason=not_fuond")
        assert (near.status, "did you mean 'not_found'" in near.stderr) == (2, True)

        sandbox.seed([41, 42])
        for expected in ("2 dead letters will be tried again", "0 dead letters will be"):
            retried = run(tmp_path, *words, "--reason=not_found", "--retry")
            assert expected in retried.stderr
        with started(tmp_path, *opened(free_port())) as running:

            def held() -> set[int]:
                values = sandbox.prospects().items()
                return {each for each, fields in values if fields.get("custom4")}

            wait_for(lambda: held() == {1, 2, 41, 42}, 60)
            running.stop()


def test_a_ledger_without_any_says_so(tmp_path: Path) -> None:
    write_lines(tmp_path / "in.jsonl", [])
    write_destination_with_sources(tmp_path)
    replay(tmp_path, "in.jsonl", more=["--ledger=ledger.db"])
    assert "there are no dead letters" in run(tmp_path, "dead-letters", "--ledger=ledger.db").stderr
