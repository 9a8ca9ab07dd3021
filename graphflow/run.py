"""A run: one walk from the outside, while it goes and afterwards.

What is kept of it, and read from it, lies below (`graphflow.runtime.run_record`). This is its face: a run shows itself, too.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Generic

from graphflow._faces import renamed
from graphflow.display import Displayed
from graphflow.runtime.run_record import EventRecorder, Out, RunRecord
from graphflow.runtime.steps import Step

if TYPE_CHECKING:
    from graphflow.events import Event
    from graphflow.journal.store import Store
    from graphflow.model.turns import Turn
    from graphflow.proofs.proven import AnyGraph
    from graphflow.render import Timeline
    from graphflow.runtime.failure import FailureReport
    from graphflow.telemetry.subscription import Receiver, Subscription

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

    @property
    def failure(self) -> FailureReport | None:
        """Why it has not completed: the error with code and hint, the node, the last events, how to go on; None if it has."""
        from graphflow.runtime.failure import failure_of

        return failure_of(self)

    @property
    def history(self) -> list[Turn]:
        """What was said up to here, for those who keep it themselves: `graph.run(message, history=run.history)`.

        With the calls of who has answered, if the run was given a history (`history=[]` will do) or is in a conversation.
        """
        from graphflow.runtime.given_history import history_of

        return history_of(self)

    def subscribe(
        self, *kinds: str, path: str = "", to: Receiver | None = None, room: int | None = None
    ) -> Subscription:
        """A subscription to this run alone, as `Graph.subscribe`: what it has told so far comes first, and it ends with the run.

        Raises:
            DeclarationError: no event has such a kind, or it cannot be handed on so.
        """
        from graphflow.telemetry.hub import HUB
        from graphflow.telemetry.subscription import ROOM

        return HUB.subscribe_to(self, *kinds, path=path, to=to, room=ROOM if room is None else room)

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


async def followed(start: Callable[[], Run[Any]]) -> AsyncIterator[Event]:
    """Starts a run, and yields every event of it; the last one is terminal. Whoever leaves early cancels the run.

    Raises: what awaiting the run raises, after the terminal event.
    """
    run = start()
    try:
        async for event in run:
            yield event
        await run
    finally:
        if run.status == "running":
            run.cancel()
            await run.settled()
