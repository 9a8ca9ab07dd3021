"""Explanations: why a node ran, or why it did not, in words, read from the events of a run.

ran       which messages it got, from where, in which lap or item; what came of it
stopped   by which answer or failure, which limit, whom
did not   which arm was taken instead, which port stayed empty, what did not run before it, who could have called it
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from graphflow.declaration.handoffs import Handover
from graphflow.errors import PlaceUnknown
from graphflow.events import (
    CallFailed,
    CallFinished,
    CallStarted,
    EdgeSent,
    EdgeSkipped,
    Event,
    FrameEntered,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeRefused,
    NodeSkipped,
    NodeStarted,
    QuestionAnswered,
    QuestionAsked,
    RunStarted,
    Stopped,
)
from graphflow.journal.stretch import Stretch
from graphflow.messages.message import error_text, shortened
from graphflow.messages.state import StateWrites
from graphflow.proofs.program import Program, Slot
from graphflow.proofs.report import counted
from graphflow.redaction import scrub
from graphflow.runtime.derivation import FrameInfo, beginning_walk
from graphflow.runtime.stops import counts
from graphflow.walk.commands import Cancel
from graphflow.walk.machine import Walk
from graphflow.walk.scope import scope_text
from graphflow.walk.snapshot import Snapshot

_ENDS = (NodeFinished, NodeFailed, NodeCancelled, NodeRefused)
DEEPEST = 8
"""Nodes before a node that are asked why they did not run."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a node ran, or why it did not.

    Attributes:
        node: the node, with the way to it.
        ran: how often it was activated or called.
        lines: the reasons.
    """

    node: str
    ran: int
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(self.lines)


@dataclass(frozen=True, slots=True)
class Telling:
    """What a run tells of itself.

    Attributes:
        graph: the name of its graph.
        facts: its facts.
        frames: its frames, by number; empty if the graph is not here.
        beginnings: where the record of a frame begins whose oldest facts were dropped.
    """

    graph: str
    facts: Sequence[Event]
    frames: Sequence[FrameInfo]
    beginnings: Mapping[int, Stretch | Snapshot]


def explain(run: Telling, name: str) -> Explanation:
    """Why a node ran, or why it did not.

    Args:
        run: what the run tells.
        name: the node: "draft", or "writers > draft" in a graph within.

    Raises:
        PlaceUnknown: the graph is not here, or has no such node.
    """
    if not run.frames:
        raise PlaceUnknown(
            f"nobody knows the graph of this run; load it with its graph: store.load(id, {run.graph})"
        )
    *prefix, node = name.split(" > ")
    lines: list[str] = []
    ran = 0
    known: list[str] = []
    # A graph within may have been entered several times: each of its walks is explained.
    for number in _frames_at(run.frames, prefix):
        story = _FrameStory(number, run)
        names = story.names
        known += names
        if node in names:
            ran += story.ran(node)
            lines += story.explained(node)
    if not lines:
        problem = _unknown(name, prefix, known, run.graph)
        raise PlaceUnknown(problem)
    # Messages stand in them, and messages may hold what is secret.
    shown = map(scrub, lines)
    return Explanation(name, ran, tuple(shown))


def _frames_at(frames: Sequence[FrameInfo], prefix: Sequence[str]) -> list[int]:
    """The frames of that path: the outermost, if none is said; else all whose path ends with it."""
    if not prefix:
        return [0]
    found: list[int] = []
    wanted = list(prefix)
    count = len(wanted)
    for number, frame in enumerate(frames):
        _, path, _ = frame
        tail = path[-count:]
        if list(tail) == wanted:
            found.append(number)
    return found


def _unknown(name: str, prefix: Sequence[str], known: Sequence[str], graph: str) -> str:
    if not known:
        way = " > ".join(prefix)
        return f"{way!r} was not entered in this run of {graph!r}; explain the node that enters it"
    _, _, node = name.rpartition(" > ")
    near = get_close_matches(node, known, n=3) or known
    names = dict.fromkeys(near)
    listed = ", ".join(map(repr, names))
    return f"no node {name!r} is in {graph!r}; there are {listed}"


class _FrameStory:
    """What has happened in one frame, with what each fact has caused.

    Args:
        number: the frame's.
        run: what the run tells.
    """

    def __init__(self, number: int, run: Telling) -> None:
        self._frame = run.frames[number]
        self.program: Program = self._frame[0]
        self._begun = run.beginnings.get(number)
        self._walk: Walk | None = None
        self._slots: dict[str, Slot] = {}
        for slot in self.program.slots:
            if slot.node is not None:
                self._slots[slot.name] = slot
        self._started: dict[int, NodeStarted] = {}
        self._sent: list[EdgeSent] = []
        self._skipped_edges: list[tuple[EdgeSkipped, Event]] = []
        """Edges that were not taken, with the fact by which."""
        self._skips: list[NodeSkipped] = []
        self._ends: dict[int, Event] = {}
        self._stopped_by: dict[int, Event] = {}
        """What has stopped each activation that was stopped."""
        self._calls: list[CallStarted] = []
        self._call_ends: dict[int, CallFinished | CallFailed] = {}
        self._questions: dict[str, QuestionAsked] = {}
        self._stop: Stopped | None = None
        self._asked: set[str] = set()
        """Nodes of which it was told already why they did not run."""
        for event in run.facts:
            if event.frame == number:
                self._take(event)

    @property
    def names(self) -> list[str]:
        """The nodes on its arrows, what they may call, and what was called."""
        names = list(self._slots)
        for call in self._calls:
            names.append(call.node)
        for callees in self.program.callees.values():
            for callee in callees:
                names.append(callee.name)
        once = dict.fromkeys(names)
        return list(once)

    # -- reading -----------------------------------------------------------------------------------
    def _take(self, event: Event) -> None:
        if isinstance(event, (RunStarted, FrameEntered)):
            self._walk = beginning_walk(event, self._frame, self._begun)
            self._note(self._walk, event)
        elif isinstance(event, _ENDS):
            self._ends[event.activation] = event
            assert self._walk is not None
            if self._stop is not None or counts(event, self._walk):
                self._apply(event)
        elif isinstance(event, Stopped):
            self._stop = event
            self._apply(event)
        else:
            self._take_asked(event)

    def _take_asked(self, event: Event) -> None:
        """Takes note of what nodes have asked others for."""
        if isinstance(event, CallStarted):
            self._calls.append(event)
        elif isinstance(event, (CallFinished, CallFailed)):
            self._call_ends[event.call] = event
        elif isinstance(event, QuestionAsked):
            self._questions[event.question] = event
        elif isinstance(event, QuestionAnswered):
            self._questions.pop(event.question, None)

    def _apply(self, event: Event) -> None:
        walk = self._walk
        assert walk is not None
        # What an answer has stopped is known here alone: no event tells of it.
        for command in walk.apply(event):
            if isinstance(command, Cancel):
                stopped = dict.fromkeys(command.ids, event)
                self._stopped_by |= stopped
        self._note(walk, event)

    def _note(self, walk: Walk, event: Event) -> None:
        """Takes note of what follows from a fact."""
        outbox = walk.outbox
        assert outbox is not None
        for follows in outbox:
            if isinstance(follows, NodeStarted):
                self._started[follows.activation] = follows
            elif isinstance(follows, EdgeSent):
                self._sent.append(follows)
            elif isinstance(follows, EdgeSkipped):
                self._skipped_edges.append((follows, event))
            elif isinstance(follows, NodeSkipped):
                self._skips.append(follows)
        outbox.clear()

    # -- telling -----------------------------------------------------------------------------------
    def ran(self, node: str) -> int:
        """How often a node was activated or called."""
        activations = list(self._activations(node))
        calls = self._calls_of(node)
        return len(activations) + len(calls)

    def _calls_of(self, node: str) -> list[CallStarted]:
        return [call for call in self._calls if call.node == node]

    def _activations(self, node: str) -> Iterator[NodeStarted]:
        for started in self._started.values():
            if started.node != node:
                continue
            # One that was refused before it began is not a step.
            end = self._ends.get(started.activation)
            if not isinstance(end, NodeRefused):
                yield started

    def explained(self, node: str) -> list[str]:
        """Why a node ran, or why it did not."""
        lines: list[str] = []
        for started in self._activations(node):
            line = self._activation_line(started)
            lines.append(line)
        for call in self._calls_of(node):
            line = self._call_line(call)
            lines.append(line)
        for skip in self._skips:
            if skip.node == node:
                where = self._where(skip)
                lines.append(f"{node!r} was skipped{where}: {skip.why}")
        if lines:
            return lines
        return self._why_not(node, 0)

    def _where(self, event: NodeStarted | NodeSkipped) -> str:
        if not event.scope:
            return ""
        scope = scope_text(event.scope, self.program)
        return f" ({scope})"

    def _activation_line(self, started: NodeStarted) -> str:
        where = self._where(started)
        subject = f"{started.node!r} ran as activation {started.activation}{where}"
        fed = self._fed(started)
        outcome = self._outcome(started)
        return f"{subject}: {fed}; {outcome}"

    def _fed(self, started: NodeStarted) -> str:
        """What it got, and from where."""
        parts: list[str] = []
        # By the very objects: equal messages of other laps are others.
        for sent in self._sent:
            if sent.target != started.node:
                continue
            if not _holds(started.input, sent.message):
                continue
            origin = "the start" if sent.source == "START" else sent.origin
            message = shortened(sent.message)
            parts.append(f"{message} from {origin}")
        different = dict.fromkeys(parts)
        got = ", ".join(different) or shortened(started.input)
        return f"it got {got}"

    def _outcome(self, started: NodeStarted) -> str:
        end = self._ends.get(started.activation)
        if isinstance(end, NodeFinished):
            return _answer_text(end)
        if isinstance(end, NodeFailed):
            error = _line(end.error)
            return f"it failed: {error}"
        if isinstance(end, NodeCancelled):
            why = self._stopping(started.activation)
            return f"it was stopped: {why}"
        for asked in self._questions.values():
            if asked.activation == started.activation:
                return f"it waits for an answer to {asked.question!r}"
        return "it has not answered yet"

    def _stopping(self, activation: int) -> str:
        """What has stopped an activation."""
        by = self._stopped_by.get(activation)
        if isinstance(by, NodeFailed):
            error = _line(by.error)
            return f"{by.node!r} failed, and its fork was cancelled with it ({error})"
        if isinstance(by, NodeFinished):
            return f"with the answer of {by.node!r} nobody wanted it any more"
        stop = by if isinstance(by, Stopped) else self._stop
        if stop is None:
            return "the run was stopped"
        error = _line(stop.error)
        return f"the walk was {stop.status} ({error})"

    def _call_line(self, call: CallStarted) -> str:
        end = self._call_ends.get(call.call)
        came = "it has not answered yet"
        if isinstance(end, CallFinished):
            answer = shortened(end.output)
            came = f"it answered {answer}"
        elif isinstance(end, CallFailed):
            error = _line(end.error)
            came = f"it failed: {error}"
        given = shortened(call.input)
        return f"{call.node!r} was called by {call.caller!r} with {given}; {came}"

    # -- why not -----------------------------------------------------------------------------------
    def _why_not(self, node: str, depth: int) -> list[str]:
        """Why a node did not run: the reasons of each edge that leads to it."""
        self._asked.add(node)
        reasons = self._refusals(node)
        if not reasons:
            slot = self._slots.get(node)
            if slot is None:
                reasons = self._why_not_called(node)
            else:
                reasons = self._edge_lines(slot, depth)
        return [f"{node!r} did not run", *reasons]

    def _refusals(self, node: str) -> list[str]:
        lines: list[str] = []
        for end in self._ends.values():
            if isinstance(end, NodeRefused) and end.node == node:
                why = self._stopping(end.activation)
                lines.append(f"it was refused before it began: {why}")
        return lines

    def _edge_lines(self, slot: Slot, depth: int) -> list[str]:
        """Why nothing came along each edge that leads to a node."""
        lines: list[str] = []
        for link in self.program.links:
            if link.target != slot.index:
                continue
            source = self.program.slots[link.source]
            line = self._edge_line(link.index, link.origin, source.name, depth)
            lines.append(line)
        once = dict.fromkeys(lines)  # several edges may have come to nothing for one reason
        return list(once)

    def _why_not_called(self, node: str) -> list[str]:
        lines: list[str] = []
        for caller, callees in self.program.callees.items():
            names = [callee.name for callee in callees]
            if node not in names:
                continue
            count = self.ran(caller)
            times = counted(count, "time")
            lines.append(f"{caller!r} may call it, and did not; {caller!r} itself ran {times}")
        return lines

    def _edge_line(self, edge: int, origin: str, source: str, depth: int) -> str:
        """Why nothing came along an edge."""
        for skipped, by in self._skipped_edges:
            if skipped.edge == edge:
                instead = self._instead(skipped, by)
                return f"{origin} was not taken: {instead}"
        for sent in self._sent:
            if sent.edge == edge:
                message = shortened(sent.message)
                return f"{origin} brought it {message}, and that was not enough to begin"
        nothing = f"nothing came from {origin}"
        acts = list(self._activations(source))
        if acts:
            last = acts[-1]
            outcome = self._outcome(last)
            return f"{nothing}: {source!r} ran, and {outcome}"
        # Loops lead back to where the question began.
        if depth >= DEEPEST or source in self._asked:
            return nothing
        if source not in self._slots:
            return nothing
        deeper = depth + 1
        _, *why = self._why_not(source, deeper)
        reason = "; ".join(why)
        return f"{nothing}, as {source!r} did not run: {reason}"

    def _instead(self, skipped: EdgeSkipped, by: Event) -> str:
        """What happened instead of an edge being taken."""
        if isinstance(by, NodeFailed):
            error = _line(by.error)
            return f"{by.node!r} failed ({error})"
        if not isinstance(by, NodeFinished):
            return "the message at the start went another way"
        taken: dict[str, None] = {}
        for sent in self._sent:
            # What one fact has caused has the time of that fact.
            if sent.source == skipped.source and sent.at == by.at:
                taken[sent.target] = None
        output = shortened(by.output)
        answered = f"{by.node!r} answered {output}"
        if not taken:
            return answered
        went = " and ".join(map(repr, taken))
        return f"{answered}, which went to {went}"


def _holds(given: object, message: object) -> bool:
    """Whether a node's input is a message, or has it in it."""
    if given is message:
        return True
    if isinstance(given, dict):
        values = given.values()
        return any(_holds(value, message) for value in values)
    if isinstance(given, (list, tuple)):
        return any(value is message for value in given)
    return False


def _answer_text(end: NodeFinished) -> str:
    answer = end.output
    if isinstance(answer, Handover):
        return f"it handed over to {answer.target!r}"
    shown = shortened(answer)
    written = _written(end.writes)
    return f"it answered {shown}{written}"


def _written(writes: StateWrites) -> str:
    """What a node has written to states; "" if it has written nothing."""
    parts: list[str] = []
    for write in writes:
        verb = "set" if write.kind == "set" else "added to"
        value = shortened(write.value)
        parts.append(f"{verb} {write.state.name}: {value}")
    if not parts:
        return ""
    listed = ", ".join(parts)
    return f"; it {listed}"


def _line(error: BaseException) -> str:
    kind = type(error).__name__
    text = error_text(error)
    return f"{kind}: {text}"
