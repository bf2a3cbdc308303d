"""What imports what, and a few other things that are easily broken one line at a time."""

from __future__ import annotations

import ast
import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from tests.support.processes.program import ROOT

PURE = (
    "elements",
    "errors",
    "conditions",
    "directory",
    "fold",
    "mapping",
    "matching",
    "plan",
    "times",
    "text",
    "budget.budget",
    "budget.forecast",
    "budget.grant",
    "budget.shards",
    "outreach.base_url",
    "outreach.error_body",
    "outreach.fields",
    "outreach.responses",
    "outreach.send_queue",
)
LAYERS = (
    ("pipeline.__main__", "pipeline.template", "pipeline.yaml_provider"),
    ("pipeline.cli", "pipeline.beam"),
    ("pipeline.commands",),
    ("pipeline.jobs", "pipeline.preflight", "pipeline.oauth_flow"),
    ("pipeline.engine", "pipeline.door", "pipeline.operator_page"),
    ("pipeline.graph", "pipeline.monitoring", "pipeline.html_report"),
    ("pipeline.io", "pipeline.destination"),
    ("pipeline.ledger", "pipeline.sandbox", "pipeline.runners", "pipeline.summary"),
    ("pipeline.console", "pipeline.web"),
    ("pipeline",),
    ("transforms",),
    ("transforms.connector",),
    ("transforms.stages",),
    ("transforms.outreach",),
    ("transforms.budget", "transforms.formats"),
    (
        "transforms.clock",
        "transforms.coders",
        "transforms.conditions",
        "transforms.directory",
        "transforms.elements",
        "transforms.errors",
        "transforms.fold",
        "transforms.mapping",
        "transforms.matching",
        "transforms.outreach.fields",
        "transforms.plan",
        "transforms.receipts",
        "transforms.relations",
        "transforms.text",
        "transforms.times",
    ),
)
"""From the top of the house down, as `docs/design.md` draws them: a folder with those in it, or a
module. Rooms of one layer import nothing from each other, but for the modules of the core."""
MOST_MODULES = 14
MOST_LINES = 300
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


def layer_of(name: str) -> tuple[int, str]:
    """The layer of a module, from the top, and the room in it; the longest name that fits."""
    return max(
        (
            (layer, room)
            for layer, rooms in enumerate(LAYERS)
            for room in rooms
            if name == room or (name.startswith(f"{room}.") and "." in room)
        ),
        key=lambda found: len(found[1]),
    )


def arrows() -> Iterator[tuple[str, str]]:
    """Each module of ours with each that it imports."""
    for name in modules():
        for one in imports(name):
            if one in modules() and one != name and not name.startswith(f"{one}."):
                yield name, one


def test_each_module_is_in_one_of_the_layers_that_the_design_draws() -> None:
    homeless = [name for name in modules() if name not in {"pipeline", "transforms"}]
    assert [name for name in homeless if "." not in layer_of(name)[1]] == []


def test_no_import_runs_up_the_house() -> None:
    core = len(LAYERS) - 1
    up = [
        f"{name} -> {one}"
        for name, one in arrows()
        for (above, room), (below, other) in [(layer_of(name), layer_of(one))]
        if one not in {"pipeline", "transforms"}
        and (above > below or (above == below and room != other and above != core))
        and name != "transforms"
    ]
    assert up == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    below: dict[str, set[str]] = {name: set() for name in modules()}
    for name, one in arrows():
        if name != "transforms":  # Its face imports what it shows, when that is asked for.
            below[name].add(one)
    left = dict(below)
    while ends := [name for name, ones in left.items() if not ones & left.keys()]:
        for name in ends:
            del left[name]
    assert sorted(left) == []


def test_no_folder_is_too_full_to_be_looked_over() -> None:
    folders = Counter(path.parent for path in kept() if path.suffix == ".py")
    for path in kept():
        if path.name == "__init__.py":
            folders[path.parent] -= 1
    full = {str(folder.relative_to(ROOT)): n for folder, n in folders.items() if n > MOST_MODULES}
    full.pop("benchmarks", None)  # One module for each table of its results.
    assert full == {}


def test_no_module_is_too_long_to_be_read_at_once() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in kept()
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] != "benchmarks"
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MOST_LINES
    }
    assert long == {}


def test_each_package_says_what_it_is_for() -> None:
    silent = [
        str(path.parent.relative_to(ROOT))
        for path in kept()
        if path.name == "__init__.py"
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []


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
