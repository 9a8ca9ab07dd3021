"""The widgets of anywidget that scripts in the browser draw, and what a notebook shows of them.

anywidget is an extra, and importing it takes a third of a second: that is done when the first widget is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

Widget = Any
"""A widget of anywidget's, which has no types, or None. Its traits are those of the classes below."""
WidgetName = Literal["live", "form", "chat"]
Bundle = dict[str, Any]
"""What a notebook shows: texts by their kind; a widget's are JSON."""


def new_widget(name: WidgetName, /, **traits: str) -> Widget:
    """A widget with these values of its traits; None where anywidget is not installed."""
    make = _widget_classes().get(name)
    if make is None:
        return None
    return make(**traits)


@lru_cache(maxsize=1)
def _widget_classes() -> Mapping[str, Callable[..., Widget]]:
    try:
        import anywidget
        import traitlets
    except ImportError:
        return {}

    def synced_text() -> Widget:
        trait = traitlets.Unicode()
        return trait.tag(sync=True)

    def synced_list() -> Widget:
        trait: Widget = traitlets.List()
        return trait.tag(sync=True)

    def synced_dict() -> Widget:
        trait: Widget = traitlets.Dict()
        return trait.tag(sync=True)

    class LiveWidget(anywidget.AnyWidget):
        _esm = _source("live.js")
        _css = _source("live.css")
        name = synced_text()
        svg = synced_text()
        title = synced_text()
        rows = synced_list()
        beyond = traitlets.Int(0).tag(sync=True)

    class FormWidget(anywidget.AnyWidget):
        _esm = _source("questions.js") + _source("form.js")
        _css = _source("questions.css")
        questions = synced_list()
        answer = synced_dict()
        problem = synced_text()
        status = synced_text()

    class ChatWidget(anywidget.AnyWidget):
        _esm = _source("questions.js") + _source("chat.js")
        _css = _source("questions.css") + _source("chat.css")
        title = synced_text()
        exchanges = synced_list()
        # "" is idle, else "working" or "waiting".
        state = synced_text()
        message = synced_text()
        draft = synced_text()
        questions = synced_list()
        others = synced_list()
        now = synced_text()
        status = synced_text()
        problem = synced_text()
        request = synced_dict()

    return {"live": LiveWidget, "form": FormWidget, "chat": ChatWidget}


def _source(name: str) -> str:
    """The text of a script or a style sheet, which lie beside this file."""
    here = Path(__file__).parent
    path = here / name
    return path.read_text(encoding="utf-8")


def widget_bundle(widget: Widget) -> Bundle:
    """What a notebook shows of a widget, without the text that stands for it elsewhere."""
    # As anywidget has it: the bundle, or the bundle and what it says of itself.
    made = widget._repr_mimebundle_() or {}
    data = made[0] if isinstance(made, tuple) else made
    bundle: Bundle = {}
    for kind, value in data.items():
        if "widget" in kind:
            bundle[kind] = value
    return bundle
