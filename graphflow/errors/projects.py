"""What a command names and cannot be found or read, and what is wrong in the settings of a project."""

from __future__ import annotations

from dataclasses import dataclass

from graphflow.errors.root import GraphflowError


class ProjectError(GraphflowError):
    """What a command names cannot be found or read."""

    retryable = False


class UnknownGraph(ProjectError, LookupError):
    """No graph of that name is in reach."""


@dataclass(frozen=True, slots=True)
class FileProblem:
    """One thing that is wrong in a file.

    Attributes:
        file: its name.
        line, column: where; counted from one, 0 where that is not known.
        text: what is wrong, and what to write instead.
        row: the line of the file, or the part of it that the problem is about; empty where it may hold a secret.
        indent: characters of `row` in front of what the problem is about; -1 where that is not shown.
    """

    file: str
    line: int
    column: int
    text: str
    # Both are for people only, and left out where they would show too much.
    row: str = ""
    indent: int = -1


class FileUnreadable(ProjectError, OSError):
    """A file is missing, empty, or not of the kind that is needed.

    Attributes:
        problems: everything that is wrong in a file that declares a graph; empty for other files.
    """

    problems: tuple[FileProblem, ...] = ()


class ProjectUnknown(ProjectError, LookupError):
    """There is no project in a folder, nor in one above it."""


class SettingsInvalid(ProjectError, ValueError):
    """A project file says what cannot be; all that is wrong in it is told at once.

    Attributes:
        problems: each with its file, line and key.
    """

    # Empty only for those that went through a pickle without it.
    problems: tuple[str, ...] = ()


class ReloadRefused(ProjectError):
    """A part of a running project cannot be swapped; what was there before is still in use.

    Attributes:
        reasons: why, each with what to do.
    """

    reasons: tuple[str, ...] = ()
