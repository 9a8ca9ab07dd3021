"""What a docstring says of a function and of each parameter: Google, NumPy and Sphinx styles."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from itertools import zip_longest
from typing import Any, Literal

from graphflow.memo import once_a_function

_SECTION = re.compile(
    r"^(Args|Arguments|Parameters|Params|Returns?|Raises|Yields?|Examples?|Notes?|Attributes)\s*:?\s*$"
)
_GOOGLE = re.compile(r"^(\s*)\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)$")
_NUMPY = re.compile(r"^(\w+)\s*(?::.*)?$")
_SPHINX = re.compile(r"^\s*:param\s+(?:[^:]*\s)?(\w+)\s*:\s*(.*)$")


_UNDERLINE = re.compile(r"\s*-{3,}\s*")
_PARAMETERS = ("Args", "Arguments", "Parameters", "Params")


@once_a_function
def read_docstring(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """The summary (everything before the first section) and the description of each parameter."""
    text = inspect.getdoc(function) or ""
    lines = text.splitlines()
    behind = lines[1:]
    reader = _DocstringReader()
    for line, following in zip_longest(lines, behind, fillvalue=""):
        reader.read(line, following)
    summary = "\n".join(reader.summary)
    on_one_line = re.sub(r"\s*\n\s*", " ", summary.strip())
    return on_one_line, reader.parameters


class _DocstringReader:
    """Reads a docstring line by line.

    Attributes:
        summary: the lines before the first section.
        parameters: what is said of each parameter.
        section: the style of the section that is read, "other" for one without parameters; empty before the first.
        current: the parameter that following lines belong to.
    """

    def __init__(self) -> None:
        self.summary: list[str] = []
        self.parameters: dict[str, str] = {}
        self.section: Literal["", "google", "numpy", "sphinx", "other"] = ""
        self.current = ""

    def read(self, line: str, following: str) -> None:
        """Takes a line; the line after it tells whether this one is underlined."""
        sphinx = _SPHINX.match(line)
        if sphinx:
            self.section = "sphinx"
            self._begin(sphinx[1], sphinx[2])
        elif line.lstrip().startswith(":"):  # `:returns:` and its like
            self.section = "other"
            self.current = ""
        elif not self._is_heading(line, following):
            self._read_text(line)

    def _is_heading(self, line: str, following: str) -> bool:
        """Begins a section, if this line is the heading of one."""
        written = line.rstrip()
        heading = _SECTION.match(written)
        if heading is None:
            return False
        underlined = _UNDERLINE.fullmatch(following) is not None
        # A word such as "Notes" alone on its line may as well be the end of a sentence.
        if not underlined and not written.endswith(":"):
            return False
        self.current = ""
        if heading[1] not in _PARAMETERS:
            self.section = "other"
        else:
            self.section = "numpy" if underlined else "google"
        return True

    def _read_text(self, line: str) -> None:
        match self.section:
            case "":
                self.summary.append(line)
            case "google":
                named = _GOOGLE.match(line)
                if named and len(named[1]) <= 4:  # deeper stands what goes on, and may hold a colon
                    self._begin(named[2], named[3])
                else:
                    self._go_on(line)
            case "numpy" if line and not line.startswith(" "):
                named = _NUMPY.match(line)  # the underline of the heading names nothing
                if named:
                    self._begin(named[1], "")
            case _:
                self._go_on(line)

    def _begin(self, name: str, text: str) -> None:
        self.current = name
        self.parameters[name] = text.strip()

    def _go_on(self, line: str) -> None:
        more = line.strip()
        if self.current and more:
            before = self.parameters[self.current]
            text = f"{before} {more}"
            self.parameters[self.current] = text.strip()
