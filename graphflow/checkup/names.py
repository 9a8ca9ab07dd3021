"""Names that mean two things: modules of a project, its graphs, and the package `graphflow` itself."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path

from graphflow.checkup.diagnosis import Diagnosis
from graphflow.checkup.distributions import DISTRIBUTION
from graphflow.files.project_modules import PROJECT_FOLDERS, shipped_root
from graphflow.project.graph_files import graphs_of

_AREA = "names"
_PACKAGE = Path(__file__).resolve().parents[1]


def look_at_names(root: Path | None) -> Iterator[Diagnosis]:
    """What clashes.

    Args:
        root: the folder of the project; None: there is none.
    """
    found = [*_package()]
    if root is not None:
        found += _modules(root)
        found += _graphs(root)
    if not found:
        text = "no module and no graph is called like another one"
        found.append(Diagnosis(_AREA, "clashes", "ok", text))
    yield from found


def _package() -> Iterator[Diagnosis]:
    """Another package on PyPI may bring a module `graphflow`, too."""
    by_module = importlib.metadata.packages_distributions()
    owners = set(by_module.get("graphflow", ()))
    owners.discard(DISTRIBUTION)
    if owners:
        names = " ".join(sorted(owners))
        advice = f"pip uninstall {names}; pip install --force-reinstall {DISTRIBUTION}"
        text = f"{names} has written into the package graphflow, too"
        yield Diagnosis(_AREA, "graphflow", "problem", text, advice)


def _modules(root: Path) -> Iterator[Diagnosis]:
    """Modules in the project's folder that are called like Python's or an installed package."""
    elsewhere = _path_without(root)
    for place in sorted(root.iterdir()):
        # In a checkout that is the package itself.
        if place == _PACKAGE or not _is_module(place):
            continue
        taken = _owner_of(place.stem, elsewhere)
        if not taken:
            continue
        yield Diagnosis(
            _AREA,
            place.name,
            "warning",
            f"it is called like {taken}, so graph files cannot name it, and imports may mix them up",
            f"mv {place.name} my_{place.name}",
        )


def _is_module(place: Path) -> bool:
    """Whether a file or folder can be imported under its name."""
    if not place.stem.isidentifier():
        return False
    # Every project has these folders, and no package is called so.
    if place.name in PROJECT_FOLDERS:
        return False
    if place.is_dir():
        package = place / "__init__.py"
        return package.is_file()
    return place.suffix == ".py"


def _owner_of(name: str, elsewhere: list[str]) -> str:
    """Whose name it is; "" if nobody else's."""
    if name == "graphflow":
        return "graphflow itself"
    if name in sys.stdlib_module_names:
        return f"the module {name} of Python"
    spec = PathFinder.find_spec(name, elsewhere)
    # A folder without `__init__.py` is nobody's package.
    if spec is None or spec.origin is None:
        return ""
    return f"the installed package {name}"


def _path_without(root: Path) -> list[str]:
    """Where packages are installed: the path without the project, which an editable install puts there."""
    own = (root, root / "src")
    kept: list[str] = []
    for each in sys.path:
        place = Path(each).resolve()
        # An empty text is the folder of the process.
        if each and place not in own:
            kept.append(str(place))
    return kept


def _graphs(root: Path) -> Iterator[Diagnosis]:
    """Graphs of the project that hide others."""
    shipped: set[str] = set()
    # Those that come with graphflow are there in several forms, which are equal.
    if root == shipped_root():
        return
    for found in graphs_of(shipped_root()):
        shipped.add(found.name)
    seen: dict[str, str] = {}
    for found in graphs_of(root):
        name = found.name
        file = f"graphs/{found.file.name}"
        if name in seen:
            text = f"{seen[name]} is the one that is run by this name, and hides it"
            advice = f"graphflow run {file} (runs it)"
            yield Diagnosis(_AREA, file, "warning", text, advice)
        elif name in shipped:
            text = f"it hides the graph {name} that comes with graphflow"
            advice = f"mv {file} graphs/my_{found.file.name} (to have both)"
            yield Diagnosis(_AREA, file, "warning", text, advice)
        seen.setdefault(name, file)
