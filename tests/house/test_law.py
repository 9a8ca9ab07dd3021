"""The law of the house: who may import whom, what may be named by a string, and what stays within its room."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from tests.tools.rooms import arrows, circles, exceptions, imports

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "graphflow"
LOADERS = {"import_module", "__import__", "resolve_name"}
BY_STRING = {
    "__init__.py": "the package's own face: a public name is loaded when it is asked for",
    "_faces.py": "the faces of rooms, and modules that answer under an old name",
    "providers/__init__.py": "the face of the providers, who bring the network with them",
    "display.py": "the one way up: a value that is shown in a notebook asks the notebook's room how it looks",
    "journal/store.py": "the other way up: a run that is loaded from a store shows itself, too",
    "model/resolve.py": "a provider's prefix stands for a module of the table of providers",
    "files/names.py": "a graph file names what it uses: `module:name`",
    "files/project_modules.py": "the same, where the module belongs to the file's project",
    "mcp/server.py": "the SDK is loaded in a thread, before it is used",
}
"""Where something is imported by its name, and why. An import that a reader, mypy and the import law can see is better."""
BORROWED = {
    "_getframe": "`sys._getframe`: the file and line of a declaration",
    "_get_running_loop": "`asyncio`: asks without raising",
    "_Hash": "`hashlib`: the type of a hash, which has no public name",
    "_trait_values": "`traitlets`: changes a list without telling the browser of all of it",
}
"""Private names of others' packages."""


@cache
def trees() -> Mapping[Path, ast.Module]:
    """Every file of the package, by its path within it."""
    return {
        path.relative_to(PACKAGE): ast.parse(path.read_text())
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def room(path: Path) -> str:
    """The folder, or the file beside the folders, that a module lies in."""
    return path.with_suffix("").parts[0]


def loads_by_string(tree: ast.Module) -> Iterator[int]:
    """The lines on which something is imported by its name."""
    for item in ast.walk(tree):
        if isinstance(item, ast.Call):
            called = item.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name in LOADERS:
                yield item.lineno


def private_names(tree: ast.Module) -> set[str]:
    """The private names that a module gives: to functions, classes, variables and attributes of its own objects."""
    given: set[str] = set()
    for item in ast.walk(tree):
        match item:
            case (
                ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.ClassDef(name=name)
            ):
                given.add(name)
            case ast.Name(id=name, ctx=ast.Store()):
                given.add(name)
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name, ctx=ast.Store()):
                given.add(name)
            case ast.Constant(value=str(name)):  # slots, and what is put straight into a dict
                given.add(name)
    return {name for name in given if is_private(name)}


def is_private(name: str) -> bool:
    """Whether a name belongs to those who gave it."""
    return (
        name.startswith("_") and not name.startswith("__") and name.isidentifier() and name != "_"
    )


def private_reads(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Lines and private names that are read of something else than oneself, or imported.

    What stands on `self` and `super()` is not looked at: a base may leave hooks to its subclasses (`Node._declare`).
    """
    for item in ast.walk(tree):
        match item:
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                continue
            case ast.Attribute(value=ast.Call(func=ast.Name(id="super"))):
                continue
            case ast.Attribute(attr=name) if is_private(name):
                yield item.lineno, name
            case ast.ImportFrom(module=str(module), names=names) if module.startswith("graphflow"):
                yield from ((item.lineno, alias.name) for alias in names if is_private(alias.name))


def foreign_reads(files: Mapping[Path, ast.Module]) -> list[str]:
    """Private names that are read in a room in which nobody gave them."""
    own: dict[str, set[str]] = defaultdict(set)
    for path, tree in files.items():
        own[room(path)] |= private_names(tree)
    return [
        f"{path}:{line} reads {name}"
        for path, tree in files.items()
        for line, name in private_reads(tree)
        if name not in own[room(path)] and name not in BORROWED
    ]


def test_the_import_law_holds() -> None:
    # As a module, so that the very environment that runs the tests is looked at, wherever its scripts lie; without its cache,
    # which goes by the times of files and knows old imports of those that were rewritten within a moment.
    run = "from importlinter.cli import lint_imports_command as run; run()"
    command = [sys.executable, "-c", run, "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]


def test_rooms_lie_in_no_circle_and_exceptions_are_few() -> None:
    assert circles(arrows(imports())) == []
    assert len(exceptions()) <= 3


def test_nothing_is_imported_by_string_but_where_that_is_said() -> None:
    found = {path.as_posix() for path, tree in trees().items() if any(loads_by_string(tree))}
    assert found == BY_STRING.keys()


def test_no_room_reads_private_names_of_another() -> None:
    assert foreign_reads(trees()) == []


@pytest.mark.parametrize(
    "line",
    [
        "graph._proof.edges",
        "run.record._task.cancel()",
        "from graphflow.proofs.proven import _flat",
    ],
)
def test_a_private_name_of_another_room_is_found(line: str) -> None:
    files = {
        Path("render/page.py"): ast.parse(line),
        Path("proofs/proven.py"): ast.parse(
            "class ProvenGraph:\n    _proof: object\n\ndef _flat(): ...\n"
        ),
        Path("runtime/run_record.py"): ast.parse("class RunRecord:\n    __slots__ = ('_task',)\n"),
    }
    assert len(foreign_reads(files)) == 1
    at_home = {
        Path("proofs/report.py" if "_task" not in line else "runtime/frame.py"): files.pop(
            Path("render/page.py")
        )
    }
    assert foreign_reads(at_home | files) == []


@pytest.mark.parametrize(
    "line", ["import_module('graphflow.run')", "importlib.import_module(f'graphflow.{room}')"]
)
def test_an_import_by_string_is_found(line: str) -> None:
    assert list(loads_by_string(ast.parse(line))) == [1]
