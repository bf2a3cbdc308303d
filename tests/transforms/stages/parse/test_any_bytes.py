"""No bytes are lost by parse, and none make it raise."""

from __future__ import annotations

import csv
import io
import json

import orjson
from hypothesis import given
from hypothesis import strategies as st

from tests.transforms.stages.parse.parsing import FLAT, HEAD, read, replayed
from transforms.elements import DeadLetter


def as_json(value: object) -> bytes:
    """As other writers do: with integers of any size, and NaN."""
    return json.dumps(value).encode()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
keys = st.sampled_from(
    [
        *("outreach_id", "segment", "status", "event_time", "namespace", "attributes"),
        *("identityMap", "segmentMembership", "profiles", "person", "firstName"),
        *("stage", "reason", "payload", "change_id", "origin"),
    ]
)
near_values = st.recursive(
    json_values | st.sampled_from(["realized", "parse", "deliver", "1", 1, 60, FLAT.decode()]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=6),
    max_leaves=10,
)
profiles = st.fixed_dictionaries(
    {
        "identityMap": st.dictionaries(
            st.sampled_from(["Oid", "oid", "ecid"]),
            st.lists(st.fixed_dictionaries({"id": st.integers(1, 9) | json_values}), max_size=3),
        ),
        "segmentMembership": st.dictionaries(
            st.sampled_from(["ups", "x"]),
            st.dictionaries(
                st.text(max_size=3),
                st.fixed_dictionaries(
                    {"status": st.sampled_from(["realized", "left"])},
                    optional={"lastQualificationTime": st.integers(0, 99) | json_values},
                ),
                max_size=3,
            ),
        ),
    },
    optional={"person": near_values, "attributes": near_values},
)
arrivals = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=40).map(str.encode),
    near_values.map(as_json),
    profiles.map(as_json),
    st.lists(profiles, max_size=3).map(as_json),
    st.text(alphabet='1,;"\n\tas', max_size=20).map(lambda rows: f"{HEAD}{rows}".encode()),
)


def holds_nothing(line: bytes) -> bool:
    """Whether a line is a valid record, or a list of such, without a membership in it."""
    if line.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(HEAD.encode()):
        rows = csv.reader(io.StringIO(line.decode().partition("\n")[2], newline=""))
        return not any(cell for row in rows for cell in row)
    value = json.loads(line)  # Which reads Infinity, as we do.
    if isinstance(value, dict) and value.get("stage") == "parse":
        payload = value["payload"]
        return holds_nothing(
            payload.encode() if isinstance(payload, str) else orjson.dumps(payload)
        )
    if isinstance(value, dict) and isinstance(value.get("profiles"), list):
        value = value["profiles"]
    records = value if isinstance(value, list) else [value]
    return all(
        not any((record.get("segmentMembership") or {}).values())
        if "identityMap" in record or "segmentMembership" in record
        else "attributes" in record and record.get("segment") is None
        for record in records
    )


@given(st.lists(arrivals, max_size=4))
def test_no_bytes_are_lost_and_none_raise(lines: list[bytes]) -> None:
    parsed = read(*lines)
    assert parsed.arrivals == sum(1 for line in lines if line.strip())
    for line in lines:
        alone = read(line)
        if not (alone.memberships or alone.attributes or alone.dead_letters) and line.strip():
            assert holds_nothing(line)


@given(st.lists(arrivals, max_size=3))
def test_feeding_dead_letters_back_refuses_the_same_again(lines: list[bytes]) -> None:
    for letter in read(*lines).dead_letters:
        if not is_list_within_a_list(letter):
            again = replayed([letter]).dead_letters
            assert (letter.reason, letter.payload) in [(it.reason, it.payload) for it in again]


def is_list_within_a_list(letter: DeadLetter) -> bool:
    """Whether a letter holds what was an element, but is a list of records by itself."""
    text = orjson.loads(letter.payload)
    if letter.reason != "unknown_shape" or not isinstance(text, str):
        return False
    return text.startswith("[") or (text.startswith("{") and "profiles" in json.loads(text))


cells = st.text(alphabet="abc,;\t\"'\n é", max_size=6)
table = st.lists(
    st.tuples(st.integers(1, 99).map(str), cells, st.sampled_from(["realized", "exited"]), cells)
)


@given(table, st.sampled_from([",", ";", "\t"]))
def test_rows_are_read_as_a_csv_writer_wrote_them(
    rows: list[tuple[str, str, str, str]], delimiter: str
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(["outreach_id", "segment", "status", "firstName"])
    writer.writerows(rows)
    parsed = read(text.getvalue().encode())
    good = [row for row in rows if row[1].strip()]
    assert [(str(c.outreach_id), c.segment, c.status) for c in parsed.memberships] == [
        (outreach_id, segment.strip(), status) for outreach_id, segment, status, _ in good
    ]
    assert [orjson.loads(c.value) for c in parsed.attributes] == [row[3] for row in rows if row[3]]
