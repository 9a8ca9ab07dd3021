"""`.env` files of a project: variables that a machine has and a repository has not.

Rules:
1. `.env`, then `.env.NAME` of the overlay that is chosen, which wins; the environment of the process wins over both.
2. Values stand as they are: nothing is put into them, and a line that is none is refused, with its number.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from graphflow.project.settings_problems import settings_error
from graphflow.regular import read_regular

MAX_BYTES = 1_000_000
"""Bytes of a `.env` file that are read."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable, and where it was found."""

    value: str
    origin: str


def variables_of(root: Path, environment: str) -> dict[str, Variable]:
    """The variables that files of a project may refer to: those of its `.env` files, under those of the process.

    Raises:
        SettingsInvalid: a line of such a file is not a variable.
        FileUnreadable: such a file cannot be read.
    """
    found: dict[str, Variable] = {}
    names = [".env"]
    if environment:
        names.append(f".env.{environment}")
    for name in names:
        file = root / name
        if file.exists():
            found |= _read(file, name)
    for name, value in os.environ.items():
        known = found.get(name)
        # What `publish` has put there still says where it came from.
        if known is not None and known.value == value:
            continue
        found[name] = Variable(value, f"${name}")
    return found


def publish(variables: Mapping[str, Variable]) -> None:
    """Gives them to this process where it has none of the name: the keys of providers are read from there."""
    for name, variable in variables.items():
        os.environ.setdefault(name, variable.value)


def _read(file: Path, name: str) -> dict[str, Variable]:
    from dotenv.parser import parse_stream  # only a project with such a file pays for it

    text = read_regular(file, MAX_BYTES)
    found: dict[str, Variable] = {}
    problems: list[str] = []
    for binding in parse_stream(StringIO(text)):
        line = binding.original.line
        key, value = binding.key, binding.value
        if key is None and not binding.error:  # a comment, or nothing
            continue
        if key is None or value is None or not _is_sound(key, value):
            # Not what stands there: it may be half a secret.
            problems.append(f"{file}:{line}: this is not a variable; write NAME=VALUE")
        else:
            found[key] = Variable(value, f"{name}:{line}")
    if problems:
        raise settings_error(str(file), problems)
    return found


def _is_sound(key: str, value: str) -> bool:
    """Whether a process can have such a variable."""
    return key.isidentifier() and "\0" not in value
