"""Recorded cases of a project: `tests/cases/NAME.toml`, each a message and how its run ended.

    graph = "shop"                       default: the project's own
    message = "Do you have tea?"
    model = "replay:tea.jsonl"           what the model has said, beside the file; default: the project's model
    output = "Yes, we have 12 packs."    or: contains = "12 packs", or a list of such
    nodes = ["about", "look_up"]         the nodes of the graph that were activated, in the order they ended

Rules:
1. A case that says nothing of how the run ends wants it to complete.
2. A recording that does not hold what is asked is a failure that says what has changed, never a call to a real model.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue, ValidationError

from graphflow.errors import FileUnreadable
from graphflow.project.settings import SettingsTable
from graphflow.project.settings_problems import problems_of, settings_error
from graphflow.project.toml_lines import TomlLines
from graphflow.regular import read_regular

MAX_BYTES = 4_000_000
"""Bytes of a case that are read."""
FOLDER = "tests/cases"
"""Where cases are, unless the project's settings say `tests = "FOLDER"`."""


class CaseTable(SettingsTable):
    """What the file of a case may say.

    Attributes:
        graph: which one is run; None: the project's own.
        message: what it is given.
        model: for nodes that name none; a recording lies beside the case.
        output: what it has to answer, as JSON.
        contains: what its answer has to have in it, as text.
        nodes: the nodes that have to be activated, in that order.
        status: how the run has to end.
    """

    graph: str | None = None
    message: JsonValue
    model: str | None = None
    output: JsonValue = None
    contains: str | list[str] = []
    nodes: list[str] | None = None
    status: str = "completed"

    @property
    def parts(self) -> list[str]:
        """What its answer has to have in it."""
        # One text is short for a list of one.
        return [self.contains] if isinstance(self.contains, str) else self.contains


@dataclass(frozen=True, slots=True)
class Case:
    """A recorded case: its file, and what that says."""

    file: Path
    wanted: CaseTable

    @property
    def name(self) -> str:
        """What it is called."""
        return self.file.stem

    @property
    def model(self) -> str | None:
        """Its model; a recording is looked for beside its file."""
        named = self.wanted.model
        if named is None or not named.startswith("replay:"):
            return named
        path = named.removeprefix("replay:")
        return f"replay:{self.file.parent / path}"


def read_case(file: Path) -> Case:
    """The case in a file.

    Raises:
        FileUnreadable: it cannot be read, or is not TOML.
        SettingsInvalid: it says what cannot be.
    """
    text = read_regular(file, MAX_BYTES)
    try:
        table = tomllib.loads(text)
        return Case(file, CaseTable.model_validate(table))
    except ValidationError as error:
        lines = TomlLines(text)
        problems: list[str] = []
        for path, problem in problems_of(error, table, CaseTable):
            key = ".".join(map(str, path))
            line = lines.line(path) or 1
            problems.append(f"{file}:{line}: {key or 'the case'}: {problem}")
        raise settings_error(str(file), problems) from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise FileUnreadable(f"{file} is not TOML: {error}") from None


def cases_in(folder: Path) -> list[Path]:
    """The files of the cases in a folder, by name."""
    return sorted(folder.glob("*.toml"))
