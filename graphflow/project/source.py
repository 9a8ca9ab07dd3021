"""The file with the settings of a project, as it stands: `graphflow.toml`, or a table of pyproject.toml."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from graphflow.errors import FileUnreadable
from graphflow.files.project_modules import PROJECT_FILE, PYPROJECT, PYPROJECT_TABLE
from graphflow.misfits import DataPath
from graphflow.project.settings_problems import settings_error
from graphflow.project.toml_lines import KeyNames, TomlLines
from graphflow.regular import read_regular

MAX_BYTES = 1_000_000
"""Bytes of a project file that are read."""


@dataclass(slots=True)
class SourceText:
    """What a project file holds.

    Attributes:
        file: its path; None: the project has no file.
        table: what it says.
        lines: where.
        inside: the keys around it, in a pyproject.toml.
    """

    file: Path | None = None
    table: Mapping[str, object] = field(default_factory=dict)
    lines: TomlLines = field(default_factory=TomlLines)
    inside: KeyNames = ()

    @property
    def shown(self) -> str:
        """The file, for people: from where they are, if it is below."""
        if self.file is None:
            return "the project"
        near = os.path.relpath(self.file)
        return str(self.file) if near.startswith("..") else near

    def place(self, path: DataPath) -> str:
        """File and line of a key."""
        line = self.lines.line((*self.inside, *path))
        return self.shown if line is None else f"{self.shown}:{line}"


def read_source(root: Path) -> SourceText:
    """What the project file in a folder holds.

    Raises:
        FileUnreadable: it cannot be read, or is not TOML.
        SettingsInvalid: there are two.
    """
    own = _parsed(root / PROJECT_FILE, ())
    shared = _parsed(root / PYPROJECT, PYPROJECT_TABLE)
    if own is None or shared is None:
        return own or shared or SourceText()
    # One that wins in silence would make the other a riddle.
    problem = f"{shared.shown} has [tool.graphflow] beside {own.shown}; keep one of them"
    raise settings_error(own.shown, [problem])


def _parsed(file: Path, inside: KeyNames) -> SourceText | None:
    """A file that says something of a project; None: it does not."""
    if not file.exists():
        return None
    text = read_regular(file, MAX_BYTES)
    source = SourceText(file, inside=inside)
    try:
        table: object = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FileUnreadable(f"{source.shown} is not TOML: {error}") from None
    except RecursionError:
        raise FileUnreadable(f"{source.shown} is nested too deep") from None
    source.lines = TomlLines(text)
    for key in inside:
        table = table.get(key) if isinstance(table, dict) else None
    if table is None:
        return None
    if not isinstance(table, dict):
        place = source.place(())
        raise settings_error(source.shown, [f"{place}: this has to be a table"])
    source.table = table
    return source
