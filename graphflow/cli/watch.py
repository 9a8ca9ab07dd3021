"""Walks a graph for the command line: live on a terminal, silent when piped, events to a file if asked."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphflow.cli.approvals import ask_here
from graphflow.cli.event_file import EventFile
from graphflow.cli.exit_codes import Terminated
from graphflow.cli.keeping import Keeping
from graphflow.cli.options import WalkOutput
from graphflow.cli.outcome import walk_and_show
from graphflow.cli.printing import note
from graphflow.cli.show import AnyRun
from graphflow.cli.sinks import sinks_of_project
from graphflow.cli.terminal import can_ask
from graphflow.cli.visible import visible
from graphflow.errors import AnswerExists, AnswerInvalid, WalkCancelled
from graphflow.events import (
    ApprovalAsked,
    Approved,
    CallFailed,
    CallFinished,
    CallStarted,
    Event,
    FrameEntered,
    ModelDelta,
    ModelFinished,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeStarted,
    Resumed,
)
from graphflow.graph import RunnableGraph
from graphflow.journal.question import Question
from graphflow.limits import Limits
from graphflow.redaction import scrub
from graphflow.render.xml import was_cancelled
from graphflow.run import EventRecorder
from graphflow.runtime.options import RunOptions

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text
    from rich.tree import Tree


TreePlace = tuple[str, ...]
"""Where something runs: the names of the graphs around it, from the outside in, and its own."""

REDRAWS_A_SECOND = 8
MAX_SAID = 100
"""Characters of what a model says that stand below the tree."""
MAX_READ = 1000
"""Characters that are looked at for it."""


def walk_here(
    graph: RunnableGraph,
    message: object,
    options: RunOptions,
    *,
    limits: Limits | None,
    output: WalkOutput,
    keeping: Keeping | None,
) -> int:
    """Walks the graph to its end, where a person may look on and be asked, and prints what comes of it; the exit code.

    Args:
        graph: what is walked.
        message: its input.
        options: of the run: its model, its secrets.
        limits: of the run; for one that goes on, instead of those that it was begun with.
        output: what is printed and written.
        keeping: how the run is kept; None: it is not.

    Raises: whatever the walk raises; Ctrl-C and SIGTERM cancel the walk cleanly and are raised again.
    """

    def walk() -> AnyRun:
        with ExitStack() as stack:
            stack.enter_context(sinks_of_project())
            picture = sink = None
            # Piped, nothing but the answer is printed.
            if sys.stdout.isatty() and not output.as_json:
                picture = WalkTree(graph.name)
            if output.events is not None:
                sink = stack.enter_context(EventFile(output.events))
            is_whole = output.report is not None
            watch = Watcher(picture, sink, is_whole, can_ask())
            walking = _walked(graph, message, options, limits, watch, keeping)
            return asyncio.run(until_terminated(walking))

    return walk_and_show(walk, output, keeping)


async def until_terminated(walking: Coroutine[Any, Any, AnyRun]) -> AnyRun:
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


async def _walked(
    graph: RunnableGraph,
    message: object,
    options: RunOptions,
    limits: Limits | None,
    watch: Watcher,
    keeping: Keeping | None,
) -> AnyRun:
    try:
        if limits is not None:
            options["limits"] = limits
        if keeping is not None:
            # Ctrl-C may come before there is a run at all.
            try:
                message = await keeping.begin(graph, message, options)
            except asyncio.CancelledError:
                raise stopped_run(graph, None) from None
        if watch.asks:
            ask_here(options, watch.aside)
        run = graph.start(message, observed=watch.is_needed, **options)
        # Not earlier: what cannot begin is kept nowhere.
        if keeping is not None and run.store is keeping.store:
            keeping.tell(run)
        run = await _watched(graph, run, watch)
        while watch.asks and await _answered_here(graph, run, watch):
            options["store"], options["id"] = run.store, run.id
            watch.begin_again()
            run = await _watched(
                graph, graph.start(message, observed=watch.is_needed, **options), watch
            )
        return run
    finally:
        if keeping is not None:
            await keeping.store.aclose()


async def _answered_here(graph: RunnableGraph, run: AnyRun, watch: Watcher) -> bool:
    """Whether the person at the terminal has answered something that the run waits for, so that it can go on."""
    if run.status != "waiting":
        return False
    try:
        return await answered_here(run, watch.aside)
    except asyncio.CancelledError:
        raise stopped_run(graph, run) from None


async def answered_here(run: AnyRun, aside: Callable[[], AbstractContextManager[None]]) -> bool:
    """Whether the person at the terminal has answered something that a run waits for.

    Args:
        run: the run.
        aside: takes away what is drawn on the screen while a question stands there.
    """
    answered = False
    for question in run.pending:
        if question.about in ("time", "message"):  # which no person is asked
            continue
        with aside():
            if not await _answered(run, question):
                break
        answered = True
    return answered


async def _answered(run: AnyRun, question: Question) -> bool:
    """Whether somebody has answered a question; who types what does not fit is asked again."""
    from graphflow.cli.questions import answer_to  # who is never asked never loads it

    while True:
        given = await answer_to(question)
        if given is None:
            return False
        try:
            await run.answer(question.id, given.value, arm=given.arm)
        except AnswerInvalid as invalid:
            note(str(invalid))
        except AnswerExists as exists:  # from elsewhere, meanwhile
            note(str(exists))
            return True
        else:
            return True


def stopped_run(graph: RunnableGraph, run: AnyRun | None) -> WalkCancelled:
    """Ctrl-C as an error with the run: asyncio has cancelled the task, and the walk has wound down."""
    error = WalkCancelled(f"stopped while walking {graph.name!r}")
    if run is not None:
        error.run = run
    return error


async def _watched(graph: RunnableGraph, run: AnyRun, watch: Watcher) -> AnyRun:
    """A run until it has ended; Ctrl-C stops it."""
    # One reader, so that what follows a Ctrl-C is read on, not anew.
    reader = aiter(run) if watch.is_needed else None
    try:
        if reader is not None:
            await watch.follow(run, reader)
        return await run
    except asyncio.CancelledError:
        run.cancel()
        await run.settled()
        if reader is not None:
            await watch.follow(run, reader)  # how it wound down
        raise stopped_run(graph, run) from None


class Watcher:
    """Who looks on while a run goes.

    Args:
        picture: the tree that is drawn on the terminal.
        sink: the file that gets every event.
        whole: whether all is told, though nobody looks on yet.
        asks: whether the person at the terminal is asked for approvals.
    """

    def __init__(
        self, picture: WalkTree | None, sink: EventFile | None, whole: bool, asks: bool
    ) -> None:
        self.picture = picture
        self.sink = sink
        self.asks = asks
        self.is_needed = whole or picture is not None or sink is not None
        """Whether the run has to tell everything at once."""
        self._resumed = 0
        """How often the run has gone on so far."""
        self._screen: Live | None = None
        self._records: EventRecorder | None = None

    async def follow(self, run: AnyRun, events: AsyncIterator[Event]) -> None:
        """Shows and writes down what happens, until the run has ended."""
        if self._records is None:
            self._records = EventRecorder(run)
        resumed = 0
        with self._drawn():
            async for event in events:
                resumed += isinstance(event, Resumed)
                if self.picture is not None:
                    self.picture.take(event)
                # What came before is there already.
                if self.sink is not None and resumed >= self._resumed:
                    self.sink.write(event, self._records)
        self._resumed = resumed

    def begin_again(self) -> None:
        """The same run goes on, and tells all that has happened once more."""
        self._resumed += 1
        if self.picture is not None:
            self.picture = WalkTree(self.picture.name)

    @contextmanager
    def _drawn(self) -> Iterator[None]:
        if self.picture is None:
            yield
            return
        self._begin_drawing(self.picture)
        try:
            yield
        finally:
            self._end_drawing()

    def _begin_drawing(self, picture: WalkTree) -> None:
        from rich.live import Live

        draw = picture.tree
        self._screen = Live(
            get_renderable=draw, refresh_per_second=REDRAWS_A_SECOND, transient=True
        )
        self._screen.start(refresh=True)

    def _end_drawing(self) -> None:
        screen, self._screen = self._screen, None
        if screen is not None:
            screen.stop()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """While a question stands on the screen, nothing is drawn over it."""
        is_drawn = self._screen is not None
        self._end_drawing()
        try:
            yield
        finally:
            # A new one: the old one would take away as many lines as it had drawn, and these are the question's now.
            if is_drawn and self.picture is not None:
                self._begin_drawing(self.picture)


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
    """What a model has said last; whether that is whole, and what others are saying, by question."""
    is_whole: bool = True
    texts: dict[int, str] = field(default_factory=dict)

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
            case ModelFinished() | ModelDelta():
                self._hear(event, path)
            case _:
                pass

    def _hear(self, event: ModelDelta | ModelFinished, path: TreePlace) -> None:
        """Adds to what is said; of several that speak at a time, whoever spoke last is heard."""
        text = self.texts.pop(event.question, "")
        self.is_whole = isinstance(event, ModelFinished)
        if isinstance(event, ModelFinished):
            self.last = event.text
            self._row(path, event.node).tokens += event.input_tokens + event.output_tokens
        elif event.channel == "text":
            self.last = self.texts[event.question] = text + event.text
        elif event.channel != "restart":  # what it thinks is not its answer
            self.texts[event.question] = text

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
            root.add(Text(visible(self._words()), style="italic dim"))
        return root

    def _words(self) -> str:
        """Of a text that is whole the beginning, of one that grows the end, on one line."""
        # Scrubbed before it is cut: half a secret would not be known as one.
        if not self.is_whole:
            text = scrub(self.last[-MAX_READ:])[-MAX_SAID:]
        else:
            text = scrub(self.last[:MAX_READ])[:MAX_SAID]
        return text.replace("\n", " ")


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
