"""Where the runs of a project are kept: in `.graphflow/`, beside its `graphs/`, unless somebody says otherwise.

    --store ADDRESS, else $GRAPHFLOW_STORE, else `store` of its settings, else PROJECT/.graphflow/runs.db, else nowhere
    --key PLACE, else $GRAPHFLOW_KEY, else `store.key` of its settings, else in clear

Rules:
1. What was asked for is kept or the run stops; what a project keeps by itself is kept by best effort.
2. The folder tells git to leave it alone: a record holds what a run was given, which is nobody else's affair.
3. No record names code. The graph of a run is looked for by its name, among those of the project.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from graphflow.errors import GraphflowError, RunUnknown, UnknownGraph
from graphflow.files.loader import is_graph_file
from graphflow.files.project_modules import shipped_root
from graphflow.files.reader import load_graph
from graphflow.graph import Graph, RunnableGraph
from graphflow.journal.addresses import without_password
from graphflow.journal.store import Store
from graphflow.project.graph_files import ENDINGS, graphs_of
from graphflow.project.here import project_here
from graphflow.project.project import Project
from graphflow.project.python_file import graphs_in
from graphflow.proofs.form import form_digest

FOLDER = ".graphflow"
FILE = "runs.db"
NOWHERE = "none"
"""How to say that nothing shall be kept."""
KEY_VARIABLE = "GRAPHFLOW_KEY"
"""Holds the key that stores are opened with, or where it stands."""
_stated_key: str | None = None
"""Where the key stands, if the command line says so. A process has one command line."""


@dataclass(frozen=True, slots=True)
class RunPlace:
    """Where runs are kept.

    Attributes:
        address: of the store.
        shown: the same, for people.
        folder: a folder of graphflow's own that has to be there first; None: the store sees to itself.
        given: whether somebody has asked for it.
        named: whether a command has to name it.
        options: of the store of a plug-in.
    """

    address: str
    shown: str
    folder: Path | None = None
    given: bool = True
    named: bool = True
    options: Mapping[str, object] = field(default_factory=dict)

    def open(self, *, clear: bool = False) -> Store:
        """The store, which may not have been made yet.

        Args:
            clear: whether it is opened without a key, even if there is one.

        Raises:
            StoreUnreadable: no kind of store has such addresses.
            KeyInvalid: what stands in the place of the key is not one.
        """
        key = None if clear else key_of_runs()
        return Store.open(self.address, key=key, **self.options)

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


def state_key(place: str) -> None:
    """Says where the key of stores stands: `env:NAME` or `file:PATH`."""
    global _stated_key
    _stated_key = place


def key_of_runs() -> str | None:
    """The key that stores are opened with, or where it stands; None: there is none."""
    given = _stated_key or os.environ.get(KEY_VARIABLE)
    if given:
        return given
    project = project_here()
    return None if project is None else project.store_key


def place_of_runs(address: str | None, start: Path | None = None) -> RunPlace | None:
    """Where runs are kept; None: nowhere.

    Args:
        address: what was asked for, if something was; "none" is nowhere.
        start: where the project is looked for; None: where the process runs.
    """
    if address:
        return _stated_place(address)
    project = project_here(start)
    if project is None:
        return None
    return place_in(project)


def place_in(project: Project) -> RunPlace | None:
    """Where the runs of a project are kept; None: nowhere."""
    # Shown as it is seen from here, since that is where people look for it.
    folder = project.root / FOLDER
    file = folder / FILE
    own = RunPlace(f"sqlite:{file}", os.path.relpath(file), folder, given=False, named=False)
    stated = project.store_address
    if stated is None:
        return own
    if stated == own.address:
        return replace(own, given=True)
    place = _stated_place(stated)
    options = project.settings.store.options
    return None if place is None else replace(place, named=False, options=options)


def _stated_place(address: str) -> RunPlace | None:
    """The place that somebody has asked for; None: nowhere."""
    if address == NOWHERE:
        return None
    return RunPlace(address, without_password(address))


def place_with_runs(address: str | None, start: Path | None = None) -> RunPlace:
    """The same for whoever looks for a run.

    Raises:
        RunUnknown: there is nothing to look at.
    """
    place = place_of_runs(address, start)
    if place is None:
        raise RunUnknown(
            "no runs are kept here: this is not a project (a folder with graphs/); say where they are: --store sqlite:FILE"
        )
    if place.is_empty:
        raise RunUnknown(
            f"no runs are kept in {place.shown} yet; `graphflow run GRAPH INPUT` keeps them there"
        )
    return place


# -- the graph of a run ----------------------------------------------------------------------------
def graph_named(name: str, start: Path | None = None, *, digest: object = None) -> RunnableGraph:
    """The graph that calls itself so: one of the project, else one that comes with graphflow.

    Args:
        name: what it calls itself.
        start: where the project is looked for; None: where the process runs.
        digest: of the form that it had when its run began (`RunHeader.about`); None: nobody knows. What comes with graphflow
            under that name may be another graph than the one that was run, and is taken only if it has this form.

    Raises:
        UnknownGraph: there is none.
        GraphflowError: there is one of the project that cannot be loaded.
    """
    broken: list[GraphflowError] = []
    own = project_here(start)
    graph = None
    if own is not None:
        graph = _first_named(name, own.root, _own_files(own), broken)
    # The one that is meant may be the one that is broken.
    if graph is None and (digest is not None or not broken):
        graph = _shipped(name, digest)
    if graph is not None:
        return graph
    if broken:
        raise broken[0]
    raise UnknownGraph(
        f"the graph {name!r} is not among those of the project; say where it is: --graph FILE.py"
    )


def _own_files(project: Project) -> list[Path]:
    """The files of a project that may hold graphs; its own graph need not stand in `graphs/`."""
    files = [found.file for found in project.graphs()]
    # It may be a name, which `graphs/` has, or FILE.py:VARIABLE.
    stated, _, _ = (project.settings.graph or "").partition(":")
    if Path(stated).suffix in ENDINGS:
        files.append(project.root / stated)
    return files


def _shipped(name: str, digest: object) -> RunnableGraph | None:
    """The graph that comes with graphflow under that name, if it has that form."""
    # What cannot be loaded there, for want of an extra, is not the project's affair.
    root = shipped_root()
    files = [found.file for found in graphs_of(root)]
    graph = _first_named(name, root, files, [])
    if graph is None or digest is None:
        return graph
    return graph if form_digest(graph) == digest else None


def _first_named(
    name: str, root: Path, files: Sequence[Path], broken: list[GraphflowError]
) -> RunnableGraph | None:
    """The first graph of that name in these files; what cannot be loaded is added to `broken`."""
    for file in _likely(name, files):
        try:
            graph = _graph_in(file, root, name)
        except GraphflowError as error:
            broken.append(error)  # it may not even have to do with it
            continue
        if graph is not None:
            return graph
    return None


def _likely(name: str, files: Sequence[Path]) -> Iterator[Path]:
    """The files that may declare a graph of that name: first the one that is called like it."""
    for file in files:
        if file.stem == name:
            yield file
    for file in files:
        if file.stem != name and _mentions(file, name):
            yield file


def _mentions(file: Path, name: str) -> bool:
    """Whether a file has the name in it at all: what has not is not run to find out."""
    try:
        return name in file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def _graph_in(file: Path, root: Path, name: str) -> RunnableGraph | None:
    """The graph of that name in a file, if it has one."""
    graphs: list[RunnableGraph] = []
    if is_graph_file(file):
        graphs.append(load_graph(file, Graph))
    else:
        graphs += graphs_in(file, root).values()
    for graph in graphs:
        if graph.name == name:
            return graph
    return None
