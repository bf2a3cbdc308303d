"""Files: which are meant, and that each arrival in them is found whole, once, and in its place."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
from pathlib import Path

import apache_beam as beam
import orjson
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given
from hypothesis import strategies as st

from pipeline.io import framing
from pipeline.io.files import SPACING, ReadFiles, blocks, expand
from transforms.elements import Block
from transforms.errors import ActivationError, ConfigurationError
from transforms.stages.parse import parse

PRETTY = orjson.dumps([{"outreach_id": 1}, {"outreach_id": 2}], option=orjson.OPT_INDENT_2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.jsonl", "a.jsonl", "odd[1].jsonl", "c.csv"):
        (tmp_path / name).write_text("{}\n")
    (tmp_path / "deep").mkdir()
    return tmp_path


def names(paths: list[str]) -> list[str]:
    return [Path(path).name for path in paths]


def framed(text: bytes, size: int = 1 << 20) -> tuple[str | None, int, list[list[bytes]]]:
    found = framing.frame(framing.whole_lines(io.BytesIO(text), size), size)
    return found.header, found.line, list(found.batches)


def lines(text: bytes, size: int = 1 << 20) -> list[bytes]:
    return [line for batch in framed(text, size)[2] for line in batch]


def test_globs_are_sorted_and_keep_the_order_they_are_given_in(folder: Path) -> None:
    assert names(expand([f"{folder}/*.csv", f"{folder}/*.jsonl"])) == [
        *("c.csv", "a.jsonl", "b.jsonl", "odd[1].jsonl"),
    ]


def test_each_file_is_read_once_however_it_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert expand(["b.jsonl", "*.jsonl", "./a.jsonl", f"{folder}/c.csv", "c.csv"]) == [
        *("b.jsonl", "a.jsonl", "odd[1].jsonl", f"{folder}/c.csv"),
    ]


def test_the_very_name_of_a_file_goes_before_what_it_matches_as_a_glob(folder: Path) -> None:
    (folder / "odd1.jsonl").write_text("{}")
    assert names(expand([f"{folder}/odd[1].jsonl"])) == ["odd[1].jsonl"]
    assert names(expand([f"{folder}/odd[!2].jsonl"])) == ["odd1.jsonl"]


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("nothing*.jsonl", "no file matches"),
        ("missing.jsonl", "no file matches"),
        ("deep", "is a directory; name its files"),
        ("no-such-scheme://bucket/a.jsonl", "cannot be looked for"),
    ],
)
def test_a_pattern_that_means_no_file_is_refused_with_the_remedy(
    folder: Path, monkeypatch: pytest.MonkeyPatch, pattern: str, problem: str
) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(ConfigurationError, match=problem):
        expand(["a.jsonl", pattern])


def test_an_empty_file_gives_no_block() -> None:
    for text in (b"", b"\n", b" \r\n\t\n" * 50, b"\xef\xbb\xbf", b"outreach_id,segment\n"):
        for size in (1, 7, 1 << 20):
            assert lines(text, size) == []


def test_lines_are_arrivals_whatever_they_hold() -> None:
    text = b'\r\n{"a": 1}\r\n\nbad\xff\n {"b"\r:2} \r\n[1,'
    assert framed(text)[:2] == (None, 2)
    assert lines(text) == [b'{"a": 1}', b"", b"bad\xff", b' {"b"\r:2} ', b"[1,"]


@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n\n"])
@pytest.mark.parametrize("size", [1, 10, 1 << 20])
def test_a_json_value_over_many_lines_is_one_arrival(before: bytes, size: int) -> None:
    header, line, batches = framed(before + PRETTY + b"\n", size)
    assert (header, line, batches) == (None, 1 + before.count(b"\n"), [[PRETTY]])


def test_a_document_that_is_cut_short_or_too_large_is_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cut = PRETTY[:-1]
    assert lines(cut, 10) == cut.removesuffix(b"\n").split(b"\n")
    monkeypatch.setattr(framing, "LARGEST_DOCUMENT", len(PRETTY) - 1)
    assert lines(PRETTY, 10) == PRETTY.split(b"\n")


def test_a_broken_first_line_does_not_make_a_document_of_a_file() -> None:
    text = b'{"outreach_id": 1,\n{"outreach_id": 2}\n'
    assert lines(text) == text.splitlines()


@pytest.mark.parametrize("delimiter", [b",", b";", b"\t"])
def test_rows_below_a_header_are_kept_whole(delimiter: bytes) -> None:
    header = b"segment,outreach_id,note".replace(b",", delimiter)
    rows = [b'"a\r\n\nb",1,"say ""x"""', b"", b'5" disk,2,', b"s,3,\xff"]
    rows = [row.replace(b",", delimiter) for row in rows]
    for size in (1, 9, 1 << 20):
        text = b"\xef\xbb\xbf\n" + header + b"\r\n" + b"\r\n".join(rows)
        found, line, batches = framed(text, size)
        assert (found, line) == (header.decode(), 3)
        assert [row for batch in batches for row in batch] == rows


def test_a_quote_that_nothing_closes_costs_only_its_own_line() -> None:
    far = [b'"open,1', b"s,2", *[b"s,%d" % n for n in range(3, 250)], b'"open,x"y', b"s,9"]
    near = [b'"open,1', b"s,2", b'"open,3', b"s,4"]
    for rows in (far, near):
        assert lines(b"segment,outreach_id\n" + b"\n".join(rows)) == rows


def test_lines_that_end_in_a_bare_return_are_not_taken_for_a_header() -> None:
    text = b"outreach_id,segment,status\r1,s,realized\r2,s,exited\r"
    assert lines(text) == [text.removesuffix(b"\r")]


@given(st.lists(st.binary(max_size=12)), st.integers(1, 40))
def test_no_byte_between_the_line_ends_is_lost_wherever_blocks_end(
    parts: list[bytes], size: int
) -> None:
    text = b"[]\n" + b"\n".join(parts)
    found = lines(text, size)
    assert [line for line in found if line] == [
        line for part in text.split(b"\n") if (line := part.removesuffix(b"\r"))
    ]


cells = st.text(alphabet='ab,;\t"\n é', max_size=6)


@given(st.lists(st.tuples(st.integers(1, 99), cells), min_size=1), st.integers(1, 60))
def test_rows_are_framed_as_a_csv_writer_wrote_them(rows: list[tuple[int, str]], size: int) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(["outreach_id", "note"])
    writer.writerows(rows)
    found = lines(text.getvalue().encode(), size)
    read = [next(csv.reader([row.decode()])) for row in found]
    assert read == [[str(number), note] for number, note in rows]


NUMBERED = [b'%d,"a\n%d"\n\n' % (number, number) for number in range(30)]


@pytest.mark.parametrize("text", [b"[]\n" * 50, b"outreach_id,note\n" + b"".join(NUMBERED)])
def test_lines_and_places_are_counted_on_from_block_to_block(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "changes"
    path.write_bytes(b"\n" + text)
    position = 1000
    for block in blocks(str(path), 1000, bytes_per_block=20):
        assert block.source == str(path)
        assert block.position == position
        position += len(block.lines)
        place = sum(1 + line.count(b"\n") for line in block.lines)
        raw = path.read_bytes().split(b"\n")[block.line - 1 : block.line - 1 + place]
        assert b"\n".join(block.lines) == b"\n".join(raw)
    assert position > 1040


@pytest.mark.parametrize(
    ("name", "compress"),
    [("a.gz", gzip.compress), ("a.bz2", bz2.compress), ("a.xz", lzma.compress), ("a", bytes)],
)
def test_compressed_files_are_read_and_never_taken_as_whole_when_cut_short(
    tmp_path: Path, name: str, compress: type[bytes]
) -> None:
    text = b"".join(orjson.dumps({"outreach_id": n, "x": str(n**7)}) + b"\n" for n in range(5000))
    path = tmp_path / name
    path.write_bytes(compress(text))
    assert b"".join(line + b"\n" for it in blocks(str(path), 0) for line in it.lines) == text
    if name != "a":
        path.write_bytes(compress(text)[:-2000])
        with pytest.raises(ActivationError, match="cannot be read to its end"):
            list(blocks(str(path), 0))


def test_files_are_read_as_a_stage_with_room_between_their_places(tmp_path: Path) -> None:
    first, second = tmp_path / "a.jsonl", tmp_path / "b.json"
    first.write_bytes(b"{}\n[]\n")
    second.write_bytes(PRETTY)
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        read = pipeline | ReadFiles([str(first), str(second)])
        assert read.element_type is Block
        assert_that(
            read,
            equal_to(
                [
                    Block(str(first), 0, [b"{}", b"[]"], 1),
                    Block(str(second), SPACING, [PRETTY], 1),
                ]
            ),
        )


def test_a_row_that_was_refused_is_replayed_as_the_same_arrival(tmp_path: Path) -> None:
    path = tmp_path / "changes.csv"
    path.write_bytes(b"outreach_id,segment,status\n1,s,Realised\n")
    (block,) = blocks(str(path), 0)
    (letter,) = parse(block, "Oid", (), 0).dead_letters
    text = orjson.loads(letter.payload).encode()
    path.write_bytes(text)
    (again,) = blocks(str(path), 0)
    assert parse(again, "Oid", (), 0).dead_letters == [letter]


TABLE = "Prospect ID;Audience\n1;Käufer\n2;Gäste\n"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("first", ["", "sep=;\n", "SEP=;\r\n"])
def test_a_table_of_a_spreadsheet_is_read_with_the_names_of_its_columns(
    encoding: str, first: str
) -> None:
    names = (("outreach_id", "prospect id"), ("segment", "Audience"))
    text = (first + TABLE).encode(encoding)
    for size in (1 << 20, 7):
        found = framing.frame(framing.whole_lines(io.BytesIO(text), size), size, names)
        rows = [row for batch in found.batches for row in batch]

        assert (found.header, found.line) == ("outreach_id;segment", 3 if first else 2)
        assert rows == ["1;Käufer".encode(), "2;Gäste".encode()]


def test_lines_in_utf_16_are_lines_in_utf_8() -> None:
    assert lines('{"a": "ä"}\r\n{"b": "💡"}\n'.encode("utf-16"), 5) == [
        '{"a": "ä"}'.encode(),
        '{"b": "💡"}'.encode(),
    ]


def test_values_over_many_lines_are_one_arrival_and_values_of_a_line_are_that_line() -> None:
    pretty = b'{\n  "a": 1\n}\n{\n  "a": 2\n}\n'
    assert lines(pretty) == [pretty.rstrip()]
    assert lines(b'{"a":1}{"a":2}\n{"a":3}\n') == [b'{"a":1}{"a":2}', b'{"a":3}']
