"""The problems of one file: what is wrong in it, each with its line, and all of them raised together.

problems.within("nodes", "desk")        what is read now stands there
problems.error("...")                   an error with that place: "desk.yaml:12: ..."
problems.report(error)                  collected; reading goes on
problems.raise_all()                    at the end
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from graphflow.errors import FileUnreadable, GraphflowError, MissingExtra
from graphflow.files.loader import Marks
from graphflow.messages.message import error_text
from graphflow.redaction import scrub

T = TypeVar("T")

KeyPath = tuple[object, ...]
"""The way to a value in a file: keys and positions, from the outside in."""

MAX_LISTED = 50
"""Problems of one file that an error lists."""
MAX_CHARACTERS = 1_000
"""Characters of one problem that are shown: what a file holds may be long."""


class LocatedError(FileUnreadable):
    """An error that names its line already."""


class AlreadyReported(Exception):
    """Something cannot be made, and the reason is among the problems already."""


class FileProblems:
    """The problems of one file.

    Attributes:
        where: the name of the file.
        marks: the lines of what it holds.
        path: the way to what is being read.
        texts: the problems so far, each once, in order.
    """

    def __init__(self, where: str, marks: Marks) -> None:
        self.where = where
        self.marks = marks
        self.path: KeyPath = ()
        self.texts: dict[str, None] = {}

    @contextmanager
    def within(self, *steps: object) -> Iterator[None]:
        """While something below is read: errors that are raised meanwhile get its line."""
        outer = self.path
        self.path = (*outer, *steps)
        try:
            yield
        except (LocatedError, MissingExtra, AlreadyReported):
            raise
        except GraphflowError as error:
            raise self.error(error_text(error)) from error
        except Exception as error:  # what a node kind raises for a value that it cannot take
            raise self.error(f"{type(error).__name__}: {error_text(error)}") from error
        finally:
            self.path = outer

    @contextmanager
    def at(self, *path: object) -> Iterator[None]:
        """While something elsewhere in the file is read; `path` leads to it from the top."""
        outer, self.path = self.path, ()
        try:
            with self.within(*path):
                yield
        finally:
            self.path = outer

    def line(self) -> int | None:
        """The line of what is being read."""
        return self.marks.line(self.path)

    def error(self, problem: str, *steps: object) -> FileUnreadable:
        """The error for what is being read, or for what stands `steps` below it."""
        return LocatedError(self._text((*self.path, *steps), problem))

    def report(self, error: FileUnreadable) -> None:
        """Adds the problem of an error."""
        self.texts[str(error)] = None

    def report_at(self, path: KeyPath, problem: str) -> None:
        """Adds a problem of what stands at a place."""
        self.texts[self._text(path, problem)] = None

    def attempt(self, make: Callable[[], T]) -> T | None:
        """What `make` returns, or None if it cannot be made; the reason is reported."""
        try:
            with self.within():
                return make()
        except AlreadyReported:
            return None
        except FileUnreadable as error:
            self.report(error)
            return None

    def raise_all(self) -> None:
        """Raises all problems in one error, if there are any."""
        texts = list(self.texts)
        if not texts:
            return
        if len(texts) == 1:
            raise FileUnreadable(texts[0])
        count = len(texts)
        lines = [f"{self.where} has {count} problems:", *texts[:MAX_LISTED]]
        if count > MAX_LISTED:
            lines.append(f"... and {count - MAX_LISTED} more")
        raise FileUnreadable("\n  ".join(lines))

    def _text(self, path: KeyPath, problem: str) -> str:
        # A problem quotes what a file or a module holds: that may be a secret, and it may be long.
        text = scrub(problem)
        if len(text) > MAX_CHARACTERS:
            text = f"{text[:MAX_CHARACTERS]}..."
        line = self.marks.line(path)
        place = self.where if line is None else f"{self.where}:{line}"
        return f"{place}: {text}"
