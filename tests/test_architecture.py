"""What imports what, and a few other things that are easily broken one line at a time."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from tests.support.program import ROOT

PURE = (
    "elements",
    "errors",
    "fold",
    "mapping",
    "plan",
    "budget",
    "lanes",
    "window",
    "remaining",
    "times",
    "outreach.address",
    "outreach.replies",
    "outreach.complaints",
    "outreach.fields",
    "outreach.queue",
)
BEAM = "apache_beam"
CODE = {"pipeline", "transforms", "tests", "benchmarks"}
GRAPH_LINES = 60
MUTABLE = {"list", "dict", "set", "bytearray", "deque", "defaultdict", "Counter", "OrderedDict"}
OF_ONE_MACHINE = re.compile(r"(?<![\w.~-])/(?:work|tmp|root|home)(?:/|\b)")


@cache
def kept() -> tuple[Path, ...]:
    """All files under version control."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("this is no git checkout")
    return tuple(path for name in listed.stdout.split("\0") if (path := ROOT / name).is_file())


@cache
def modules() -> Mapping[str, ast.Module]:
    """Our modules, by name, parsed."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): ast.parse(
            path.read_text(encoding="utf-8"), str(path)
        )
        for folder in ("pipeline", "transforms")
        for path in (ROOT / folder).rglob("*.py")
    }


@cache
def imports(name: str) -> frozenset[str]:
    """What a module imports, anywhere in it: modules, and perhaps names in them."""
    found: set[str] = set()
    for node in ast.walk(modules()[name]):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports from a relative place"
            found.add(node.module or "")
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(found)


def reached(name: str) -> set[str]:
    """A module and all of ours that it imports, at once or through others."""
    seen: set[str] = set()
    rest = {name}
    while rest:
        seen |= rest
        rest = {each for one in rest for each in imports(one) if each in modules()} - seen
    return seen


def ways_to(package: str, *names: str) -> dict[str, list[str]]:
    """Those modules that the named ones reach and that import from a package, with what of it."""
    return {
        each: found
        for each in set[str]().union(*map(reached, names))
        if (found := [one for one in imports(each) if f"{one}.".startswith(f"{package}.")])
    }


def under(package: str) -> list[str]:
    found = [name for name in modules() if f"{name}.".startswith(f"{package}.")]
    assert len(found) > 1
    return found


def test_transforms_know_nothing_of_the_pipeline() -> None:
    assert ways_to("pipeline", *under("transforms")) == {}


@pytest.mark.parametrize("name", PURE)
def test_a_pure_module_reaches_no_beam(name: str) -> None:
    assert ways_to(BEAM, f"transforms.{name}") == {}


def test_what_speaks_to_outreach_knows_no_beam() -> None:
    assert ways_to(BEAM, *under("transforms.outreach")) == {}


def test_the_sandbox_knows_no_beam() -> None:
    assert ways_to(BEAM, *under("pipeline.sandbox")) == {}


def test_code_is_in_four_packages() -> None:
    python = [path.relative_to(ROOT).parts for path in kept() if path.suffix == ".py"]
    assert {parts[0] for parts in python if len(parts) > 1} == CODE
    assert [parts[0] for parts in python if len(parts) == 1] == ["setup.py"]


def test_no_class_holds_what_one_instance_could_change_for_all() -> None:
    found = [
        f"{name}.{owner.name}, line {value.lineno}"
        for name, tree in modules().items()
        for owner in ast.walk(tree)
        if isinstance(owner, ast.ClassDef)
        for value in class_values(owner)
        if is_mutable(value)
    ]
    assert found == []


def class_values(owner: ast.ClassDef) -> Iterator[ast.expr]:
    for statement in owner.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            yield statement.value


def is_mutable(value: ast.expr) -> bool:
    if isinstance(value, ast.Call):
        maker = value.func
        called = maker.attr if isinstance(maker, ast.Attribute) else getattr(maker, "id", "")
        return called in MUTABLE
    displays = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
    return isinstance(value, displays)


def test_the_graph_is_on_one_screen() -> None:
    tree = modules()["pipeline.graph"]
    docstrings = {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    lines = (ROOT / "pipeline" / "graph.py").read_text(encoding="utf-8").splitlines()
    code = [
        line
        for number, line in enumerate(lines, 1)
        if number not in docstrings and line.strip() and not line.lstrip().startswith("#")
    ]
    assert len(code) <= GRAPH_LINES


def test_no_file_names_a_path_of_one_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path in kept()
        for number, line in enumerate(path.read_bytes().decode(errors="replace").splitlines(), 1)
        if OF_ONE_MACHINE.search(line)
    ]
    assert found == []
