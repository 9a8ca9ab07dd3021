"""One word for one thing: each class has a name of its own, and names are nouns of the field."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "graphflow"
FILES = sorted(PACKAGE.rglob("*.py"))
SHARED: dict[str, str] = {}
"""Names that two classes may share, and why neither of them has a better one."""
PARTICIPLES = frozenset({"told", "said", "spelled", "held", "cut", "spoken"})
FORMER = "former_name"
"""What an attribute's old name is made with: it stays a participle until it goes."""


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in FILES:
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def is_former_name(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == FORMER


def names_given(tree: ast.AST) -> Iterator[str]:
    """The names of classes and functions, of parameters, variables and attributes that a file gives."""
    former = {
        id(target)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and is_former_name(node.value)
        for target in node.targets
    }
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.arg(arg=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()) if id(node) not in former:
                yield name
            case ast.Attribute(attr=name, ctx=ast.Store()):
                yield name


def test_no_two_classes_share_a_name() -> None:
    homes: dict[str, list[str]] = defaultdict(list)
    for file, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                homes[node.name.lstrip("_")].append(file)
    shared = {name: files for name, files in homes.items() if len(files) > 1}
    assert {name: files for name, files in shared.items() if name not in SHARED} == {}
    assert set(SHARED) <= set(shared), "the list of shared names holds a name that only one class has"


def test_no_name_is_one_of_the_participles_that_say_nothing() -> None:
    found = [
        f"{file}: {name}" for file, tree in trees() for name in names_given(tree) if name.strip("_") in PARTICIPLES
    ]
    assert found == []
