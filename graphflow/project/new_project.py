"""Makes a project: a folder that runs, tests itself and has a notebook, without a network.

Rules:
1. It is made aside and then moved to its place, so that there is a whole one or none.
2. What is there already is never written over.
3. Of another graph (`--from`) its file is copied, with the nodes of its project that it imports, and what these import.
"""

from __future__ import annotations

import json
import keyword
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from graphflow.errors import FileUnreadable, InputInvalid
from graphflow.project.copied_graph import copy_graph

KIT = Path(__file__).parent / "kit"
FILES = {
    "graphflow.toml": "graphflow.toml",
    "README.md": "README.md",
    "gitignore": ".gitignore",
    "env.example": ".env.example",
    "test_project.py": "tests/test_project.py",
    "notebook.ipynb": "notebooks/__NAME__.ipynb",
}
"""What every project has: the file of the kit, and its place."""
OWN_GRAPH = {
    "graph.py": "graphs/__VARIABLE__.py",
    "about.py": "nodes/routers/about.py",
    "look_up.py": "nodes/steps/look_up.py",
    "stock.py": "nodes/tools/stock.py",
    "case_stock.toml": "tests/cases/stock.toml",
    "case_greeting.toml": "tests/cases/greeting.toml",
}
"""What it has beside that if it is not made from a graph."""
MESSAGE = "Do you have tea?"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,60}")


def make_project(place: Path, source: str | None = None) -> Path:
    """Makes a project in a folder that is not there yet.

    Args:
        place: the folder; its name is the project's.
        source: the graph that it is made from: a name or a file; None: a small graph of its own.

    Returns:
        The folder.

    Raises:
        InputInvalid: the name cannot be one, or something is there.
        UnknownGraph, FileUnreadable: there is no such graph, or it cannot be copied.
    """
    name = place.resolve().name
    variable = name.replace("-", "_")
    _check_place(place, name, variable)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{name}-") as aside:
            made = Path(aside) / name
            _fill(made, name, variable, source)
            # An empty folder that was made for it gives way.
            if place.exists():
                place.rmdir()
            made.rename(place)
    except FileUnreadable:
        raise
    except OSError as error:
        raise InputInvalid(f"{place} cannot be made: {error.strerror}") from None
    return place


def _check_place(place: Path, name: str, variable: str) -> None:
    """Refuses a place where no project can be made.

    Raises:
        InputInvalid: the name cannot be one, or something is there.
    """
    if _NAME.fullmatch(name) is None or keyword.iskeyword(variable):
        raise InputInvalid(
            f"a project cannot be called {name!r}: take letters, digits, '-' and '_', a letter first; no word of Python"
        )
    is_free = not place.exists()
    if place.is_dir():
        is_free = not any(place.iterdir())
    if not is_free:
        raise InputInvalid(f"{place} is there already; choose another name, or remove it")


def _fill(made: Path, name: str, variable: str, source: str | None) -> None:
    """Writes all files of a project."""
    words = {"__NAME__": name, "__VARIABLE__": variable, "__MESSAGE__": MESSAGE}
    made.mkdir()
    if source is None:
        words["__GRAPH__"] = variable
        _write(made, FILES | OWN_GRAPH, words)
        return
    copied = copy_graph(source, made)
    words["__GRAPH__"] = copied.name
    # A text within quotes of TOML is written as JSON writes it.
    words['"__MESSAGE__"'] = json.dumps(copied.message, ensure_ascii=False)
    _write(made, FILES, words)
    (made / "tests" / "cases").mkdir()


def _write(made: Path, files: Mapping[str, str], words: Mapping[str, str]) -> None:
    for kept, place in files.items():
        text = (KIT / f"{kept}.txt").read_text(encoding="utf-8")
        file = made / _filled(place, words)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_filled(text, words), encoding="utf-8")


def _filled(text: str, words: Mapping[str, str]) -> str:
    # Longer ones first: a word in quotes holds one without.
    for word in sorted(words, key=len, reverse=True):
        text = text.replace(word, words[word])
    return text
