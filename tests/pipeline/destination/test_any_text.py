"""Whatever a file holds, a person gets an explanation and no traceback."""

import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from pipeline.destination.file import destination_schema, load_destination
from pipeline.destination.yaml_reader import read_yaml
from tests.support.processes.program import ROOT
from transforms.errors import ConfigurationError

EXAMPLE = (ROOT / "examples" / "destination.yaml").read_text("utf-8")

KEYS = ["name", "users", "auth", "type", "token_env", "budget", "requests", "reserve", "segment"]
KEYS += ["audiences", "mapping_id", "values", "exited", "attributes", "target", "base_url"]
PIECES = [*KEYS, *"-:,[]{}&*!|>%@`#?\"'~ \n\t", ": ", "\n  ", "- ", "&a ", "*a", "<<: ", "---\n"]
PIECES += ["%YAML 1.1\n---\n", "!!int ", "!!null ", "0x", "1e999", ".nan", "1:30", "\\ud800", "yes"]
PIECES += ["\u2028", "\x85", "\ufeff", "\x00", "9" * 5000, "_", "!<tag:x>", "%TAG ! x", "bearer"]

yaml_like = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=40).map("".join)


@st.composite
def spoiled(draw: st.DrawFn) -> str:
    """The example with a few stretches of it replaced."""
    text = EXAMPLE
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = start + draw(st.integers(0, 12))
        text = text[:start] + draw(yaml_like | st.text(max_size=5)) + text[end:]
    return text


@st.composite
def misfilled(draw: st.DrawFn) -> str:
    """The example with some of its values replaced by any JSON whatever."""
    anything = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner),
        max_leaves=4,
    )

    def fill(value: object) -> object:
        if draw(st.integers(0, 9)) == 0:
            return draw(anything)
        if isinstance(value, dict):
            return {key: fill(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [fill(inner) for inner in value]
        return value

    return json.dumps(fill(read_yaml(EXAMPLE).data), indent=1, ensure_ascii=draw(st.booleans()))


def load(path: Path, content: bytes) -> None:
    """Loads `content`; that it is refused with a line is as good as that it is not."""
    path.write_bytes(content)
    try:
        destination = load_destination(str(path))
    except ConfigurationError as refused:
        said = str(refused).split("\n")
    else:
        said = [f"{path}: {len(destination.users)} users"]
    assert all(line.startswith(f"{path}:") and line.encode() for line in said)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any") / "destination.yaml"


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text() | yaml_like | spoiled())
@example("%YAML 1.1\n---\na: 1:99\n")
@example('"\\U00110000"')
@example('"\\UFFFFFFFF"')
@example("%YAML 3\n---\na")
@example("!!")
def test_no_text_makes_it_fail_in_any_other_way(path: Path, text: str) -> None:
    load(path, text.encode("utf-8", "surrogatepass"))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.binary())
def test_no_bytes_make_it_fail_in_any_other_way(path: Path, content: bytes) -> None:
    load(path, content)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(misfilled())
def test_no_value_in_the_wrong_place_makes_it_fail_in_any_other_way(path: Path, text: str) -> None:
    load(path, text.encode("utf-8", "surrogatepass"))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(misfilled())
def test_what_loads_is_what_the_schema_accepts_but_for_keys_left_empty(
    path: Path, text: str
) -> None:
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        load_destination(str(path))
    except ConfigurationError:
        return

    def without_empty(value: object, key: str = "") -> object:
        if isinstance(value, dict):
            kept = {k: v for k, v in value.items() if v is not None or key == "values"}
            return {k: without_empty(v, k) for k, v in kept.items()}
        return [without_empty(v) for v in value] if isinstance(value, list) else value

    validator = Draft202012Validator(destination_schema())
    assert list(validator.iter_errors(without_empty(read_yaml(text).data))) == []
