"""Walks a graph for the command line: live on a terminal, silent when piped, events to a file if asked."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphflow.cli.approvals import Asker
from graphflow.cli.event_file import EventFile
from graphflow.cli.show import AnyRun
from graphflow.cli.visible import visible
from graphflow.errors import WalkCancelled
from graphflow.events import (
    ApprovalAsked,
    Approved,
    CallFailed,
    CallFinished,
    CallStarted,
    Event,
    FrameEntered,
    ModelFinished,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeStarted,
)
from graphflow.graph import RunnableGraph
from graphflow.redaction import scrub
from graphflow.render.xml import was_cancelled
from graphflow.run import EventRecorder

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree


TreePlace = tuple[str, ...]
"""Where something runs: the names of the graphs around it, from the outside in, and its own."""

REDRAWS_A_SECOND = 8


class Terminated(WalkCancelled):
    """The walk was stopped by SIGTERM, the way in which services and containers are asked to end."""


def walk(
    graph: RunnableGraph,
    message: object,
    *,
    model: str | None,
    events: Path | None,
    live: bool,
    whole: bool = False,
    asks: bool = False,
) -> AnyRun:
    """Walks the graph to its end, and returns the run.

    Args:
        graph: what is walked.
        message: its input.
        model: for nodes that name none.
        events: the file that gets every event.
        live: whether the walk is drawn on the terminal while it goes.
        whole: whether a run is kept with all that a report shows, also where nobody looks on.
        asks: whether the person at the terminal is asked for approvals.

    Raises: whatever the walk raises; Ctrl-C and SIGTERM cancel the walk cleanly and are raised again.
    """
    with ExitStack() as stack:
        sink = stack.enter_context(EventFile(events)) if events is not None else None
        if not live and sink is None and not whole:
            return asyncio.run(_until_terminated(_quiet(graph, message, model, asks)))
        return asyncio.run(_until_terminated(_watched(graph, message, model, sink, live, asks)))


async def _until_terminated(walking: Coroutine[Any, Any, AnyRun]) -> AnyRun:
    """The run; SIGTERM cancels it as Ctrl-C does, so that it winds down and leaves no process and no torn record behind."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # this is a coroutine
    is_terminated = asyncio.Event()

    def terminate() -> None:
        is_terminated.set()
        task.cancel()

    with suppress(NotImplementedError, RuntimeError, ValueError):  # Windows, or not the main thread
        loop.add_signal_handler(signal.SIGTERM, terminate)
    try:
        return await walking
    except WalkCancelled as error:
        if is_terminated.is_set():
            stopped = Terminated(str(error))
            stopped.run = error.run
            raise stopped from None
        raise
    finally:
        with suppress(NotImplementedError, RuntimeError, ValueError):
            loop.remove_signal_handler(signal.SIGTERM)


async def _quiet(graph: RunnableGraph, message: object, model: str | None, asks: bool) -> AnyRun:
    approve = Asker(nullcontext).ask if asks else None
    try:
        return await graph.run(message, model=model, approve=approve)
    except asyncio.CancelledError as cancelled:
        raise _stopped(graph, getattr(cancelled, "run", None)) from None


def _stopped(graph: RunnableGraph, run: AnyRun | None) -> WalkCancelled:
    """Ctrl-C as an error with the run: asyncio has cancelled the task, and the walk has wound down."""
    error = WalkCancelled(f"stopped while walking {graph.name!r}")
    if run is not None:
        error.run = run
    return error


async def _watched(
    graph: RunnableGraph, message: object, model: str | None, sink: EventFile | None, live: bool, asks: bool
) -> AnyRun:
    picture = WalkTree(graph.name)
    screen: AbstractContextManager[Any] = _live(picture) if live else nullcontext()
    approve = Asker(lambda: _aside(screen)).ask if asks else None
    run = graph.start(message, model=model, approve=approve)
    records, reader = EventRecorder(run), aiter(run)  # one reader, so that what follows a Ctrl-C is read on, not anew
    try:
        with screen:
            async for event in reader:
                picture.take(event)
                if sink is not None:
                    sink.write(event, records)
        return await run
    except asyncio.CancelledError:
        run.cancel()
        await run.settled()
        async for event in reader:  # how it wound down
            if sink is not None:
                sink.write(event, records)
        raise _stopped(graph, run) from None


def _live(picture: WalkTree) -> AbstractContextManager[Any]:
    from rich.live import Live

    return Live(get_renderable=picture.tree, refresh_per_second=REDRAWS_A_SECOND, transient=True)


@contextmanager
def _aside(screen: Any) -> Iterator[None]:
    """While a question stands on the screen, nothing is drawn over it."""
    is_drawn = hasattr(screen, "stop")  # nothing is, where standard output is not a terminal
    if is_drawn:
        screen.stop()
    try:
        yield
    finally:
        if is_drawn:
            screen.start(refresh=True)


@dataclass(slots=True)
class TreeRow:
    """How often a node has run, and how it ended, in one place of the walk."""

    running: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0
    asking: int = 0
    seconds: float = 0.0
    tokens: int = 0


@dataclass(slots=True)
class WalkTree:
    """The walk as a tree: frames, nodes in them, and how far each is."""

    name: str
    rows: dict[TreePlace, TreeRow] = field(default_factory=dict)
    paths: dict[int, TreePlace] = field(default_factory=dict)
    last: str = ""

    def take(self, event: Event) -> None:
        """Counts one event."""
        path = self.paths.get(event.frame, (self.name,))
        match event:
            case FrameEntered():
                self.paths[event.frame] = event.path
            case NodeStarted() | CallStarted():
                self._row(path, event.node).running += 1
            case NodeFinished() | CallFinished():
                self._end(path, event.node, event.at - event.started, "done")
            case NodeFailed() | CallFailed():
                outcome = "cancelled" if was_cancelled(event.error) else "failed"
                self._end(path, event.node, event.at - event.started, outcome)
            case NodeCancelled():
                self._end(path, event.node, event.at - event.started, "cancelled")
            case ApprovalAsked():
                self._row(path, event.node).asking += 1
            case Approved():
                row = self._row(path, event.node)
                row.asking = max(0, row.asking - 1)
            case ModelFinished():
                self._row(path, event.node).tokens += event.input_tokens + event.output_tokens
                self.last = event.text
            case _:
                pass

    def _row(self, path: TreePlace, node: str) -> TreeRow:
        return self.rows.setdefault((*path, node), TreeRow())

    def _end(self, path: TreePlace, node: str, seconds: float, outcome: str) -> None:
        row = self._row(path, node)
        row.running -= 1
        row.seconds += seconds
        match outcome:
            case "done":
                row.done += 1
            case "failed":
                row.failed += 1
            case _:
                row.cancelled += 1

    def tree(self) -> Tree:
        """The tree of this moment, as rich draws it."""
        from rich.text import Text
        from rich.tree import Tree

        root = Tree(Text(visible(self.name), style="bold"))
        branches: dict[TreePlace, Tree] = {(self.name,): root}
        # Shorter paths first: a branch hangs on the one it is in.
        for path in sorted(self.rows, key=len):
            parent = branches.get(path[:-1])
            if parent is not None:
                line = _line(path[-1], self.rows[path])
                branches[path] = parent.add(line)
        if self.last:
            # Scrubbed before it is cut: half a secret would not be known as one.
            text = scrub(self.last[:1000])[:100].replace("\n", " ")
            root.add(Text(visible(text), style="italic dim"))
        return root


def _mark(row: TreeRow) -> tuple[str, str]:
    """The sign of a node and its colour; a success does not hide a failure."""
    if row.asking:
        return "?", "magenta"
    if row.running:
        return "●", "yellow"
    if row.failed and row.done:
        return "!", "red"
    if row.failed:
        return "✗", "red"
    if row.done:
        return "✓", "green"
    return "■", "dim"


def _line(name: str, row: TreeRow) -> Text:
    from rich.text import Text

    mark, style = _mark(row)
    line = Text.assemble((f"{mark} ", style), visible(name))
    counts = _counts(row)
    if counts:
        line.append(f"  {', '.join(counts)}", style="dim")
    return line


def _counts(row: TreeRow) -> list[str]:
    counts: list[str] = []
    if row.done != 1 or row.running:
        counts.append(f"{row.done} done")
    if row.asking:
        counts.append("waits for approval")
    if row.running > row.asking:
        counts.append(f"{row.running - row.asking} running")
    if row.failed:
        counts.append(f"{row.failed} failed")
    if row.cancelled:
        counts.append(f"{row.cancelled} cancelled")
    if row.seconds >= 0.05:
        counts.append(f"{row.seconds:.1f} s")
    if row.tokens:
        counts.append(f"{row.tokens} tokens")
    return counts
