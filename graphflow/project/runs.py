"""Where the runs of a project are kept: in `.graphflow/`, beside its `graphs/`, unless somebody says otherwise.

    --store ADDRESS, else $GRAPHFLOW_STORE, else PROJECT/.graphflow/runs.db, else nowhere

Rules:
1. What was asked for is kept or the run stops; what a project keeps by itself is kept by best effort.
2. The folder tells git to leave it alone: a record holds what a run was given, which is nobody else's affair.
3. No record names code. The graph of a run is looked for by its name, among those of the project.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from graphflow.errors import GraphflowError, RunUnknown, UnknownGraph
from graphflow.files import is_graph_file, load_graph
from graphflow.files.project_modules import project_above
from graphflow.graph import Graph, RunnableGraph
from graphflow.journal.store import Store, without_password
from graphflow.project.graphs import Found, find_all, roots
from graphflow.project.python_file import graphs_in

FOLDER = ".graphflow"
FILE = "runs.db"
NOWHERE = "none"
"""How to say that nothing shall be kept."""


@dataclass(frozen=True, slots=True)
class RunPlace:
    """Where runs are kept.

    Attributes:
        address: of the store.
        shown: the same, for people.
        folder: a folder of graphflow's own that has to be there first; None: the store sees to itself.
        given: whether somebody has asked for it.
    """

    address: str
    shown: str
    folder: Path | None = None
    given: bool = True

    def open(self) -> Store:
        """The store, which may not have been made yet.

        Raises:
            StoreUnreadable: no kind of store has such addresses.
        """
        return Store.open(self.address)

    def prepare(self) -> None:
        """Makes the folder, before the first run is kept in it.

        Raises:
            OSError: it cannot be made.
        """
        if self.folder is None:
            return
        self.folder.mkdir(exist_ok=True)
        ignored = self.folder / ".gitignore"
        if not ignored.exists():
            ignored.write_text("*\n", encoding="utf-8")

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever kept there, as far as that can be seen without making it."""
        return self.folder is not None and not (self.folder / FILE).exists()


def place_of_runs(address: str | None, start: Path | None = None) -> RunPlace | None:
    """Where runs are kept; None: nowhere.

    Args:
        address: what was asked for, if something was; "none" is nowhere.
        start: where the project is looked for; None: where the process runs.
    """
    if address == NOWHERE:
        return None
    if address:
        return RunPlace(address, without_password(address))
    root = project_above(start or Path.cwd())
    if root is None:
        return None
    # Shown as it is seen from here, since that is where people look for it.
    folder = root / FOLDER
    file = folder / FILE
    return RunPlace(f"sqlite:{file}", os.path.relpath(file), folder, given=False)


def place_with_runs(address: str | None, start: Path | None = None) -> RunPlace:
    """The same for whoever looks for a run.

    Raises:
        RunUnknown: there is nothing to look at.
    """
    place = place_of_runs(address, start)
    if place is None:
        raise RunUnknown(
            "no runs are kept here: this is no project (a folder with graphs/); say where they are: --store sqlite:FILE"
        )
    if place.is_empty:
        raise RunUnknown(
            f"no runs are kept in {place.shown} yet; `graphflow run GRAPH INPUT` keeps them there"
        )
    return place


# -- the graph of a run ----------------------------------------------------------------------------
def graph_named(name: str, start: Path | None = None) -> RunnableGraph:
    """The graph that calls itself so, among those that can be run by name.

    Raises:
        UnknownGraph: there is none.
    """
    for found in _likely(name, start):
        try:
            graphs = _graphs_of(found)
        except GraphflowError:
            continue  # it is broken, and may not even have to do with it
        for graph in graphs:
            if graph.name == name:
                return graph
    raise UnknownGraph(
        f"the graph {name!r} is not among those of the project; say where it is: --graph FILE.py"
    )


def _likely(name: str, start: Path | None) -> Iterator[Found]:
    """The files that may declare a graph of that name: those of the user's project first, and the one that is called like it."""
    every = find_all(start)
    for root in roots(start):
        here = [found for found in every if found.root == root]
        for found in here:
            if found.name == name:
                yield found
        for found in here:
            if found.name != name and _mentions(found.file, name):
                yield found


def _mentions(file: Path, name: str) -> bool:
    """Whether a file has the name in it at all: what has not is not run to find out."""
    try:
        return name in file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def _graphs_of(found: Found) -> list[RunnableGraph]:
    if is_graph_file(found.file):
        return [load_graph(found.file, Graph)]
    return list(graphs_in(found.file, found.root).values())
