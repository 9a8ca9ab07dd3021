"""What is wrong in settings, in our words: places in the file, keys that were meant, what has to stand there instead."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from pydantic import BaseModel, ValidationError

from graphflow.errors import SettingsInvalid
from graphflow.misfits import DataPath, DataProblem, misfits
from graphflow.project.settings import NAMED_TABLES, ProjectSettings

OVERLAYS = "env"
"""The key of the overlays."""
MAX_LISTED = 50
"""Problems that an error lists."""


def settings_error(file: str, problems: Sequence[str]) -> SettingsInvalid:
    """The error for all that is wrong in a file of settings."""
    count = len(problems)
    text = problems[0]
    if count > 1:
        listed = problems[:MAX_LISTED]
        lines = [f"{file} has {count} problems:", *listed]
        more = count - MAX_LISTED
        # Whoever gave a wrong file altogether has seen enough by then.
        if more > 0:
            lines.append(f"... and {more} more")
        text = "\n  ".join(lines)
    error = SettingsInvalid(text)
    error.problems = tuple(problems)
    return error


def problems_of(
    error: ValidationError, data: object, table: type[BaseModel] = ProjectSettings
) -> list[DataProblem]:
    """What pydantic has found, by places in the file and in our words; `table` knows the keys."""
    return misfits(error, data, partial(_keys_of, table))


def _keys_of(table: type[BaseModel], path: DataPath) -> list[str]:
    """The keys that the table of that place may have."""
    named = NAMED_TABLES.get(str(path[0])) if len(path) == 2 else None
    if named is not None:
        return list(named.model_fields)
    for step in path:
        name = str(step)
        field = table.model_fields.get(name)
        default = None if field is None else field.default
        # Each table has one as its default, and its class knows its keys.
        if not isinstance(default, BaseModel):
            return []
        table = type(default)
    keys = list(table.model_fields)
    if table is ProjectSettings:
        keys.append(OVERLAYS)
    return keys
