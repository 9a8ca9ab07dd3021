"""The files of graphs in reach, by name: the user's own, then those that come with graphflow. None is loaded.

The nearest folder upwards that has `graphs/` is the project (never one above that everybody may write to); what it lacks is
looked for in the one that comes with graphflow. Shells that complete names wait for this module, so it loads little.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from graphflow.files.project_modules import project_above, shipped_root

ENDINGS = (".py", ".yaml", ".yml", ".json", ".toml")
"""How files end that can hold a graph."""


@dataclass(frozen=True, slots=True)
class Found:
    """A graph that can be run by name."""

    name: str
    file: Path
    root: Path


def roots(start: Path | None = None) -> list[Path]:
    """The user's project, if there is one, then the one that comes with graphflow."""
    here = start or Path.cwd()
    own = project_above(here)
    shipped = shipped_root()
    if own is None or own == shipped:
        return [shipped]
    return [own, shipped]


def find_all(start: Path | None = None) -> list[Found]:
    """Every graph in reach, by name; the user's own hides a shipped one of the same name."""
    found: dict[str, Found] = {}
    for root in roots(start):
        for graph in graphs_of(root):
            # The user's own root comes first, and the first of a name stays.
            found.setdefault(graph.name, graph)
    # By name, and not by the place where each was found.
    names = sorted(found)
    return [found[name] for name in names]


def graphs_of(root: Path) -> Iterator[Found]:
    """The graphs that one project declares."""
    folder = root / "graphs"
    if not folder.is_dir():  # a project file alone makes a project, too
        return
    for file in sorted(folder.iterdir()):
        # Such as `graph.schema.json`: what has two endings is about graphs, and none itself.
        is_private = file.name.startswith("_") or "." in file.stem
        if file.suffix in ENDINGS and not is_private:
            yield Found(file.stem, file, root)
