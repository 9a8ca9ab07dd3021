"""The graphs of a running project, each in one version: who asks gets it whole, and keeps it whatever comes after.

Rules:
1. A new version is loaded and proven before anybody gets it. What is broken leaves the old one in use.
2. A version that is replaced lives as long as somebody walks it.
3. Settings that others stand on (the store, its key) are not swapped while they are in use: that is refused, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from weakref import WeakValueDictionary

from graphflow.errors import GraphflowError, UnknownGraph
from graphflow.files.module_versions import new_version
from graphflow.graph import RunnableGraph
from graphflow.journal.verdict import Verdicts
from graphflow.messages.message import error_text
from graphflow.misfits import near
from graphflow.project.graphs import load
from graphflow.project.project import Project
from graphflow.proofs.proven import AnyGraph
from graphflow.redaction import scrub


@dataclass(frozen=True, slots=True)
class GraphVersion:
    """One version of a graph.

    Attributes:
        name: by which it is asked for.
        graph: the graph.
        number: 1 when it was loaded first, one more for each version since.
    """

    name: str
    graph: RunnableGraph
    number: int = 1


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What a reload has done.

    Attributes:
        loaded: the graphs of which there is a new version in use.
        broken: those that are not sound any more, and why; their old versions are in use.
        gone: those whose files are gone; who walks them goes on.
        verdicts: what becomes of runs that the store keeps and that have not ended.
        refused: settings that were changed and not swapped, and why.
    """

    loaded: tuple[str, ...] = ()
    broken: Mapping[str, str] = field(default_factory=dict)
    gone: tuple[str, ...] = ()
    verdicts: Verdicts = field(default_factory=Verdicts)
    refused: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether everything is as the files have it now."""
        return not self.broken and not self.refused

    def judged(self, verdicts: Verdicts, refused: tuple[str, ...]) -> Reloaded:
        """The same, with what becomes of runs and which settings were not swapped."""
        return replace(self, verdicts=verdicts, refused=refused)

    def __str__(self) -> str:
        lines: list[str] = []
        if self.loaded:
            names = ", ".join(self.loaded)
            lines.append(f"loaded: {names}")
        for name, problem in self.broken.items():
            lines.append(f"{name} is broken, and its old version is in use: {problem}")
        if self.gone:
            names = ", ".join(self.gone)
            lines.append(f"gone: {names}")
        lines += self.refused
        for verdict in self.verdicts.refused:
            lines.append(f"cannot go on with the new version: {verdict}")
        return "\n".join(lines) or "nothing has changed"


class GraphVersions:
    """The graphs of a project, loaded.

    Attributes:
        broken: those that could not be loaded at all, and why.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.broken: dict[str, GraphflowError] = {}
        self._current: dict[str, GraphVersion] = {}
        self._ever: WeakValueDictionary[int, AnyGraph] = WeakValueDictionary()

    @property
    def names(self) -> list[str]:
        """The names of those that are in use, and of those that are broken."""
        return sorted({*self._current, *self.broken})

    def current(self, name: str) -> GraphVersion:
        """The version of a graph that is in use.

        Raises:
            UnknownGraph: there is none of that name.
            Whatever is wrong with it, if it never was sound.
        """
        version = self._current.get(name)
        if version is not None:
            return version
        problem = self.broken.get(name)
        if problem is not None:
            raise problem
        raise UnknownGraph(f"the project has no graph {name!r}{near(name, self.names)}")

    def snapshot(self) -> dict[str, RunnableGraph]:
        """All graphs that are in use, by name."""
        return {name: version.graph for name, version in self._current.items()}

    def has(self, graph: AnyGraph) -> bool:
        """Whether a graph is one of these, in whatever version."""
        return self._ever.get(id(graph)) is graph

    def load(self, names: Iterable[str] | None = None) -> Reloaded:
        """Loads graphs anew; to be called in a thread, as it imports and proves.

        Args:
            names: those alone; None: all that the project has now.
        """
        known = [found.name for found in self.project.graphs()]
        wanted = known if names is None else list(names)
        fresh, problems = self._fresh(wanted)
        # From here on, runs begin with them.
        for name, graph in fresh.items():
            self._take(name, graph)
        # One that never was sound raises when it is asked for; of others the old version is in use.
        texts: dict[str, str] = {}
        for name, problem in problems.items():
            texts[name] = scrub(error_text(problem))
            if name not in self._current:
                self.broken[name] = problem
        gone: tuple[str, ...] = ()
        if names is None:
            gone = self._without(known)
        return Reloaded(tuple(fresh), texts, gone)

    def _take(self, name: str, graph: RunnableGraph) -> None:
        before = self._current.get(name)
        number = 1 if before is None else before.number + 1
        self._ever[id(graph)] = graph
        # Whole, in one step: whoever asks meanwhile gets the one or the other.
        self._current[name] = GraphVersion(name, graph, number)
        self.broken.pop(name, None)

    def _without(self, known: Sequence[str]) -> tuple[str, ...]:
        """Forgets the graphs whose files are gone; their names."""
        gone = [name for name in self._current if name not in known]
        for name in gone:
            del self._current[name]
        # A broken file that is gone is nobody's problem any more.
        forgiven = [name for name in self.broken if name not in known]
        for name in forgiven:
            del self.broken[name]
        return tuple(gone)

    def _fresh(
        self, names: Iterable[str]
    ) -> tuple[dict[str, RunnableGraph], dict[str, GraphflowError]]:
        """New versions, and what is wrong with those that there are none of."""
        fresh: dict[str, RunnableGraph] = {}
        problems: dict[str, GraphflowError] = {}
        root = self.project.root
        with suppress(_NothingFresh), new_version(root):
            for name in names:
                try:
                    fresh[name] = load(name, root)
                except GraphflowError as error:
                    problems[name] = _without_frames(error)
            if problems and not fresh:
                raise _NothingFresh
        return fresh, problems


class _NothingFresh(Exception):
    """No graph could be loaded: all modules are put back."""


def _without_frames(error: GraphflowError) -> GraphflowError:
    """An error that may be kept: its frames would keep alive what they have loaded."""
    error.__traceback__ = None
    error.__cause__ = None
    error.__context__ = None
    return error
