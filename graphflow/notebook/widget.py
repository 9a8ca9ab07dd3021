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
WidgetName = Literal["live", "form"]
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

    class LiveWidget(anywidget.AnyWidget):
        _esm = _source("live.js")
        _css = _source("live.css")
        name = traitlets.Unicode().tag(sync=True)
        svg = traitlets.Unicode().tag(sync=True)
        title = traitlets.Unicode().tag(sync=True)
        rows: object = traitlets.List().tag(sync=True)
        beyond = traitlets.Int(0).tag(sync=True)

    class FormWidget(anywidget.AnyWidget):
        _esm = _source("form.js")
        _css = _source("form.css")
        questions: object = traitlets.List().tag(sync=True)
        answer: object = traitlets.Dict().tag(sync=True)
        problem = traitlets.Unicode().tag(sync=True)
        status = traitlets.Unicode().tag(sync=True)

    return {"live": LiveWidget, "form": FormWidget}


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
