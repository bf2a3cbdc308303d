"""`docs/destination-file.md` says what the program does."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.destination.file import destination_schema, load_destination
from pipeline.destination.types import TARGETS
from tests.support.processes.program import ROOT
from transforms.errors import ConfigurationError
from transforms.outreach.fields import OBJECTS

PAGE = (ROOT / "docs" / "destination-file.md").read_text("utf-8")

KINDS = {
    "string": "text",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "date": "a date, such as 2026-01-31",
    "date-time": "a date and time with its zone, such as 2026-01-31T09:30:00Z",
    "array-of-strings": "a list of texts",
}


def fenced(kind: str) -> list[str]:
    """The fenced blocks of the page whose fence says `kind`."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def rows(
    section: dict[str, Any], sections: dict[str, Any], prefix: str = "", among: tuple[str, ...] = ()
) -> Iterator[str]:
    """The page's table row for each key of `section` and of the sections within it, each once."""
    for key, its in section["properties"].items():
        name = f"{prefix}{key}"
        default = its.get("default")
        shown = f"`{default}`" if default and isinstance(default, str | int | float) else ""
        shown = "required" if key in section.get("required", ()) else shown
        yield f"| `{name}` | {shown} | {its['description']} |"
        deeper = f"{name}[]." if its.get("type") == "array" else f"{name}."
        for within in re.findall(r'"\$ref": "#/\$defs/(\w+)"', json.dumps(its)):
            if within not in among:
                yield from rows(sections[within], sections, deeper, (*among, within))


def test_every_example_on_the_page_loads(tmp_path: Path) -> None:
    examples = fenced("yaml")
    assert len(examples) >= 3
    for text in examples:
        path = tmp_path / "destination.yaml"
        path.write_text(text, encoding="utf-8")
        assert load_destination(str(path)).users


def test_what_is_wrong_with_the_broken_example_is_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (broken,) = fenced("yaml broken")
    (said,) = fenced("text")
    monkeypatch.chdir(tmp_path)
    Path("destination.yaml").write_text(broken, encoding="utf-8")
    with pytest.raises(ConfigurationError) as refused:
        load_destination("destination.yaml")
    assert str(refused.value).splitlines() == said.splitlines()


def test_every_key_is_on_the_page_with_its_default_and_description() -> None:
    schema = destination_schema()
    for row in rows(schema, schema["$defs"]):
        assert row in PAGE, row


def test_every_field_that_an_attribute_may_be_written_to_is_on_the_page_by_kind() -> None:
    offered = 0
    for each in OBJECTS.values():
        kinds: dict[str, list[str]] = {}
        for name in each.writable:
            if not name.startswith("custom"):
                kinds.setdefault(each.fields[name].kind, []).append(f"`{name}`")
        for kind, names in kinds.items():
            row = f"| {KINDS[kind]} | {', '.join(names)} |"
            assert row in PAGE, row
            offered += len(names)
    assert offered > len({name for name in TARGETS if not name.startswith("custom")})
