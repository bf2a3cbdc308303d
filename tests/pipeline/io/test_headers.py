"""A table without the column of the prospects' ids is one clear error, before anything is sent."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from pipeline.io.headers import check_headers
from transforms.errors import ConfigurationError


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "a.csv",
            "Prospect ID,segment,status\n1,s,exited\n",
            '--columns outreach_id="Prospect ID"',
        ),
        (
            "a.csv",
            "\ufeffoutreachid;segment;status\n1;s;exited\n",
            '--columns outreach_id="outreachid"',
        ),
        ("a.tsv", "who\twhat\n1\ts\n", "the columns are 'who', 'what'."),
        ("export", "id,Segment,status\n1,s,exited\n", "names no column outreach_id"),
        ("a.csv", "\n\nid\n1\n", "the columns are 'id'."),
    ],
)
def test_the_error_names_the_columns_and_the_nearest(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    packed = tmp_path / f"{name}.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))

    for each in (path, packed):
        with pytest.raises(ConfigurationError) as refused:
            check_headers([str(each)])
        assert said in str(refused.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "OUTREACH_ID,segment\n1,s\n"),
        ("a.csv", ""),
        ("a.csv", '{"outreach_id": 1}\n'),
        ("a.jsonl", '{"outreach_id": 1, \n'),
        ("a.txt", "no json, and no table either\n"),
    ],
)
def test_other_files_are_left_to_whoever_reads_them(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")

    check_headers([str(tmp_path / name)])


NAMES = (("outreach_id", "Prospect ID"), ("segment", "Audience"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "Prospect,Audience\n",
            "no column 'Prospect ID', which is to be outreach_id; did you mean",
        ),
        ("Prospect ID,Group\n", "no column 'Audience', which is to be segment; the columns are"),
        ("outreach_id,Prospect ID,Audience\n", "has a column outreach_id already"),
    ],
)
def test_a_column_that_is_named_and_not_there_is_an_error(
    tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")

    with pytest.raises(ConfigurationError) as refused:
        check_headers([str(tmp_path / "a.csv")], NAMES)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "text", ["PROSPECT ID;audience\n", "outreach_id,segment\n", "sep=;\nProspect ID;Audience\n"]
)
def test_a_table_is_right_with_the_names_of_before_or_with_ours(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")

    check_headers([str(tmp_path / "a.csv")], NAMES)
