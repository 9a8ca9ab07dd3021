"""The project: its file, its graphs, the variables that it reads."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from graphflow.checkup.diagnosis import Diagnosis
from graphflow.files.project_modules import PROJECT_FILE
from graphflow.project.project import Project

_AREA = "project"
NO_PROJECT = Diagnosis(
    _AREA, "project", "absent", "no project here or above", "graphflow new NAME (to make one)"
)


def broken_project(error: Exception) -> Diagnosis:
    """The finding where a project cannot be opened."""
    return Diagnosis(
        _AREA, "settings", "problem", str(error), "graphflow config (when it is mended)"
    )


def look_at_project(project: Project) -> Iterator[Diagnosis]:
    """A project that could be opened. No graph of it is loaded."""
    where = os.path.relpath(project.root)
    yield Diagnosis(_AREA, "folder", "ok", where)
    yield _file(project)
    yield from _graphs(project)
    yield from _open_secrets(project.root)


def _file(project: Project) -> Diagnosis:
    if project.file is None:
        text = f"there is no {PROJECT_FILE}, so all settings have their defaults"
        return Diagnosis(_AREA, "settings", "absent", text)
    text = f"{project.file.name} is valid"
    chosen = project.environment
    if chosen:
        text += f", with the overlay {chosen}"
    return Diagnosis(_AREA, "settings", "ok", text)


def _graphs(project: Project) -> Iterator[Diagnosis]:
    names = [found.name for found in project.graphs()]
    if not names:
        text = "it has no graph of its own; those that come with graphflow can be run"
        yield Diagnosis(_AREA, "graphs", "absent", text, "graphflow list")
        return
    # One may be there in several forms.
    listed = ", ".join(dict.fromkeys(names))
    yield Diagnosis(_AREA, "graphs", "ok", listed, "graphflow test (proves them)")
    main = project.settings.graph
    # It may be a file, or one that comes with graphflow; a slip is what nearly is one of its own.
    near = [] if main is None else get_close_matches(main, names, n=1)
    if main is not None and main not in names and near:
        text = f"graph = {main!r}, and there is none of that name"
        yield Diagnosis(_AREA, "graph", "warning", text, f'graph = "{near[0]}"')


def _open_secrets(root: Path) -> Iterator[Diagnosis]:
    """Files with variables that everybody on this machine may read."""
    if os.name != "posix":
        return
    for file in sorted(root.glob(".env*")):
        if not file.is_file() or file.name.endswith(".example"):
            continue
        mode = file.stat().st_mode
        if mode & stat.S_IROTH:
            text = "everybody on this machine may read it"
            yield Diagnosis(_AREA, file.name, "warning", text, f"chmod 600 {file.name}")
        else:
            yield Diagnosis(_AREA, file.name, "ok", "only you and your group may read it")
