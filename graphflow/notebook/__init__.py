"""Notebooks: what runs, events, messages, prompts and accounts look like, and the live picture of a walk.

    %load_ext graphflow                 # messages and lists of them show themselves as tables, too
    live = graph.live()                 # the picture that a walk moves on
    show(anything)                      # by hand, where the extension is not loaded

Values are only read: no class is changed, and watching never slows a walk. Everything in a value is text, so it is escaped,
scrubbed of secrets and bounded in size. IPython, pandas and anywidget are loaded when they are used, and without anywidget
the live picture is a static one.
"""

from __future__ import annotations

from typing import Any

from graphflow.notebook.frames import to_frame
from graphflow.notebook.live import Live
from graphflow.notebook.tables import Shown, shown

IPython = Any
"""The interactive shell, whose package has no types."""

__all__ = ["Live", "Shown", "load_ipython_extension", "show", "shown", "to_frame"]


def show(value: object) -> Shown:
    """Shows a value in a notebook: a run, events, a message, a list of messages, a prompt, a usage."""
    return Shown(value)


def load_ipython_extension(ipython: IPython) -> None:
    """What `%load_ext graphflow` does: pydantic models, and lists of them or of events, are shown as tables.

    Classes are not changed, and a class with its own HTML representation keeps it.
    """
    from pydantic import BaseModel

    from graphflow.events import Event
    from graphflow.notebook.tables import html_of_list, html_of_message

    formatter = ipython.display_formatter.formatters["text/html"]
    formatter.for_type(BaseModel, html_of_message)
    formatter.for_type(Event, html_of_message)
    formatter.for_type(list, html_of_list)
