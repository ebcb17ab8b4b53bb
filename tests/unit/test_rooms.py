"""The folders show the pipe: who may import whom, no circles, no module that is more than one idea."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (ROOT / "etl").rglob("*.py")
}
#: Room → the rooms of ours that it may import besides itself. The package itself holds the version.
MAY_IMPORT = {
    "etl.catalogue": {"etl"},
    "etl.extract": {"etl", "etl.errors", "etl.catalogue"},
    "etl.transform": {"etl", "etl.errors", "etl.catalogue"},
    "etl.load": {"etl", "etl.errors", "etl.shipped", "etl.catalogue"},
    "etl.report": {"etl", "etl.errors", "etl.shipped", "etl.catalogue", "etl.load"},
    "etl.simulator": set(),
}


def imports(path: Path) -> Iterator[str]:
    """Every module of ours that a module imports at run time, inside functions too."""
    for node in ast.walk(without_type_checking(ast.parse(path.read_text("utf-8")))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            submodules = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in MODULES else node.module for name in submodules]
        for name in names:
            if name in MODULES:
                yield name


def without_type_checking(tree: ast.Module) -> ast.Module:
    tree.body = [
        node
        for node in tree.body
        if not (isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING")
    ]
    return tree


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_knows_no_room_before_it(room: str) -> None:
    inside = {name: path for name, path in MODULES.items() if name == room or name.startswith(f"{room}.")}
    assert len(inside) > 2
    for name, path in inside.items():
        for imported in imports(path):
            allowed = imported.startswith(room) or any(
                imported == other or (other != "etl" and imported.startswith(f"{other}.")) for other in MAY_IMPORT[room]
            )
            assert allowed, f"{name} imports {imported}"


def test_no_circular_import() -> None:
    graph = {name: {one for one in imports(path) if one not in (name, "etl")} for name, path in MODULES.items()}
    assert list(graphlib.TopologicalSorter(graph).static_order())


def test_the_clock_is_read_in_one_place() -> None:
    """A run has one time, handed down. (A Retry-After that names a date is a wait, and no time of any data.)"""
    readers = {
        name
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("now", "utcnow")
        if isinstance(node.func.value, ast.Name) and node.func.value.id == "datetime"
    }
    assert readers == {"etl.clock", "etl.extract.retry"}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_one_idea(name: str) -> None:
    source = MODULES[name].read_text("utf-8")
    assert len(source.splitlines()) <= 400
    assert ast.get_docstring(ast.parse(source)), "its first line says what it is for"
