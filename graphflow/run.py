"""A run: one walk from the outside, while it goes and afterwards.

What is kept of it, and read from it, lies below (`graphflow.runtime.run_record`). This is its face: a run shows itself, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from graphflow._faces import renamed
from graphflow.display import Displayed
from graphflow.runtime.run_record import EventRecorder, Out, RunRecord
from graphflow.runtime.steps import Step

if TYPE_CHECKING:
    from graphflow.journal.store import Store
    from graphflow.proofs.proven import AnyGraph
    from graphflow.render import Timeline

__all__ = ["EventRecorder", "Run", "Step"]


class Run(Displayed, RunRecord[Out], Generic[Out]):
    """One walk: its result, what it used, everything that happened. Await it, iterate it, cancel it.

    Attributes:
        graph: the graph's name.
        status: running, then one of completed, failed, cancelled, limited, waiting.
        error: what stopped it, if something did.
        journal: the facts, in the order they happened.
        keep_steps: how many activations a long loop keeps, if nobody listens to the run.
    """

    __slots__ = ()  # else each run would have a dict besides what its record keeps

    def draw(self, path: str, **options: Any) -> str:
        """Writes the graph's picture with this walk on it; path and options as for `Graph.draw`. Returns the path.

        With `why="draft"` only what led to that node stands out, and under its name stands why it ran, or why it did not.
        """
        from graphflow.render import draw_run

        return draw_run(self, path, **options)

    def to_svg(self, **options: Any) -> str:
        """The graph's picture with this walk on it as one `<svg>` element; options as for `Graph.to_svg`."""
        from graphflow.render import run_svg

        return run_svg(self, **options)

    def timeline(self) -> Timeline:
        """Who worked when: shows itself in a notebook; `.save("walk.svg")` writes it, `.critical` is the critical path."""
        from graphflow.render import timeline

        return timeline(self)

    def report(self, path: str) -> str:
        """Writes the run as one HTML file that needs nothing else: pictures, conversations, steps, costs. Returns the path."""
        from graphflow.render import write_report

        return write_report(self, path)

    def to_frame(self, *, events: bool = False) -> Any:
        """A pandas frame with a row for each step, or for each event.

        Raises:
            MissingExtra: pandas is not installed.
        """
        from graphflow.notebook import to_frame

        return to_frame(self, events=events)


__getattr__ = renamed(__name__, {"Recorder": "EventRecorder"})


async def load_run(store: Store, id: str, graph: AnyGraph | None) -> Run[Any]:
    """`Store.load`."""
    from graphflow.runtime.loading import load

    return await load(store, id, graph, Run)
