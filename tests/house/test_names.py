"""One word for one thing: each class has a name of its own, and names are nouns of the field."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "graphflow"
FILES = sorted(PACKAGE.rglob("*.py"))
SHARED = {
    "Finish": "public twice: why a model stopped (`graphflow.model`), and the last command of a walk (`graphflow.walk`)",
}
"""Names that a class shares with another class or a type, and why neither of them has a better one."""
TYPE_NAME = re.compile(r"_?[A-Z][a-z]\w*")
PARTICIPLES = frozenset({"told", "said", "spelled", "held", "cut", "spoken"})
FORMER = "former_name"
"""What an attribute's old name is made with: it stays a participle until it goes."""


@cache
def trees() -> list[tuple[str, ast.Module]]:
    """Each file of the package, parsed."""
    return [
        (path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text(encoding="utf-8")))
        for path in FILES
    ]


def is_former_name(value: ast.expr | None) -> bool:
    return (
        isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == FORMER
    )


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
            case (
                ast.ClassDef(name=name)
                | ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
            ):
                yield name
            case ast.arg(arg=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()) if id(node) not in former:
                yield name
            case ast.Attribute(attr=name, ctx=ast.Store()):
                yield name


def types_named(tree: ast.Module) -> Iterator[str]:
    """The names that a module gives to types: `Path = tuple[str, ...]`."""
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                pass
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                pass
            case _:
                continue
        is_variable = isinstance(value, ast.Call)  # `T = TypeVar("T")`
        if TYPE_NAME.fullmatch(name) and not is_variable:
            yield name.lstrip("_")


def classes_named() -> dict[str, list[str]]:
    """The files of each class, by its name; `_Reader` is the same word as `Reader`."""
    homes: dict[str, list[str]] = defaultdict(list)
    for file, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                homes[node.name.lstrip("_")].append(file)
    return homes


def test_no_two_classes_share_a_name() -> None:
    shared = {name: files for name, files in classes_named().items() if len(files) > 1}
    assert shared == {}


def test_no_type_has_the_name_of_a_class() -> None:
    classes = classes_named()
    shared = {
        (name, file) for file, tree in trees() for name in types_named(tree) if name in classes
    }
    unlisted = {(name, file) for name, file in shared if name not in SHARED}
    assert unlisted == set()
    assert {name for name, _ in shared} == set(SHARED), "a name on the list is no longer shared"


def test_no_name_is_one_of_the_participles_that_say_nothing() -> None:
    found = [
        f"{file}: {name}"
        for file, tree in trees()
        for name in names_given(tree)
        if name.strip("_") in PARTICIPLES
    ]
    assert found == []
