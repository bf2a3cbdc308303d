"""No output may destroy what a job lives on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.io.paths import check_paths, is_same_file
from pipeline.io.targets import earlier_files, prepare, put_aside
from tests.support.processes.program import run, write_destination, write_lines
from transforms.errors import ConfigurationError

LINE = '{"outreach_id": 1, "segment": "a", "status": "realized"}'
RUN = ("--input_subscription", "projects/p/subscriptions/s")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_destination(tmp_path, "http://localhost:9", {"a": 4})
    write_lines(tmp_path / "in.jsonl", [LINE])
    (tmp_path / "link.jsonl").symlink_to("in.jsonl")
    (tmp_path / "sub").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    "flags",
    [
        ["--receipts=l.db", "--ledger=l.db"],
        ["--receipts=./sub/../l.db", "--ledger=l.db"],
        ["--receipts=l.db-wal", "--ledger=l.db"],
        ["--dead_letters=l.db.lock", "--ledger=l.db"],
        ["--receipts=destination.yaml"],
        ["--summary=destination.yaml"],
        ["--summary=in.jsonl"],
        ["--summary=link.jsonl"],
        ["--dead_letters=in.jsonl"],
        ["--ledger=in.jsonl"],
        ["--ledger=destination.yaml"],
        ["--receipts=out.jsonl", "--dead_letters=out.jsonl"],
        ["--receipts=out.jsonl", "--summary=./out.jsonl"],
    ],
    ids=" ".join,
)
@pytest.mark.real
def test_two_paths_of_a_command_line_that_are_one_file_are_refused_and_nothing_is_touched(
    folder: Path, flags: list[str]
) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}

    ended = run(folder, "replay", "in.jsonl", "--destination=destination.yaml", *flags)

    assert ended.status == 2
    assert "are the same file; name another" in ended.stderr
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


@pytest.mark.real
def test_run_compares_its_paths_as_well(folder: Path) -> None:
    flags = ("--destination=destination.yaml", "--ledger=l.db", "--receipts=l.db")

    ended = run(folder, "run", *RUN, *flags)

    assert ended.status == 2
    assert "--receipts l.db and --ledger l.db are the same file" in ended.stderr
    assert not (folder / "l.db").exists()


@pytest.mark.real
def test_an_output_that_is_a_users_token_store_is_refused(tmp_path: Path) -> None:
    auth = {"type": "bearer", "token_file": "token.txt"}
    users = [{"name": "ops", "auth": auth}]
    write_destination(tmp_path, "http://localhost:9", {"a": 4}, users=users)
    write_lines(tmp_path / "in.jsonl", [LINE])
    (tmp_path / "token.txt").write_text("tok-secret")

    ended = run(
        tmp_path, "replay", "in.jsonl", "--destination=destination.yaml", "--receipts=token.txt"
    )

    assert ended.status == 2
    assert (tmp_path / "token.txt").read_text() == "tok-secret"


@pytest.mark.parametrize("flag", ["receipts", "dead_letters", "summary"])
@pytest.mark.real
def test_a_file_of_something_else_is_neither_moved_away_nor_written_to(
    folder: Path, flag: str
) -> None:
    (folder / "notes.txt").write_text("what the team agreed on\n")

    ended = run(
        folder, "replay", "in.jsonl", "--destination=destination.yaml", f"--{flag}=notes.txt"
    )

    assert ended.status == 2
    assert "notes.txt exists and holds no" in ended.stderr
    assert (folder / "notes.txt").read_text() == "what the team agreed on\n"


def test_inputs_may_be_named_twice_and_devices_as_often_as_one_likes(folder: Path) -> None:
    check_paths(
        inputs=[str(folder / "in.jsonl"), str(folder / "*.jsonl")],
        outputs=[("--receipts", "/dev/null"), ("--dead_letters", "/dev/null")],
    )
    check_paths(outputs=[("--receipts", "projects/p/topics/t"), ("--summary", None)])


def test_a_glob_is_compared_by_the_files_that_it_matches(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="FILE"):
        check_paths(
            inputs=[str(folder / "*.jsonl")], outputs=[("--summary", str(folder / "in.jsonl"))]
        )


def test_hard_links_are_one_file(folder: Path) -> None:
    os.link(folder / "in.jsonl", folder / "other")
    assert is_same_file(str(folder / "in.jsonl"), str(folder / "other"))


def test_names_that_differ_in_case_are_two_files_where_the_filesystem_tells_them_apart(
    folder: Path,
) -> None:
    folds = (folder / "IN.JSONL").exists()
    assert is_same_file(str(folder / "new"), str(folder / "NEW")) == folds


def test_what_is_put_aside_takes_the_next_number_and_replaces_nothing(tmp_path: Path) -> None:
    path = tmp_path / "receipts.jsonl"
    (tmp_path / "receipts.jsonl.7").write_text("seven")
    (tmp_path / "receipts.jsonl.bak").write_text("somebody's own")
    path.write_text("eight")

    assert put_aside(path) == tmp_path / "receipts.jsonl.8"

    assert not path.exists()
    assert [each.read_text() for each in earlier_files(path)] == ["seven", "eight"]


def test_half_a_line_of_an_earlier_run_is_known_for_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "receipts.jsonl"
    path.write_text('{"change_id":"a","outr')
    assert prepare(str(path), "receipts", aside=False) is None
    with pytest.raises(ConfigurationError, match="holds no dead letters"):
        prepare(str(path), "dead letters")
