"""What a docstring says of a function and of each parameter: Google, NumPy and Sphinx styles."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

from graphflow.memo import once_a_function

_SECTION = re.compile(
    r"^(Args|Arguments|Parameters|Params|Returns?|Raises|Yields?|Examples?|Notes?|Attributes)\s*:?\s*$"
)
_GOOGLE = re.compile(r"^(\s*)\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)$")
_NUMPY = re.compile(r"^(\w+)\s*(?::.*)?$")
_SPHINX = re.compile(r"^\s*:param\s+(?:[^:]*\s)?(\w+)\s*:\s*(.*)$")


@once_a_function
def read_docstring(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """The summary (everything before the first section) and the description of each parameter."""
    lines = (inspect.getdoc(function) or "").splitlines()
    summary: list[str] = []
    parameters: dict[str, str] = {}
    section = ""
    current = ""
    for position, line in enumerate(lines):
        sphinx = _SPHINX.match(line)
        if sphinx:
            section, current = "sphinx", sphinx[1]
            parameters[current] = sphinx[2].strip()
            continue
        if line.lstrip().startswith(":"):
            section, current = "other", ""
            continue
        head = _SECTION.match(line.strip()) if not line.startswith(" ") else None
        if head and (line.rstrip().endswith(":") or _underlined(lines, position)):
            named = head[1] in ("Args", "Arguments", "Parameters", "Params")
            section = ("numpy" if _underlined(lines, position) else "google") if named else "other"
            current = ""
        elif not section:
            summary.append(line)
        else:
            current = _parameter(section, line, current, parameters)
    return re.sub(r"\s*\n\s*", " ", "\n".join(summary).strip()), parameters


def _underlined(lines: list[str], position: int) -> bool:
    return position + 1 < len(lines) and bool(re.fullmatch(r"\s*-{3,}\s*", lines[position + 1]))


def _parameter(section: str, line: str, current: str, parameters: dict[str, str]) -> str:
    """Takes one line of a section; returns the parameter that following lines belong to."""
    if section == "google":
        match = _GOOGLE.match(line)
        if match and len(match[1]) <= 4:
            parameters[match[2]] = match[3].strip()
            return match[2]
    elif section == "numpy" and line and not line.startswith(" "):
        match_name = _NUMPY.match(line)
        if match_name and not line.startswith("-"):
            parameters[match_name[1]] = ""
            return match_name[1]
        return current
    if current and line.strip():
        parameters[current] = f"{parameters[current]} {line.strip()}".strip()
    return current
