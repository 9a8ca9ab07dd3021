"""Events: what happened in a walk, one typed record each.

Rules:
1. A *fact* came from outside the walk: a node answered, a model spoke, somebody cancelled. Facts alone make the journal;
   pushed through a fresh walk they reproduce its state.
2. Everything else (a node started, a message went along an edge, a join was skipped) follows from the facts and is told
   only when somebody looks.
3. Events are never changed after they were made. They hold messages, not copies of them.

`at` is in seconds since the run began; `frame` is the number of the frame within the run (0 = outermost).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal

from graphflow.display import Displayed
from graphflow.messages.state import StateWrites
from graphflow.model.sources import Source

Scope = tuple[tuple[int, Any], ...]
"""The path of forks and laps that led to a token: `((fork or loop, index), ...)`, outermost first. It orders tokens, too."""

Status = Literal["running", "completed", "failed", "cancelled", "limited", "waiting"]
QuestionKind = Literal["human", "approval", "elicitation", "time", "message"]
"""Whom a question is for: a person who fills in an answer or agrees to a call, a person behind a server's question, the
clock, another program."""


@dataclass(slots=True)
class Event:
    """What every event has."""

    kind: ClassVar[str] = "event"
    passing: ClassVar[bool] = False
    """Whether it is a piece of what is still being said: told to whoever listens, and not kept (`graphflow.journal.live`)."""
    follows: ClassVar[bool] = False
    """Whether it follows from the facts, so that no store has to keep it."""
    at: float
    frame: int


@dataclass(slots=True)
class RunStarted(Event):
    """The walk begins (fact; the first event)."""

    kind: ClassVar[str] = "run.start"
    graph: str
    input: Any


@dataclass(slots=True)
class Resumed(Event):
    """The walk goes on after its process, or its patience, had ended (fact).

    What was under way is begun again: its code gets the answers that were kept, and asks for the rest.
    """

    kind: ClassVar[str] = "run.resume"
    sitting: int
    """Which sitting of the run this is: 2, 3, ..."""
    unknown: tuple[str, ...] = ()
    """Places of calls that may have been carried out before: nobody has seen their answer. They are made again under the
    same keys."""


@dataclass(slots=True)
class RunEnded(Event):
    """The walk ended (the one terminal event)."""

    kind: ClassVar[str] = "run.end"
    status: Status
    output: Any = None
    error: str = ""


@dataclass(slots=True)
class Stopped(Event):
    """A walk was told to stop: a limit, a deadline, a cancellation (fact)."""

    kind: ClassVar[str] = "run.stop"
    status: Status
    error: BaseException


@dataclass(slots=True)
class FrameEntered(Event):
    """A sub-agent or graph was entered; `frame` is the new frame (fact)."""

    kind: ClassVar[str] = "frame.enter"
    parent: int
    activation: int
    path: tuple[str, ...]
    input: Any

    @property
    def depth(self) -> int:
        """Levels below the outermost walk."""
        return len(self.path) - 1


@dataclass(slots=True)
class FrameExited(Event):
    """A sub-agent or graph was left (fact)."""

    kind: ClassVar[str] = "frame.exit"
    status: Status
    output: Any = None
    error: str = ""


@dataclass(slots=True)
class NodeStarted(Event):
    """A node was activated (follows)."""

    kind: ClassVar[str] = "node.start"
    follows: ClassVar[bool] = True
    activation: int
    node: str
    scope: Scope
    input: Any


@dataclass(slots=True)
class NodeFinished(Event):
    """A node answered (fact)."""

    kind: ClassVar[str] = "node.end"
    activation: int
    node: str
    output: Any
    started: float
    writes: StateWrites = ()


@dataclass(slots=True)
class NodeFailed(Event):
    """A node raised, its retries used up (fact)."""

    kind: ClassVar[str] = "node.error"
    activation: int
    node: str
    error: BaseException
    started: float


@dataclass(slots=True)
class NodeCancelled(Event):
    """An activation was stopped by the walk and has ended (fact)."""

    kind: ClassVar[str] = "node.cancel"
    activation: int
    node: str
    started: float


@dataclass(slots=True)
class NodeRefused(Event):
    """An activation was stopped before it began: a limit refused it, or its fork was cancelled first (fact).

    It is not a step: no `node.start` tells of it.
    """

    kind: ClassVar[str] = "node.refuse"
    activation: int
    node: str


@dataclass(slots=True)
class NodeRetried(Event):
    """A node raised and is tried again (fact)."""

    kind: ClassVar[str] = "node.retry"
    activation: int
    node: str
    attempt: int
    """The number of the attempt to come: 2, 3, ..."""
    error: str
    wait_s: float
    call: int | None = None
    """Which call, as in its `call.start`; None where the node stands on an arrow."""


@dataclass(slots=True)
class NodeAbandoned(Event):
    """A blocking function would not stop; its thread was left behind (fact)."""

    kind: ClassVar[str] = "node.abandoned"
    activation: int
    node: str


@dataclass(slots=True)
class StateWritten(Event):
    """A node has written a state (follows from its answer)."""

    kind: ClassVar[str] = "state.write"
    follows: ClassVar[bool] = True
    activation: int
    node: str
    state: str
    way: Literal["set", "add"]
    """Whether the value was replaced, or this was merged into it."""
    value: Any


@dataclass(slots=True)
class StateMerged(Event):
    """A join has merged what its branches have written to a state (follows)."""

    kind: ClassVar[str] = "state.merge"
    follows: ClassVar[bool] = True
    node: str
    scope: Scope
    state: str
    writes: int
    """How many writes there were."""


@dataclass(slots=True)
class NodeSkipped(Event):
    """A join was not activated (follows).

    One of its ports can never get a message in that scope, or messages waited at it, and nobody wants it any more: its fork
    was cancelled, a branch of it failed, or what it leads to has enough.
    """

    kind: ClassVar[str] = "node.skip"
    follows: ClassVar[bool] = True
    node: str
    scope: Scope
    port: str
    """The port that stays empty; "" where nobody wants the join."""
    why: str


@dataclass(slots=True)
class EdgeSent(Event):
    """A message went along an edge (follows)."""

    kind: ClassVar[str] = "edge.send"
    follows: ClassVar[bool] = True
    source: str
    target: str
    port: str
    scope: Scope
    message: Any
    edge: int = -1
    """Which edge: its place among those of its graph."""
    origin: str = ""
    """What it leaves, as it is written: `critic[Rejected]`. Places change when lines are moved; this does not."""


@dataclass(slots=True)
class EdgeSkipped(Event):
    """A tombstone went along an edge: its arm was not taken (follows)."""

    kind: ClassVar[str] = "edge.skip"
    follows: ClassVar[bool] = True
    source: str
    target: str
    scope: Scope
    edge: int = -1
    """Which edge: its place among those of its graph."""
    origin: str = ""
    """What it leaves, as it is written, and"""
    port: str = ""
    """the port that it leads to."""


@dataclass(slots=True)
class RouteDecided(Event):
    """A router chose, and this is why (fact)."""

    kind: ClassVar[str] = "route.decided"
    activation: int
    node: str
    choice: str
    reason: str
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class CallStarted(Event):
    """A node called another along a call edge (fact)."""

    kind: ClassVar[str] = "call.start"
    activation: int
    call: int
    caller: str
    node: str
    input: Any


@dataclass(slots=True)
class CallFinished(Event):
    """A called node answered (fact)."""

    kind: ClassVar[str] = "call.end"
    activation: int
    call: int
    node: str
    output: Any
    started: float
    writes: StateWrites = ()


@dataclass(slots=True)
class CallFailed(Event):
    """A call was refused or raised (fact)."""

    kind: ClassVar[str] = "call.error"
    activation: int
    call: int
    node: str
    error: BaseException
    started: float


@dataclass(slots=True)
class ToolPartial(Event):
    """A piece of what a tool is still answering (told only to a live listener; not a fact)."""

    kind: ClassVar[str] = "tool.partial"
    passing: ClassVar[bool] = True
    activation: int
    node: str
    piece: Any


@dataclass(slots=True)
class AnswerCached(Event):
    """A node has answered, and its answer is kept with the run for those who ask the same (fact)."""

    kind: ClassVar[str] = "cache.keep"
    activation: int
    node: str
    question: Mapping[str, Any]
    """What each port got, as a record holds it."""
    answer: Any


@dataclass(slots=True)
class CacheHit(Event):
    """A node was not asked: it has answered the same before, and says that its answers may be kept (fact)."""

    kind: ClassVar[str] = "cache.hit"
    activation: int
    node: str


@dataclass(slots=True)
class ApprovalAsked(Event):
    """A call that needs approval waits for it; `key` names the call. `approval` with the same key tells how it ended (fact)."""

    kind: ClassVar[str] = "approval.ask"
    activation: int
    node: str
    key: str


@dataclass(slots=True)
class AnswerKept(Event):
    """A node was not asked again: an earlier attempt of who asks it has the answer; `key` names the call (fact)."""

    kind: ClassVar[str] = "answer.kept"
    activation: int
    node: str
    key: str


@dataclass(slots=True)
class Approved(Event):
    """A call that needs approval got it, or did not; `key` names the call (fact)."""

    kind: ClassVar[str] = "approval"
    activation: int
    node: str
    key: str
    granted: bool
    why: str = ""


@dataclass(slots=True)
class QuestionAsked(Event):
    """A branch waits for an answer from outside: of a person, of time, of another program (fact)."""

    kind: ClassVar[str] = "question.asked"
    activation: int
    node: str
    question: str
    """Its name within the run, by which it is answered."""
    about: QuestionKind
    message: Any
    schema: Mapping[str, Any] = field(default_factory=dict)
    """The JSON schema of an answer."""
    due: float | None = None
    """When it answers itself: seconds since 1970."""


@dataclass(slots=True)
class QuestionAnswered(Event):
    """A question has got its answer (fact)."""

    kind: ClassVar[str] = "question.answered"
    activation: int
    node: str
    question: str
    value: Any
    by: str = ""
    """Who answered, where that is known."""
    entry: str = ""
    """Under which name a store held the answer, if it did."""


@dataclass(slots=True)
class AnswerRefused(Event):
    """An answer did not fit its question, which stays open (fact)."""

    kind: ClassVar[str] = "answer.refused"
    activation: int
    node: str
    question: str
    why: str
    by: str = ""
    entry: str = ""


@dataclass(slots=True)
class ValueKept(Event):
    """What the code of a node got from `ctx.now()` or `ctx.once(...)`, so that it gets the same after a crash (fact)."""

    kind: ClassVar[str] = "value.kept"
    activation: int
    node: str
    name: str
    value: Any


@dataclass(slots=True)
class HandedOver(Event):
    """An agent handed the walk over to another (fact)."""

    kind: ClassVar[str] = "handoff"
    activation: int
    node: str
    target: str


@dataclass(slots=True)
class TurnsAdded(Event):
    """An agent has added what it has said to a conversation that it shares (fact)."""

    kind: ClassVar[str] = "turns.added"
    activation: int
    node: str


@dataclass(slots=True)
class BackgroundStarted(Event):
    """A call goes on while its caller does (fact)."""

    kind: ClassVar[str] = "background.start"
    activation: int
    node: str
    handle: str


@dataclass(slots=True)
class BackgroundFinished(Event):
    """A background call has ended: completed, failed, limited or cancelled (fact)."""

    kind: ClassVar[str] = "background.end"
    activation: int
    node: str
    handle: str
    status: Status
    output: Any
    error: BaseException | None
    started: float


@dataclass(slots=True)
class ArtifactKept(Event):
    """A node kept an artifact (fact)."""

    kind: ClassVar[str] = "artifact"
    activation: int
    node: str
    artifact: Any


@dataclass(slots=True)
class ModelStarted(Event):
    """A model was asked (fact). `question` is the same in all events of one question; no other of the run has it."""

    kind: ClassVar[str] = "model.start"
    activation: int
    node: str
    model: str
    question: int = 0


@dataclass(slots=True)
class ModelDelta(Event):
    """A piece of a model's answer (told only to a live listener; not a fact)."""

    kind: ClassVar[str] = "model.delta"
    passing: ClassVar[bool] = True
    activation: int
    node: str
    channel: Literal["text", "thinking", "arguments", "restart"]
    """ "restart": what was told of this answer so far is void, it begins again."""
    text: str
    question: int = 0


@dataclass(slots=True)
class ModelPartial(Event):
    """An object that a model is still writing, as far as it can be read (told only to a live listener; not a fact)."""

    kind: ClassVar[str] = "model.partial"
    passing: ClassVar[bool] = True
    activation: int
    node: str
    value: Any
    question: int = 0


@dataclass(slots=True)
class ModelRetried(Event):
    """A model failed before it said anything, and is asked again after a while (fact)."""

    kind: ClassVar[str] = "model.retry"
    activation: int
    node: str
    attempt: int
    wait_s: float
    error: str


@dataclass(slots=True)
class ModelSwitched(Event):
    """Another model, or another key of the same one, took over (fact)."""

    kind: ClassVar[str] = "model.switch"
    activation: int
    node: str
    source: str
    target: str
    error: str


@dataclass(slots=True)
class ModelFinished(Event):
    """A model answered (fact)."""

    kind: ClassVar[str] = "model.end"
    activation: int
    node: str
    model: str
    text: str
    calls: int
    input_tokens: int
    output_tokens: int
    usd: float | None
    finish: str
    started: float
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    answered_by: str = ""
    """The model that really answered, by the provider's own name for it, where it says one."""
    thinking: str = ""
    question: int = 0
    sources: tuple[Source, ...] = ()
    """What it says that its answer rests on."""


@dataclass(slots=True)
class ModelFailed(Event):
    """A model did not answer (fact)."""

    kind: ClassVar[str] = "model.error"
    activation: int
    node: str
    model: str
    error: BaseException
    started: float
    question: int = 0
    spent: bool = False
    """Whether something was spent all the same: a `model.end` of the same question tells what."""


@dataclass(slots=True)
class LimitWarning(Event):
    """80 % of a limit are used (fact)."""

    kind: ClassVar[str] = "limit.warning"
    limit: str
    used: float
    value: float


@dataclass(slots=True)
class CostUnknown(Event):
    """A model has answered, nobody knows what that cost, and a limit in dollars counts it as nothing (fact).

    Told once of each model of a run.
    """

    kind: ClassVar[str] = "cost.unknown"
    activation: int
    node: str
    model: str


@dataclass(slots=True)
class Emitted(Event):
    """What a node said through `ctx.emit(name, value)` (fact)."""

    kind: ClassVar[str] = "emit"
    activation: int
    node: str
    name: str
    value: Any


class Events(Displayed, list[Event]):
    """A list of events that a notebook shows as a table."""

    __slots__ = ()


def to_record(event: Event) -> dict[str, Any]:
    """An event as plain JSON data, `kind` first, without what is secret in any field.

    A run's `records()` tell whose it is, its number and the time, too.
    """
    from graphflow.messages.message import error_text, to_json_value
    from graphflow.redaction import current

    outgoing = current()
    record: dict[str, Any] = {"kind": event.kind}
    for name in all_slots(type(event)):
        value = getattr(event, name)
        if isinstance(value, BaseException):
            value = {"type": type(value).__name__, "text": error_text(value)}
        elif name == "writes":
            if not value:
                continue
            value = [(write.state.name, write.kind, write.value) for write in value]
        record[name] = outgoing.plain(to_json_value(value), named=name in NAMES)
    return record


NAMES = frozenset(
    (
        "caller",
        "channel",
        "choice",
        "finish",
        "graph",
        "handle",
        "key",
        "limit",
        "model",
        "answered_by",
        "node",
        "path",
    )
) | {"port", "source", "state", "status", "target", "way"}
"""Fields that say what something is called: a word there stays one, though it may be somebody's password."""


_slots: dict[type[Event], tuple[str, ...]] = {}


def all_slots(kind: type[Event]) -> tuple[str, ...]:
    """The fields of an event class, inherited ones first."""
    if kind not in _slots:
        _slots[kind] = tuple(field.name for field in fields(kind))
    return _slots[kind]
