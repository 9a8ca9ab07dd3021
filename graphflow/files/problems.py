"""The problems of one file: what is wrong in it, each with its line and column, and all of them raised together.

problems.within("nodes", "desk")        what is read now stands there
problems.error("...")                   an error with that place: "desk.yaml:12:3: ..."
problems.report(error)                  collected; reading goes on
problems.raise_all()                    at the end
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from graphflow.errors import FileProblem, FileUnreadable, GraphflowError, MissingExtra
from graphflow.files.rows import problem_lines, shown_row
from graphflow.files.secrets import names_secret
from graphflow.files.sources import GraphSource, GraphSources, KeyPath, WrittenAt
from graphflow.messages.message import error_text
from graphflow.redaction import scrub

T = TypeVar("T")

MAX_LISTED = 50
"""Problems of one file that an error lists."""
MAX_CHARACTERS = 1_000
"""Characters of one problem that are shown: what a file holds may be long."""


class LocatedError(FileUnreadable):
    """An error that names its line already."""

    def __init__(self, problem: FileProblem) -> None:
        lines = problem_lines(problem)
        super().__init__("\n".join(lines))
        self.problems = (problem,)


class AlreadyReported(Exception):
    """Something cannot be made, and the reason is among the problems already."""


class FileProblems:
    """The problems of one file, and of those that it includes.

    Attributes:
        sources: the files, and which part stands in which.
        base: the way to the graph that is read: () for that of the file, and longer for one that stands in its place in it.
        path: the way to what is being read.
        found: the problems so far, each once, in order.
    """

    def __init__(self, sources: GraphSources) -> None:
        self.sources = sources
        self.base: KeyPath = ()
        self.path: KeyPath = ()
        self.found: dict[FileProblem, None] = {}

    def inside(self) -> FileProblems:
        """The same problems, for the graph that stands where something is being read now."""
        inner = FileProblems(self.sources)
        inner.base = inner.path = self.path
        inner.found = self.found
        return inner

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
            if isinstance(error, FileUnreadable) and error.problems:  # of a file that is included
                raise
            raise self.error(error_text(error)) from error
        except Exception as error:  # what a node kind raises for a value that it cannot take
            raise self.error(f"{type(error).__name__}: {error_text(error)}") from error
        finally:
            self.path = outer

    @contextmanager
    def at(self, *path: object) -> Iterator[None]:
        """While something elsewhere in the graph is read; `path` leads to it from the top of that."""
        outer, self.path = self.path, self.base
        try:
            with self.within(*path):
                yield
        finally:
            self.path = outer

    def source(self) -> GraphSource:
        """The file that what is being read stands in."""
        source, _ = self.sources.find(self.path)
        return source

    def written_at(self) -> WrittenAt | None:
        """The place of what is being read; None: it stands in no file."""
        return self.sources.written_at(self.path)

    def error(self, problem: str, *steps: object) -> FileUnreadable:
        """The error for what is being read, or for what stands `steps` below it."""
        return LocatedError(self._problem((*self.path, *steps), problem))

    def report(self, error: FileUnreadable) -> None:
        """Adds the problems of an error."""
        for problem in error.problems or (self._problem(self.path, str(error)),):
            self.found[problem] = None

    def report_at(self, path: KeyPath, problem: str) -> None:
        """Adds a problem of what stands at a place."""
        self.found[self._problem(path, problem)] = None

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
        main = self.sources.main.where
        # As they stand in the files, and the file itself first.
        found = sorted(self.found, key=lambda each: (each.file != main, each.file, each.line))
        if not found:
            return
        if len(found) == 1:
            raise LocatedError(found[0])
        count = len(found)
        lines = [f"{main} has {count} problems:"]
        for problem in found[:MAX_LISTED]:
            lines += problem_lines(problem)
        if count > MAX_LISTED:
            lines.append(f"... and {count - MAX_LISTED} more")
        error = FileUnreadable("\n  ".join(lines))
        error.problems = tuple(found)
        raise error

    def _problem(self, path: KeyPath, problem: str) -> FileProblem:
        # A problem quotes what a file or a module holds: that may be a secret, and it may be long.
        text = scrub(problem)
        if len(text) > MAX_CHARACTERS:
            text = f"{text[:MAX_CHARACTERS]}..."
        source, own_path = self.sources.find(path)
        mark = source.marks.find(own_path)
        if mark is None:
            return FileProblem(source.where, 0, 0, text)
        row, indent = "", 0
        # A value that goes by such a name may be the secret itself.
        if not any(names_secret(str(step)) for step in path):
            row, indent = shown_row(source.marks.row(mark), mark.column)
        return FileProblem(source.where, mark.line, mark.column, text, row, indent)
