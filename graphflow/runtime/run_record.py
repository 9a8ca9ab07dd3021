"""The record of a run: one walk from the outside, while it goes and afterwards.

    RunRecord   what is kept, what can be read from it, and how it is awaited, watched and cancelled
        Run     pictures, a timeline, a report, a frame    (`graphflow.run`, above all that these call)

Rules:
1. The journal holds facts; everything else (events, steps, usage by node) is derived from it when it is asked for.
2. A run that has ended never changes again: only its terminal event is still told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Generator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeAlias, TypeVar

from graphflow.errors import (
    AnswerExists,
    BackgroundFailed,
    LimitExceeded,
    NotReachable,
    QuestionUnknown,
    RunDamaged,
    ToolError,
    WalkCancelled,
)
from graphflow.events import (
    ArtifactKept,
    BackgroundFinished,
    CallFailed,
    Event,
    Events,
    FrameEntered,
    NodeFailed,
    NodeFinished,
    RunEnded,
    Status,
    to_record,
)
from graphflow.journal.detail import NO_DETAIL, Detail
from graphflow.journal.entries import Given, answer_entry, entry_text
from graphflow.journal.live import EventFeed
from graphflow.journal.question import Question, unknown_question
from graphflow.journal.stretch import KEEP_STEPS, Row, Stretch, without_old
from graphflow.journal.wall_clock import WallClock, clock_of
from graphflow.limits import Ledger, Usage
from graphflow.messages.artifacts import Artifact
from graphflow.proofs.report import counted
from graphflow.runtime.derivation import FrameInfo, beginnings_of, derived, walk_of
from graphflow.runtime.sitting import OpenQuestion, Sitting
from graphflow.runtime.steps import Step as Step
from graphflow.runtime.steps import frames_of, node_of, steps_of, usage_by
from graphflow.runtime.tap import Tap, TappedJournal
from graphflow.walk.snapshot import Snapshot

if TYPE_CHECKING:
    from graphflow.compaction.omission import LeftOut
    from graphflow.journal.fork_report import ForkReport
    from graphflow.journal.store import Store
    from graphflow.model.conversation import Remembers
    from graphflow.model.turns import Turn
    from graphflow.proofs.proven import AnyGraph
    from graphflow.runtime.explain import Explanation
    from graphflow.runtime.final_states import FinalStates
    from graphflow.runtime.statistics import RunStats
    from graphflow.secrets.opened import OpenSecrets
    from graphflow.walk.revision import Revision

Out = TypeVar("Out", covariant=True)


Failed = NodeFailed | CallFailed | BackgroundFinished


class FactKeeper(Protocol):
    """What keeps the facts of a run (`recorder.py`)."""

    muted: bool

    def note(self, event: Event, detail: Detail) -> None: ...


class TurnsBefore(Protocol):
    """What was said before a run."""

    turns_said: dict[tuple[int, int], Sequence[Turn]]
    """What agents have said in it, by frame and activation."""
    key: str | None
    """What its conversation is called, if it is in one."""
    mended: tuple[str, ...]
    """What was mended in what was given."""

    @property
    def last_place(self) -> str: ...
    async def artifact(self, digest: str) -> bytes | None: ...
    def shown(self, place: str, way: Remembers | None) -> Sequence[Turn]: ...
    def left_out(self, place: str, way: Remembers | None) -> LeftOut: ...


class RunRecord(Generic[Out]):
    """One walk: its result, what it used, everything that happened. Await it, iterate it, cancel it.

    Attributes:
        graph: the graph's name.
        status: running, then one of completed, failed, cancelled, limited, waiting.
        error: what stopped it, if something did.
        journal: the facts, in the order they happened.
        keep_steps: how many activations a long loop keeps, if nobody listens to the run.
    """

    __slots__ = (
        "__weakref__",
        "_cancelled",
        "_derived",
        "_dropped",
        "_final",
        "_finishing",
        "_fork_report",
        "_id",
        "_live",
        "_output",
        "_shortened",
        "_task",
        "_wall",
        "began",
        "began_at",
        "damage",
        "declared",
        "ended",
        "error",
        "frames",
        "graph",
        "hidden",
        "journal",
        "keep_steps",
        "kept",
        "ledger",
        "recorder",
        "sitting",
        "status",
        "store",
        "turns_before",
        "unkept",
        "waits_for",
    )

    def __init__(self, graph: str, ledger: Ledger) -> None:
        self.graph = graph
        self.declared: AnyGraph | None = None
        """The graph itself, for pictures; whoever begins a run puts it here."""
        self._wall = time.time_ns()
        self._id = ""
        self.status: Status = "running"
        self.error: BaseException | None = None
        self._output: Any = None
        self._final: Revision | None = None
        """What its states were at the end, where it has ended in this process."""
        self.ledger = ledger
        self.journal: list[Row] = []
        self.keep_steps = KEEP_STEPS
        self._dropped = 0
        self._shortened: set[int] = set()
        """Frames of which the oldest activations were dropped."""
        self.frames: list[FrameInfo] = []
        self.kept: dict[str, bytes] = {}
        """The bytes of artifacts, by their digest."""
        self.began = time.perf_counter()
        self.began_at = self._wall / 1e9
        """When it began, in seconds since 1970."""
        self.ended: float | None = None
        self._live: EventFeed | None = None
        self._task: asyncio.Task[Any] | None = None
        self._finishing: asyncio.Task[Any] | None = None
        """Sees to it that the end is kept."""
        self._cancelled = False
        self._derived: tuple[int, list[Event]] | None = None
        self.recorder: FactKeeper | None = None
        """What keeps its facts in a store, if it has one."""
        self.damage: RunDamaged | None = None
        """What is wrong with the record that it was read from: it tells what came before."""
        self.store: Store | None = None
        """Where it is kept; None: it lives and dies with this process."""
        self.unkept: BaseException | None = None
        """Why it is not kept any more, if it goes on without a record (`best_effort=True`)."""
        self.hidden: OpenSecrets | None = None
        """Its secrets: whatever shows it looks for them, as long as somebody has it."""
        self.turns_before: TurnsBefore | None = None
        """What was said before it: in its conversation, or in a history that it was given."""
        self.sitting: Sitting | None = None
        self.waits_for: Sequence[OpenQuestion] = ()
        """What it waits for, once nothing else can move."""

    def __deepcopy__(self, memo: object) -> Self:
        """Itself: an error that is copied carries the same run."""
        return self

    def __copy__(self) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """What another process can know of it: name, status, error, what it used. What happened stays where it happened."""
        state = {
            "_id": self.id,
            "_wall": self._wall,
            "status": self.status,
            "error": self.error,
            "began": 0.0,
            "began_at": self.began_at,
            "ended": self.usage.seconds,
        }
        return type(self), (self.graph, self.ledger), (None, state)

    @property
    def id(self) -> str:
        """A name for this run, from the moment it began."""
        if not self._id:
            self._id = f"{self.graph}-{self._wall:x}-{token_hex(4)}"
        return self._id

    @property
    def output(self) -> Out:
        """What the graph answered; None until it has."""
        answer: Out = self._output
        return answer

    @property
    def state(self) -> FinalStates:
        """What the states of the graph were at the end: `run.state[notes]`, or by name."""
        from graphflow.runtime.final_states import FinalStates

        if self.declared is None or not self.frames:
            return FinalStates(self.graph, {}, None)
        visible = self.frames[0][0].states or {}
        states = {name: state for name, state in visible.items() if not state.hidden}
        final = self._final
        if final is None:
            beginnings = beginnings_of(self.journal, self._shortened)
            walk = walk_of(self.facts, self.frames[0], beginnings.get(0))
            final = None if walk is None else walk.final
        return FinalStates(self.graph, states, final)

    @property
    def fork_report(self) -> ForkReport | None:
        """Of a run that `Graph.fork` has made: what it has taken over, and what it did itself."""
        return getattr(self, "_fork_report", None)

    # -- questions ---------------------------------------------------------------------------------
    @property
    def pending(self) -> list[Question]:
        """What it waits for: questions to people, to the clock, to other programs."""
        return [asked.question for asked in self._open_questions()]

    def _open_questions(self) -> Sequence[OpenQuestion]:
        if self.status == "running" and self.sitting is not None:
            return list(self.sitting.open.values())
        return self.waits_for if self.status == "waiting" else []

    async def answer(self, question: str, value: object, *, arm: str = "", by: str = "") -> None:
        """Answers a question.

        If the run goes on at the moment, the branch that asked does, too; else it does when the run is resumed.

        Args:
            question: its id, or the name of the node that asks, if only one question of that node is open.
            value: the answer; plain data is validated into the type that the question asks for.
            arm: of a union, the name of the class that plain data is meant for, where it fits several.
            by: who answers, for the record.

        Raises:
            QuestionUnknown: no such question is open.
            AnswerInvalid: the answer does not fit; the question is still open.
            AnswerExists: somebody has answered it already.
        """
        try:
            asked = open_question(question, self._open_questions(), self.id)
        except QuestionUnknown:
            self._refuse_second(question)
            raise
        given = Given(value, arm, by)
        answer = replace(given, value=asked.read(given))
        id = asked.question.id
        if self.status == "running" and self.sitting is not None:
            self.sitting.give(id, answer)
            return
        assert self.store is not None  # what waits is kept somewhere
        entry = answer_entry(id, asked.record.refused)
        await self.store.put_answer(self.id, entry, entry_text(value, arm), by)

    def _refuse_second(self, question: str) -> None:
        """Refuses an answer to what has been answered.

        Raises:
            AnswerExists: it has.
        """
        sitting = self.sitting
        if sitting is None:
            return
        for answered in reversed(sitting.answered):
            if question in (answered.id, answered.node):
                raise AnswerExists(self.id, answered.id, answered.by, answered.at)

    # -- while it goes -----------------------------------------------------------------------------
    def cancel(self) -> None:
        """Stops the walk: running nodes are cancelled and awaited, finished work stays in the journal."""
        if self.status == "running" and self._task is not None:
            self._cancelled = True
            # Else its task has not had its first turn: it will see that it is not wanted.
            if self.journal:
                self._task.cancel()

    @property
    def has_task_here(self) -> bool:
        """Whether it is under way in this very event loop, so that it can be cancelled from here."""
        task = self._task
        return task is not None and task.get_loop() is asyncio.get_running_loop()

    def __await__(self) -> Generator[Any, None, Self]:
        return self._wait().__await__()

    async def _wait(self) -> Self:
        await self.settled()
        if self.error is not None:
            raise self.error
        return self

    async def settled(self) -> Self:
        """Waits until the walk has ended, however it ended, and is kept, and raises nothing of it."""
        for task in (self._task, self._finishing):
            if task is not None and not task.done():
                await asyncio.wait([task])
        return self

    def __aiter__(self) -> AsyncIterator[Event]:
        """Everything that has happened and happens until the walk ends; each iteration starts at the beginning.

        No event is lost to a slow reader, but for pieces of what is still being said (`graphflow.journal.live` has the rules).
        """
        if self._live is not None and not self._live.ended:
            return self._live.read()
        return _each(self.events)

    def tell(self, event: Event, detail: Detail = NO_DETAIL) -> None:
        """Keeps an event and tells whoever listens; after the terminal event there is nothing more to tell.

        Args:
            event: what has happened.
            detail: what a store keeps of it beside.
        """
        if self.ended is not None and type(event) is not RunEnded:
            return
        recorder = self.recorder
        if recorder is not None:
            if recorder.muted and type(event) is not RunEnded:
                return
            if not event.passing and not event.follows:
                recorder.note(event, detail)
        live = self._live
        if live is None:
            self.journal.append(event)
            return
        if event.passing:
            live.say(event)
        else:
            self.journal.append(event)
        live.wake()

    def watch(self) -> None:
        """From now on somebody may listen."""
        self._live = EventFeed(self.journal)
        if isinstance(self.journal, TappedJournal):
            self._live.hear = self.journal.tap.take

    def be_tapped(self, tap: Tap) -> None:
        """Has all that it tells led to a tap, too; what it has told so far comes first."""
        rows = self.journal
        self.journal = TappedJournal(rows, tap)
        for row in rows:
            tap.take(row)
        if self._live is not None:
            self._live.journal = self.journal
            self._live.hear = tap.take

    @property
    def tap(self) -> Tap | None:
        """What all that it tells is led to; None: nobody has tapped it."""
        journal = self.journal
        return journal.tap if isinstance(journal, TappedJournal) else None

    def close(self) -> None:
        """Marks the end for listeners."""
        if self._live is not None:
            self._live.end()

    @property
    def observed(self) -> bool:
        """Whether somebody may listen, so that what follows from the facts is told at once."""
        return self._live is not None

    def records(self) -> list[dict[str, Any]]:
        """Everything that happened, as plain JSON data: `--events` writes these, a line each."""
        return list(map(EventRecorder(self).record, self.events))

    # -- what happened -----------------------------------------------------------------------------
    @property
    def usage(self) -> Usage:
        """What the run used so far."""
        ended = self.ended or time.perf_counter()
        return self.ledger.usage(ended - self.began)

    @property
    def usage_by_node(self) -> dict[str, Usage]:
        """What each node used, by "graph > node": steps and their seconds, calls of models, tokens, cost."""
        return usage_by(node_of, self.steps, self.facts, self._paths)

    @property
    def usage_by_frame(self) -> dict[tuple[str, ...], Usage]:
        """What each frame used, by its path; what a frame used counts for all around it, too."""
        return usage_by(frames_of, self.steps, self.facts, self._paths)

    def stats(self) -> RunStats:
        """How long nodes and models took, how soon answers began, how often something was tried again: print it."""
        from graphflow.runtime.statistics import stats_of

        return stats_of(self.steps, self.facts, self._paths)

    @property
    def _paths(self) -> list[tuple[str, ...]]:
        if self.frames:
            return [path for _, path, _ in self.frames]
        # Of a graph that is not here, its record tells what was entered.
        paths: list[tuple[str, ...]] = [(self.graph,)]
        for event in self.journal:
            if isinstance(event, FrameEntered):
                paths.append(event.path)
        return paths

    def seconds_at(self, at: float) -> float:
        """When a moment of the run was, in seconds since 1970: the pauses between its sittings are counted in.

        Args:
            at: seconds since it began, as its events have them.
        """
        return clock_of(self.began_at, self.journal).seconds(at)

    def path_of(self, frame: int) -> tuple[str, ...]:
        """Names of the frames from the outermost to the one of that number."""
        return self._paths[frame]

    @property
    def facts(self) -> list[Event]:
        """The journal, each row as its event, in the order of time."""
        facts: list[Event] = Events()
        for row in self.journal:
            if isinstance(row, Stretch):
                facts += self._unpacked(row)
            elif not isinstance(row, Snapshot):
                facts.append(row)
        # stable, and nearly sorted: stretches of parallel frames interleave.
        facts.sort(key=lambda fact: fact.at)
        return facts

    @property
    def dropped(self) -> int:
        """How many of the oldest activations are not kept any more: `facts`, `events` and `steps` begin after them.

        Only a run that nobody listens to drops any, and only what loops have done again and again (`keep_steps`); its
        `usage` counts everything.
        """
        return self._dropped

    def explain(self, node: str) -> Explanation:
        """Why a node ran (what it got, from where, in which lap or item), or why it did not, in words: print it.

        Args:
            node: its name; `"inner > draft"` in a graph within.

        Raises:
            PlaceUnknown: there is no such node, or the graph of a loaded run was not given.
        """
        from graphflow.runtime.explain import Telling, explain

        frames = () if self.declared is None else self.frames
        beginnings = beginnings_of(self.journal, self._shortened)
        return explain(Telling(self.graph, self.facts, frames, beginnings), node)

    def drop_old(self, frame: int, most: int) -> None:
        """Drops what a frame told before its last `most` activations."""
        kept, dropped = without_old(self.journal, frame, max(most, self.keep_steps))
        if dropped:
            self.journal[:] = kept
            self._shortened.add(frame)
            self._dropped += dropped

    @property
    def events(self) -> list[Event]:
        """Everything that happened: the facts, and what follows from them, in order."""
        # Of a graph that is not here, nothing can be derived.
        if self.observed or self.declared is None:
            return self.facts
        mark = len(self.journal) + self.dropped
        if self._derived is None or self._derived[0] != mark:
            self._derived = (
                mark,
                derived(self.facts, self.frames, beginnings_of(self.journal, self._shortened)),
            )
        return self._derived[1]

    @property
    def artifacts(self) -> list[Artifact]:
        """What nodes have kept beside the answer, in order; `payload` has the bytes."""
        return [event.artifact for event in self.journal if isinstance(event, ArtifactKept)]

    def payload(self, artifact: Artifact | str) -> bytes:
        """The bytes of an artifact, or of the digest of one.

        Raises:
            KeyError: nothing of that digest was kept.
        """
        return self.kept[artifact if isinstance(artifact, str) else artifact.digest]

    @property
    def failures(self) -> list[Failed]:
        """Every node that raised, also where the walk went on without it.

        That is: forks that `isolate`, a `Failure` edge, an agent's tool, a call in the background, also one that was cut
        off because the run ended first. What a tool says on purpose (`ToolError`) is an answer, not a failure.
        """
        found: list[Failed] = []
        for event in self.facts:
            if not isinstance(event, Failed) or not _is_failure(event):
                continue
            # An error on its way outward is told of at each call and activation that it passes.
            if all(event.error is not other.error for other in found):
                found.append(event)
        return found

    @property
    def steps(self) -> list[Step]:
        """Every activation and call that has ended, in the order they ended."""
        return steps_of(self.events, self._paths)

    def _unpacked(self, row: Stretch) -> list[Event]:
        program, _, _ = self.frames[row.frame]
        began = self.began
        events: list[Event] = []
        hops = iter(row.hops)
        for slot, started, ended, output in zip(hops, hops, hops, hops, strict=True):
            number = row.first + len(events)
            name = program.slots[slot].name
            events.append(
                NodeFinished(ended - began, row.frame, number, name, output, started - began)
            )
        return events

    def __repr__(self) -> str:
        used = self.usage
        steps = counted(used.steps, "step")
        shown = f"<run of {self.graph}: {self.status} after {steps}, {used.seconds:.3f} s"
        if used.model_calls:
            calls, tokens = counted(used.model_calls, "model call"), counted(used.tokens, "token")
            shown += f", {calls}, {tokens}"
        if self._dropped:
            shown += f", the oldest {self._dropped} activations not kept"
        return shown + ">"


AnyRecord: TypeAlias = RunRecord[Any]
"""The record of a run, where it does not matter what its graph answers."""


def _is_failure(event: Failed) -> bool:
    """Whether an event tells of a failure, and not of an answer that says no, or of a call that was stopped."""
    if isinstance(event, BackgroundFinished):
        return event.status in ("failed", "limited") or isinstance(event.error, BackgroundFailed)
    if isinstance(event, CallFailed) and isinstance(
        event.error, (ToolError, LimitExceeded, NotReachable)
    ):
        return False
    return not _was_cancelled(event.error)


def _was_cancelled(error: BaseException) -> bool:
    """Whether it ended because others stopped it: then it has not failed."""
    return isinstance(error, (asyncio.CancelledError, WalkCancelled))


def open_question(name: str, questions: Sequence[OpenQuestion], run: str) -> OpenQuestion:
    """The question of that id, or the only one of a node of that name.

    Raises:
        QuestionUnknown: there is none, or there are several.
    """
    by_node: list[OpenQuestion] = []
    for asked in questions:
        if asked.question.id == name:
            return asked
        if asked.question.node == name:
            by_node.append(asked)
    if len(by_node) == 1:
        return by_node[0]
    raise unknown_question(name, [asked.question.id for asked in questions], run)


class EventRecorder:
    """Makes records of one run's events as they come.

    Each has the run's id, a number that counts up from 0, the time of day, and the path of the frames around it.
    """

    __slots__ = ("_clock", "_paths", "_run", "count")

    def __init__(self, run: RunRecord[Any]) -> None:
        self._run = run
        self._clock: WallClock | None = None
        self._paths: dict[int, list[str]] = {}
        self.count = 0

    def record(self, event: Event) -> dict[str, Any]:
        """The next record."""
        run = self._run
        plain = to_record(event)
        plain.pop("path", None)  # of a frame that is entered: the same
        kind = plain.pop("kind")
        frame = event.frame
        if frame not in self._paths:
            self._paths[frame] = list(run.path_of(frame))
        if self._clock is None:
            # Not earlier: a run that is kept learns when it began while it is opened.
            self._clock = WallClock(run.began_at)
        self._clock.note(event)
        when = datetime.fromtimestamp(self._clock.seconds_now(event.at), UTC)
        record = {
            "kind": kind,
            "run": run.id,
            "number": self.count,
            "time": when.isoformat(timespec="microseconds"),
            "path": self._paths[frame],
            **plain,
        }
        self.count += 1
        return record


async def _each(events: Sequence[Event]) -> AsyncIterator[Event]:
    for event in events:
        yield event
