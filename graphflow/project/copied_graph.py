"""Copies a graph into another project, with the nodes of its own project that it needs.

What it needs is read from its text and that of the nodes: imports of `nodes.` in Python, names such as
`nodes.tools.search:search` in other files. Nothing of it is run.
"""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from graphflow.errors import FileUnreadable
from graphflow.files.project_modules import ProjectModules, project_above
from graphflow.project.graphs import find_file
from graphflow.regular import read_regular

MAX_BYTES = 4_000_000
"""Bytes of one file that are looked through."""
MAX_FILES = 500
"""Modules of one graph that are copied."""
GREETING = "Hello!"
_NAMED = re.compile(r"\bnodes(?:\.[A-Za-z_]\w*)+(?=:)")
_EXAMPLE = re.compile(r'graphflow run \S+ "((?:[^"\\]|\\.)+)"')


@dataclass(frozen=True, slots=True)
class CopiedGraph:
    """A graph that was copied.

    Attributes:
        name: of its file.
        message: the first one that its own text gives as an example.
    """

    name: str
    message: str


def copy_graph(source: str, into: Path) -> CopiedGraph:
    """Copies the graph of that name, or in that file, into the folder of a project.

    Raises:
        UnknownGraph, FileUnreadable: there is none, or it cannot be read.
    """
    file = find_file(source)
    root = project_above(file.parent) or file.parent
    text = read_regular(file, MAX_BYTES)
    _copy(file, into / "graphs" / file.name)
    texts = [text]
    for module in _needed(file, text, root):
        below = read_regular(module, MAX_BYTES)
        texts.append(below)
        # Those that come with graphflow have another root, and get the same places.
        for each in (module, *_belongings(module, below)):
            _copy(each, into / _place_of(each, root))
    whole = "\n".join(texts)
    for folder in _data_folders(file.parent, whole):
        place = into / "graphs" / folder.name
        shutil.copytree(folder, place)
    example = _EXAMPLE.search(text)
    message = GREETING if example is None else example[1]
    return CopiedGraph(file.stem, message)


def _copy(file: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, place)


def _place_of(module: Path, root: Path) -> Path:
    """Where a file of nodes lies in its project."""
    nodes = _nodes_around(module)
    return module.relative_to(root if nodes is None else nodes.parent)


def _nodes_around(module: Path) -> Path | None:
    """The folder `nodes` that a file lies in."""
    for folder in module.parents:
        if folder.name == "nodes":
            return folder
    return None


def _needed(file: Path, text: str, root: Path) -> Iterator[Path]:
    """The modules of nodes that a graph needs, each once."""
    modules = ProjectModules.of(file, root)
    found: dict[Path, None] = {}
    names = list(_names_in(file, text, ""))
    while names:
        name = names.pop()
        # What is not of nodes is installed, or comes with Python.
        module = modules.find(name) if name.startswith("nodes.") else None
        if module is None or module in found:
            continue
        found[module] = None
        if len(found) > MAX_FILES:
            raise FileUnreadable(f"{file} needs more than {MAX_FILES} modules; copy it by hand")
        below = read_regular(module, MAX_BYTES)
        names += _names_in(module, below, name)
    yield from found


def _names_in(file: Path, text: str, module: str) -> Iterator[str]:
    """The names of modules of nodes that stand in a file; `module` is its own."""
    if file.suffix != ".py":
        yield from _NAMED.findall(text)
        return
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError) as error:
        raise FileUnreadable(f"{file} is not Python: {error}") from None
    for each in ast.walk(tree):
        match each:
            case ast.ImportFrom():
                yield from _imported_from(each, module)
            case ast.Import():
                for name in each.names:
                    yield name.name
            case ast.Constant(value=str() as value):
                # A name in a text, as graphs in files have them.
                yield from _NAMED.findall(value)


def _imported_from(statement: ast.ImportFrom, module: str) -> Iterator[str]:
    """The module that names are imported from; each of them may be a module itself."""
    base = statement.module or ""
    if statement.level:
        # `from ..messages import Mail` in nodes.tools.page: two names less, and this one.
        around = module.split(".")
        kept = around[: -statement.level]
        base = ".".join([*kept, base]).rstrip(".")
    yield base
    for name in statement.names:
        yield f"{base}.{name.name}"


def _belongings(module: Path, text: str) -> Iterator[Path]:
    """What belongs to a module: prompts that lie beside it and are called like it, and programs of nodes that it starts."""
    for beside in module.parent.glob(f"{module.stem}.*"):
        if beside != module and beside.is_file():
            yield beside
    nodes = _nodes_around(module)
    if nodes is None:
        return
    for other in sorted(nodes.rglob("*.py")):
        # Started by its name, as a program of its own, and so never imported.
        if other != module and f'"{other.name}"' in text:
            yield other


def _data_folders(graphs: Path, text: str) -> Iterator[Path]:
    """Folders of data beside a graph that its text, or that of its nodes, names."""
    for folder in sorted(graphs.iterdir()):
        is_ours = folder.name.startswith(("_", "."))
        if is_ours or not folder.is_dir():
            continue
        if f'"{folder.name}"' in text:
            yield folder
