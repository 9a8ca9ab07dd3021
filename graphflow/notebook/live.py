"""The live picture: nodes change while the walk goes, tokens travel, a click shows messages, a slider goes back.

Rules:
1. Watching never slows the walk: rows are gathered and sent at most twenty times a second.
2. What is in the browser is enough to go on without the kernel: all rows are part of the widget's saved state.
3. Without anywidget, and in a notebook that is opened without its kernel, there is the static picture.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from itertools import count
from secrets import token_hex
from typing import Any, Generic, Protocol, TypeVar, Unpack, runtime_checkable

from graphflow.errors import DeclarationError
from graphflow.events import Event
from graphflow.notebook.rows import Rows
from graphflow.notebook.widget import Bundle, Widget, new_widget, widget_bundle
from graphflow.proofs.proven import AnyGraph, ProvenGraph
from graphflow.render import Overlay, dot_binary, mimebundle
from graphflow.render.builder import picture
from graphflow.render.forms.svg import write_svg
from graphflow.render.picture import Open, Picture
from graphflow.render.records import AnyEvent, EventSource, read_events
from graphflow.render.writing import check_options
from graphflow.runtime.options import RunOptions
from graphflow.runtime.run_record import RunRecord

PAUSE_S = 0.05
"""Between two messages to the browser: twenty a second."""
_NUMBERS = count(1)

AnyRun = RunRecord[Any]
R = TypeVar("R", bound=AnyRun)
R_co = TypeVar("R_co", bound=AnyRun, covariant=True)


@runtime_checkable
class Startable(Protocol[R_co]):
    """What `Live` asks of a graph besides what is proven of it: `Graph`, which can do this, stands above this room."""

    def start(self, message: Any, **options: Unpack[RunOptions]) -> R_co:
        """Starts a walk; what kind of message it takes is the graph's own business."""


class Live(Generic[R]):
    """A graph whose picture moves while it is walked.

        live = graph.live()
        live                                    # shows itself
        run = await live.run("a question")      # as graph.run, and the picture moves

    Attributes:
        graph: the graph.
        open: how many levels of graphs and sub-agents are drawn open, as for `draw`; what is in them moves as well.
        widget: the anywidget behind it, for marimo and layouts; None where anywidget is not installed.
    """

    def __init__(self, graph: Startable[R], *, open: Open = "auto") -> None:
        if not isinstance(graph, ProvenGraph):
            raise DeclarationError(f"Live({graph!r}): give a Graph")
        check_options(open=open)
        self.graph: AnyGraph = graph
        self._start = graph.start
        self.open = open
        drawn = self._picture()
        self.svg = write_svg(drawn) if dot_binary() is not None else ""
        self._overlay = Overlay(graph)
        self.rows = Rows(graph, drawn)
        self.widget: Widget = None
        if self.svg:
            name = token_hex(8)
            self.widget = new_widget("live", name=name, svg=self.svg, title=graph.name)
        self._shown_as: str | None = None
        self._shown_in = -1
        self._due = 0.0

    async def run(self, message: object, **options: Unpack[RunOptions]) -> R:
        """Walks the graph as `graph.run` does; the picture moves meanwhile.

        Raises: what `graph.run` raises.
        """
        run = self._start(message, **options)
        reader = aiter(run)
        try:
            await self._watch(reader)
        except asyncio.CancelledError:
            run.cancel()
            await run.settled()
            async for event in reader:  # how it wound down
                self._take(event)
            self._end()
            raise
        return await run

    async def watch(self, run: R) -> R:
        """Shows a walk while it goes, or one that has ended; returns when it has ended, however it did, and raises nothing of it."""
        await self._watch(aiter(run))
        return run

    async def _watch(self, reader: AsyncIterator[Event]) -> None:
        self._begin()
        has_rows = asyncio.Event()
        pulse = asyncio.get_running_loop().create_task(self._pulse(has_rows))
        try:
            async for event in reader:
                self._take(event)
                has_rows.set()
                self._flush()  # a walk that never waits leaves the pulse no turn
        finally:
            pulse.cancel()
            await asyncio.wait([pulse])
            self._end()

    def replay(self, events: EventSource) -> Live[R]:
        """Shows what was recorded: a run that has ended, its events, or a file of `--events`; the slider goes through it."""
        found = read_events(events)
        # What is of another graph is refused before anything is shown.
        Overlay(self.graph).take_all(found)
        self._begin()
        for event in found:
            self._take(event)
        self._end()
        return self

    def _take(self, event: AnyEvent) -> None:
        self.rows.take(event)
        self._overlay.take(event)

    def _begin(self) -> None:
        self._overlay = Overlay(self.graph)
        self.rows = Rows(self.graph, self._picture())
        self._due = 0.0
        if self.widget is not None:
            # The list grows without telling anybody: a page that is opened later asks for all of it.
            self.widget._trait_values["rows"] = self.rows.kept
            self.widget.beyond = 0
            self.widget.send({"begin": True})
        if self._shown_as is None and in_notebook():
            self._ipython_display_()

    async def _pulse(self, has_rows: asyncio.Event) -> None:
        while True:
            await has_rows.wait()
            has_rows.clear()
            await asyncio.sleep(max(0.0, self._due - time.monotonic()))
            self._flush()

    def _flush(self, *, last: bool = False) -> None:
        now = time.monotonic()
        if now < self._due and not last:
            return
        batch = self.rows.flush()
        if batch and self.widget is not None:
            self._due = now + PAUSE_S
            self.widget.send({"rows": batch})

    def _end(self) -> None:
        self._flush(last=True)
        if self.widget is not None:
            self.widget.beyond = self.rows.beyond
            self.widget.send({"end": True})
            self.widget.send_state("rows")
        if self._shown_as is not None and in_notebook():
            from IPython.display import update_display

            update_display(self._bundle(), raw=True, display_id=self._shown_as)  # type: ignore[no-untyped-call]  # IPython has none

    def to_svg(self) -> str:
        """The picture as it stands, still."""
        return write_svg(self._overlay.lay_on(self._picture()))

    def _picture(self) -> Picture:
        """Every node, whatever room that takes: what moves must have a place of its own."""
        return picture(self.graph, open=self.open, fold=False)

    def _bundle(self) -> Bundle:
        if not self.svg:
            return dict(mimebundle(self.graph))
        bundle: Bundle = {"text/plain": repr(self), "image/svg+xml": self.to_svg()}
        if self.widget is not None:
            bundle |= widget_bundle(self.widget)
        return bundle

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Bundle:
        return self._bundle()

    def _ipython_display_(self) -> None:
        """Shows it under a name of its own, so that what is saved can be brought up to date when the walk has ended."""
        from IPython import get_ipython
        from IPython.display import display

        cell = getattr(get_ipython(), "execution_count", -1)
        if self._shown_as is not None and self._shown_in == cell:
            return  # `await live.run(...)` has shown it in this very cell
        self._shown_in = cell
        self._shown_as = f"graphflow-live-{next(_NUMBERS)}-{id(self):x}"
        display(self._bundle(), raw=True, display_id=self._shown_as)  # type: ignore[no-untyped-call]  # IPython has none

    def __repr__(self) -> str:
        count = len(self.rows.kept)
        what = f"{count} things happened" if count else "nothing has run yet"
        return f"<live picture of {self.graph.name}: {what}>"


def in_notebook() -> bool:
    """Whether this is a cell of a notebook; IPython is not loaded to find out."""
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None
