"""A destination file that is none, or no YAML: what was mistyped is said, and on which line."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.destination.file import load_destination
from tests.pipeline.destination.refusing import refusals
from transforms.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1: is empty; see examples/destination.yaml"),
        ("# only a comment\n", "1: is empty;"),
        ("- a\n- b\n", "1: is not a destination file; it begins with keys such as name: and users"),
        ("name\n", "1: is not a destination file;"),
        (
            "name: a: b\n",
            "1: not YAML: has a second colon within its value; put the value in quotes",
        ),
        ("name: a\n\tusers: b\n", "2: not YAML: a tab stands where blanks are needed; indent with"),
        ("name: a\nusers:\n\t- b\n", "3: not YAML: a tab stands where blanks are needed"),
        ("name: a\nusers: [\n", "2: not YAML: a [ is opened and not closed; close it with ]"),
        ("users: [{a: b}\nname: a\n", "1: not YAML: a [ is opened and not closed"),
        ("users: {a: b\nname: a\n", "1: not YAML: a { is opened and not closed"),
        (
            "name: a\nusers: 'b\n",
            "2: not YAML: a quote is opened and not closed on its line; close",
        ),
        ('name: "a\nusers:\n  - {b: "c"}\n', "1: not YAML: a quote is opened and not closed"),
        ("name: it's\nusers: [b: 'c]\n", "2: not YAML: a quote is opened and not closed"),
        (
            "users:\n  - name: a\n   auth: b\n",
            "3: not YAML: is indented otherwise than line 2, with",
        ),
        (
            "users:\n  - name: a\n      auth: {b: c}\n",
            "3: not YAML: is indented deeper than the line",
        ),
        ("name: a\nusers b\nc: d\n", "2: not YAML: has no colon after its key; write it as key:"),
        ("name: @a\n", "1: not YAML: a value cannot begin with '@'; put the value in quotes"),
        ("name: a\n\nusers: *ops\n", "3: not YAML: found undefined alias 'ops'"),
        (
            "name: a\n---\nname: b\n",
            "2: not YAML: expected a single document in the stream but found another",
        ),
        ("name: a\nusers: \x07\n", "2: not YAML: a character that YAML does not allow, "),
        ("name: a\nname: b\n", "2: name: given twice, first on line 1; remove one of the two"),
        ("name: a\nusers: &x [*x]\n", "2: users[0]: holds itself; write the value out"),
        ("name: a\nusers: !!set {a}\n", "2: users: tags mean nothing here"),
        ("name: !secret a\n", "1: name: tags mean nothing here (!secret); remove it"),
        ("name: a\n<<: {b: c}\n", "2: <<: merge keys are not read here;"),
        ("name: a\n? [b]\n: c\n", "2: a key must be a plain word"),
        ('name: "\\ud800"\n', "1: name: holds half a character; retype the value"),
        ("name: " + "[" * 200, "1: not YAML: is nested deeper than 30 levels; no key here is that"),
        (
            "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
            + "".join(
                f"{b}: &{b} [{','.join(['*' + a] * 10)}]\n"
                for a, b in zip("abcde", "bcdef", strict=True)
            ),
            "1: not YAML: its aliases unfold to more than a destination file can mean",
        ),
    ],
)
def test_what_is_no_destination_at_all_is_refused_with_its_line(
    tmp_path: Path, text: str, said: str
) -> None:
    lines = refusals(tmp_path, text)
    assert [line for line in lines if line.startswith(said)], lines


def test_the_place_of_a_byte_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "destination.yaml"
    path.write_bytes(b"name: a\ndescription: caf\xe9\n")
    with pytest.raises(ConfigurationError) as refused:
        load_destination(str(path))
    assert str(refused.value) == f"{path}:2: is not UTF-8 (byte 0xe9); save it as UTF-8"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "name: a\n".encode("utf-16-le"),
            "is UTF-16 without its byte order mark; save it as UTF-8",
        ),
        (
            "name: a\n".encode("utf-16-be"),
            "is UTF-16 without its byte order mark; save it as UTF-8",
        ),
        (
            b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0",
            "is no text; name the destination file, which is YAML",
        ),
    ],
)
def test_what_is_no_text_is_told_from_text_in_another_encoding(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "destination.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError) as refused:
        load_destination(str(path))
    assert str(refused.value).startswith(f"{path}: {said}")


def test_what_prospects_cannot_be_matched_by_is_refused_with_what_they_can(tmp_path: Path) -> None:
    (line, *_) = refusals(
        tmp_path,
        "name: a\nidentity: {match: phone}\n"
        "users: [{name: o, auth: {type: bearer, token_env: T}}]\n"
        "audiences: [{segment: a, mapping_id: 4}]\n",
    )
    assert line.startswith("2: identity.match:")
    assert all(known in line for known in ("outreach_id", "email", "external_id"))


def test_utf_16_with_its_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "destination.yaml"
    path.write_bytes(
        "name: Käufer\nusers: [{name: ops, auth: {type: bearer, token_env: T}}]\n"
        "audiences: [{segment: a, mapping_id: 4}]\n".encode("utf-16")
    )
    assert load_destination(str(path)).name == "Käufer"


def test_a_variable_that_is_not_set_is_named_beside_other_errors_and_no_secret_is(
    tmp_path: Path,
) -> None:
    path = tmp_path / "destination.yaml"
    token = "a1B2c3D4e5F6g7H8i9J0k1L2m3"
    path.write_text(
        "name: a\nusers:\n"
        "  - {name: ops, auth: {type: bearer, token_env: OPS}}\n"
        "  - {name: ann, auth: {type: bearer, token_env: ANN}}\n"
        f"  - {{name: bob, auth: {{type: bearer, token_env: {token}}}}}\n"
        "audiences: [{segment: a, mapping_id: custom 4}]\n"
    )
    with pytest.raises(ConfigurationError) as refused:
        load_destination(str(path), {"ANN": "x"})
    said = str(refused.value)
    assert ":3: users[0].auth.token_env: the environment variable OPS is not set" in said
    assert "(custom 4); did you mean 4?" in said
    assert "ANN" not in said
    assert token not in said


def test_what_cannot_be_opened_is_refused_by_name(tmp_path: Path) -> None:
    large = tmp_path / "large.jsonl"
    large.write_bytes(b"{}\n" * 400_000)
    for path, said in [
        (tmp_path / "absent.yaml", "there is no such file; name one with --destination"),
        (tmp_path, "is a directory; name the file in it"),
        (tmp_path / "large.jsonl" / "x", "cannot be read (Not a directory)"),
        (Path("nul\0byte"), "cannot be read ("),
        (large, "is larger than 1 MiB; is it a destination file?"),
    ]:
        with pytest.raises(ConfigurationError) as refused:
            load_destination(str(path))
        assert str(refused.value).startswith(f"{path}: {said}")
