"""The project that a process runs in: opened when it is first needed, and known from then on.

A process has one command line, so it has one `--env`.
"""

from __future__ import annotations

from pathlib import Path

from graphflow.errors import ProjectUnknown
from graphflow.files.project_modules import project_above
from graphflow.project.project import Project

_environment: str | None = None
"""The overlay that the command line names."""
_opened: dict[Path, Project] = {}


def state_environment(name: str | None) -> None:
    """Says which overlay is chosen; projects that were opened before are read again."""
    global _environment
    _environment = name
    _opened.clear()


def environment_here() -> str | None:
    """The overlay that the command line names; None: it names none."""
    return _environment


def project_here(start: Path | None = None) -> Project | None:
    """The nearest project upwards; None: there is none.

    Raises: what `Project.open` raises, but for `ProjectUnknown`.
    """
    root = project_above(start or Path.cwd())
    if root is None:
        return None
    known = _opened.get(root)
    if known is None:
        known = _opened[root] = Project.open(root, _environment)
    return known


def main_graph() -> str:
    """The graph that is meant where a command names none.

    Raises:
        ProjectUnknown: there is no project.
        UnknownGraph: it has several, and says of none that it is the one.
    """
    project = project_here()
    if project is None:
        raise ProjectUnknown(
            "this is not a project, so name a graph: `graphflow list` shows those that come with graphflow; "
            "`graphflow new NAME` makes a project"
        )
    return project.main
