"""What goes wrong with memories."""

from __future__ import annotations

from graphflow.errors.root import GraphflowError
from graphflow.errors.tools import ToolError


class MemoryUnavailable(GraphflowError, ConnectionError):
    """A memory could not be asked: its file cannot be read or written, its embedder failed, it took too long."""

    retryable = True


# A model can mend this, so it is an error of the call and not of the memory: `on_error="skip"` lets it through.
class NoteInvalid(ToolError, ValueError):
    """What was to be remembered or forgotten is not a note, or names none; a model may act on the text."""
