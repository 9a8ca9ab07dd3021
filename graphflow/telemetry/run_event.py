"""An event with all that tells where and when it happened: which run, its number in that, the time of day, the frames around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from graphflow.event import Event
from graphflow.events import FrameEntered, Resumed, RunTraced, to_record
from graphflow.journal.wall_clock import WallClock
from graphflow.telemetry.bounded import bounded_plain

if TYPE_CHECKING:
    from graphflow.runtime.run_record import AnyRecord
    from graphflow.trace_context import RunTrace

FramePath = tuple[str, ...]


class RunSource:
    """The run that events are of.

    Attributes:
        run: its id.
        graph: the name of its graph.
        clock: tells when its moments were.
        trace: its spans; None: nobody makes any.
        entered: what is known of each frame that was entered, those of earlier sittings included.
        kinds: what each node is, by its name: "agent", "tool", ...
        traces_before: what earlier sittings have told of their spans, the latest last.
    """

    __slots__ = (
        *("_paths", "_run", "clock", "entered", "graph"),
        *("kinds", "run", "trace", "traces_before"),
    )

    def __init__(self, run: AnyRecord) -> None:
        self._run = run
        self.run = ""
        self.graph = run.graph
        self.clock = WallClock(run.began_at)
        self.trace: RunTrace | None = None
        self.entered: dict[int, FrameEntered] = {}
        self.kinds: Mapping[str, str] = {}
        self.traces_before: list[RunTraced] = []
        self._paths: dict[int, FramePath] = {}

    def recall(self, event: Event) -> None:
        """Takes what an earlier sitting has told."""
        if isinstance(event, FrameEntered):
            self.entered[event.frame] = event
        elif isinstance(event, RunTraced):
            self.traces_before.append(event)

    def begin(self) -> None:
        """Takes what is known of a run once it has begun: its id, and when that was."""
        run = self._run
        self.run = run.id
        self.clock = WallClock(run.began_at)

    def path_of(self, frame: int) -> FramePath:
        """The names of the frames from the outermost to this one."""
        path = self._paths.get(frame)
        if path is None:
            path = self._paths[frame] = self._run.path_of(frame)
        return path


@dataclass(slots=True)
class RunEvent:
    """One event of a run, as subscribers get it.

    Attributes:
        event: what has happened.
        number: it counts up from 0 within the run, by what was led to subscribers; a gap is what a filter, or a queue that was
            full, has left out.
        path: the names of the frames around it, the outermost first.
        source: the run that it is of.
    """

    event: Event
    number: int
    path: FramePath
    source: RunSource

    @property
    def kind(self) -> str:
        """The kind of the event: "node.end"."""
        return self.event.kind

    @property
    def run(self) -> str:
        """The id of its run."""
        return self.source.run

    @property
    def graph(self) -> str:
        """The name of the graph that is run."""
        return self.source.graph

    @property
    def seconds(self) -> float:
        """When it happened, in seconds since 1970."""
        event = self.event
        if isinstance(event, Resumed) and event.began_at is not None:
            return event.began_at
        return self.source.clock.seconds(event.at)

    @property
    def time(self) -> datetime:
        """When it happened."""
        return datetime.fromtimestamp(self.seconds, UTC)

    @property
    def node(self) -> str:
        """The node that it is about; "" where it is about none."""
        node: str = getattr(self.event, "node", "")
        return node

    def record(self, max_text: int | None = None) -> dict[str, Any]:
        """The event as plain JSON data, without what is secret in any field.

        Args:
            max_text: characters of one text; a longer one is cut. None: all are whole.
        """
        plain = to_record(
            self.event, None if max_text is None else partial(bounded_plain, limit=max_text)
        )
        # FrameEntered has a path of its own, which is the same.
        plain.pop("path", None)
        return {
            "kind": plain.pop("kind"),
            "run": self.run,
            "number": self.number,
            "time": self.time.isoformat(timespec="microseconds"),
            "path": list(self.path),
            **plain,
        }
