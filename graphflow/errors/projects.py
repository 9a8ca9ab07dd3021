"""What a command names and cannot be found or read."""

from __future__ import annotations

from graphflow.errors.root import GraphflowError


class ProjectError(GraphflowError):
    """What a command names cannot be found or read."""


class UnknownGraph(ProjectError, LookupError):
    """No graph of that name is in reach."""


class FileUnreadable(ProjectError, OSError):
    """A file is missing, empty, or not of the kind that is needed."""
