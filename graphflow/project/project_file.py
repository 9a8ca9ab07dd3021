"""Reads the settings of a project: its file, the overlay that is chosen, variables; and says of each where it comes from.

    graphflow.toml  <  its [env.NAME]  <  $GRAPHFLOW_MODEL, $GRAPHFLOW_STORE, $GRAPHFLOW_SYNC  <  an option of a command

Rules:
1. All that is wrong is told at once: file, line, key, what is meant or allowed there. Overlays that are not chosen are held
   to the same words and types.
2. A variable is put into a value after it was read, and never makes a key (`graphflow.variables`).
3. An error quotes what a file says, never what a variable holds.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from pydantic import ValidationError

from graphflow.errors import GraphflowError
from graphflow.messages.message import error_text
from graphflow.misfits import DataPath, DataProblem, at_place, near
from graphflow.project.dotenv_files import Variable
from graphflow.project.origins import SettingOrigins, leaves
from graphflow.project.plugged import unknown_names
from graphflow.project.settings import ProjectSettings
from graphflow.project.settings_problems import OVERLAYS, problems_of, settings_error
from graphflow.project.source import SourceText, read_source
from graphflow.project.toml_lines import KeyNames
from graphflow.redaction import scrub
from graphflow.variables import Expansion

Table: TypeAlias = Mapping[str, object]

OVERRIDES: Mapping[str, KeyNames] = {
    "GRAPHFLOW_MODEL": ("model",),
    "GRAPHFLOW_STORE": ("store", "address"),
    "GRAPHFLOW_SYNC": ("sync",),
}
"""Variables that stand above the file, and what they set."""


@dataclass(frozen=True, slots=True)
class ReadSettings:
    """The settings of a project as they hold.

    Attributes:
        file: where they stand; None: the project has no file.
        settings: all of them.
        origins: where each that is stated comes from.
        overlays: the names of those that there are.
        hidden: values of variables, which count as secrets, by name.
    """

    file: Path | None
    settings: ProjectSettings
    origins: SettingOrigins
    overlays: tuple[str, ...]
    hidden: Mapping[str, str]


def read_settings(root: Path, environment: str, variables: Mapping[str, Variable]) -> ReadSettings:
    """The settings of the project in a folder.

    Args:
        root: the folder.
        environment: the overlay that is chosen; "" is none.
        variables: what its files may refer to.

    Raises:
        FileUnreadable: its file cannot be read, or is not TOML.
        SettingsInvalid: something in it cannot be; `problems` has all that is wrong.
    """
    source = read_source(root)
    reading = _Reading(source, environment, variables)
    return reading.read()


class _Reading:
    """Reads one project file."""

    def __init__(
        self, source: SourceText, environment: str, variables: Mapping[str, Variable]
    ) -> None:
        self.source = source
        self.environment = environment
        self.variables = variables
        self.origins = SettingOrigins()
        self.problems: dict[str, None] = {}
        self.overlays = self._overlays()
        values = {name: each.value for name, each in variables.items()}
        self.expansion = Expansion(values)

    def read(self) -> ReadSettings:
        """The settings that hold.

        Raises:
            SettingsInvalid: something in them cannot be.
        """
        self._check_others()
        expanded = self._expanded(self._stated())
        settings = self._validated(expanded)
        if settings is None or self.problems:
            raise settings_error(self.source.shown, list(self.problems))
        self.expansion.remember()
        hidden = self.expansion.secrets()
        overlays = tuple(self.overlays)
        return ReadSettings(self.source.file, settings, self.origins, overlays, hidden)

    # -- overlays ----------------------------------------------------------------------------------
    def _overlays(self) -> dict[str, Table]:
        every = self.source.table.get(OVERLAYS, {})
        found: dict[str, Table] = {}
        if not isinstance(every, dict):
            self._add((OVERLAYS,), "this has to be tables: [env.NAME]")
            return found
        for name, overlay in every.items():
            if isinstance(overlay, dict):
                found[name] = overlay
            else:
                self._add((OVERLAYS, name), f"this has to be a table: [env.{name}]")
        return found

    def _chosen(self) -> Table:
        name = self.environment
        # A project without a file has nothing that could be laid over.
        if not name or self.source.file is None:
            return {}
        if name not in self.overlays:
            hint = near(name, self.overlays)
            self._add((OVERLAYS,), f"there is no [env.{name}]{hint}")
            return {}
        return self.overlays[name]

    def _check_others(self) -> None:
        """Holds the overlays that are not chosen to words and types."""
        for name, overlay in self.overlays.items():
            if name == self.environment:
                continue
            for path, problem in _checked(overlay):
                # Variables that they need may well be unset on this machine.
                if "${" not in str(at_place(overlay, path)):
                    self._add((OVERLAYS, name, *path), problem)

    # -- values ------------------------------------------------------------------------------------
    def _stated(self) -> Table:
        """What is stated: in the file, over that in its overlay, over that in variables."""
        stated: Table = {key: value for key, value in self.source.table.items() if key != OVERLAYS}
        for path in leaves(stated):
            self.origins.state(path, self.source.place(path))
        overlay = self._chosen()
        for path in leaves(overlay):
            place = self.source.place((OVERLAYS, self.environment, *path))
            self.origins.state(path, f"{place} [env.{self.environment}]")
        stated = merged(stated, overlay)
        for name, path in OVERRIDES.items():
            variable = self.variables.get(name)
            if variable is not None and variable.value:
                self.origins.state(path, variable.origin)
                stated = merged(stated, _nested(path, variable.value))
        return stated

    def _expanded(self, stated: Table) -> Table:
        """The same with the values of variables in it."""
        expanded = {key: self.expansion.expanded(each, (key,)) for key, each in stated.items()}
        for path, problem in self.expansion.problems:
            self._report(path, problem)
        for path, names in self.expansion.used.items():
            for name in names:
                self.origins.add(path, self._where(name))
        return expanded

    def _where(self, name: str) -> str:
        """Where a variable was found."""
        variable = self.variables.get(name)
        if variable is None:
            return f"${name} is not set"
        if variable.origin == f"${name}":
            return variable.origin
        return f"${name} of {variable.origin}"

    def _validated(self, stated: Table) -> ProjectSettings | None:
        """The settings; None if something is wrong, which is among the problems then."""
        problems = _checked(stated)
        if not problems:
            return ProjectSettings.model_validate(stated)
        again = stated
        for path, _ in problems:
            # A text that is a variable may stand for a number; whether it has to, only the types know.
            number = self._number_at(stated, path)
            if number is not None:
                again = merged(again, _nested(path, number))
        if again != stated:
            return self._validated(again)
        for path, problem in problems:
            self._report(path, self._without_values(path, problem))
        return None

    def _number_at(self, stated: object, path: DataPath) -> object:
        text = at_place(stated, path)
        if path not in self.expansion.used or not isinstance(text, str):
            return None
        return _number(text)

    def _without_values(self, path: DataPath, problem: str) -> str:
        """A problem as it may be shown: what a variable holds may be a secret."""
        if path not in self.expansion.used:
            return problem
        names = ", ".join(self.expansion.used[path])
        _, _, wanted = problem.rpartition("; ")
        return f"what {names} holds does not fit here: {wanted}"

    # -- problems ----------------------------------------------------------------------------------
    def _report(self, path: DataPath, problem: str) -> None:
        """Adds a problem of a value, wherever it was stated: in the file, in its overlay, in a variable."""
        origin = self.origins.of(path)
        if origin.startswith("$"):
            self.problems[scrub(f"{origin}: {problem}")] = None
        elif "[env." in origin:
            self._add((OVERLAYS, self.environment, *path), problem)
        else:
            self._add(path, problem)

    def _add(self, path: DataPath, problem: str) -> None:
        key = ".".join(map(str, path))
        place = self.source.place(path)
        text = f"{place}: {key}: {problem}" if key else problem
        self.problems[scrub(text)] = None


def _checked(stated: object) -> Sequence[DataProblem]:
    """What is wrong in settings."""
    try:
        ProjectSettings.model_validate(stated)
    except ValidationError as error:
        return problems_of(error, stated)
    except GraphflowError as error:
        return [((), error_text(error))]
    return unknown_names(stated)


def merged(base: Table, over: Table) -> Table:
    """A table with another laid over it: tables are merged, all else is replaced."""
    made = dict(base)
    for key, value in over.items():
        below = made.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            made[key] = merged(below, value)
        else:
            made[key] = value
    return made


def _nested(path: DataPath, value: object) -> Table:
    """A table that holds a value at a place."""
    first, *rest = map(str, path)
    if not rest:
        return {first: value}
    return {first: _nested(tuple(rest), value)}


def _number(text: str) -> object:
    """The number, true or false that a text stands for in TOML; None: it stands for none."""
    try:
        table = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return None
    value = table["value"]
    return value if isinstance(value, (int, float)) else None
