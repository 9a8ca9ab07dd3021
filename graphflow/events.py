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

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, ClassVar, Literal

from graphflow.display import Displayed
from graphflow.event import Event as Event
from graphflow.event import QuestionKind as QuestionKind
from graphflow.event import Scope as Scope
from graphflow.event import Status as Status
from graphflow.messages.state import StateWrites
from graphflow.model_events import BudgetWarning as BudgetWarning
from graphflow.model_events import CompactionFinished as CompactionFinished
from graphflow.model_events import CompactionStarted as CompactionStarted
from graphflow.model_events import CostUnknown as CostUnknown
from graphflow.model_events import FirstToken as FirstToken
from graphflow.model_events import ModelDelta as ModelDelta
from graphflow.model_events import ModelFailed as ModelFailed
from graphflow.model_events import ModelFinished as ModelFinished
from graphflow.model_events import ModelPartial as ModelPartial
from graphflow.model_events import ModelRetried as ModelRetried
from graphflow.model_events import ModelStarted as ModelStarted
from graphflow.model_events import ModelSwitched as ModelSwitched


@dataclass(slots=True)
class RunStarted(Event):
    """The walk begins (fact; the first event)."""

    kind: ClassVar[str] = "run.start"
    graph: str
    input: Any
    writes: StateWrites = ()
    """What those states are that live as long as its conversation: the values that earlier runs have left."""


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
    began_at: float | None = None
    """When the sitting began, in seconds since 1970: `at` does not count the pause before it."""


@dataclass(slots=True)
class RunTraced(Event):
    """Spans are made of this sitting of a run that is kept (fact): whoever goes on with it links its own to them."""

    kind: ClassVar[str] = "run.trace"
    traceparent: str
    """The outermost span, as the W3C writes it."""
    run: str
    """The run that it is of: a fork has the facts of another one."""


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
    call: int | None = None
    """Which call enters it, as in its `call.start`; None where the node stands on an arrow."""

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
class MessageRejected(Event):
    """A guard rejected what a node was given or has answered (fact). The message itself is not told."""

    kind: ClassVar[str] = "guard.reject"
    activation: int
    node: str
    stage: Literal["before", "after"]
    guard: str
    why: str


@dataclass(slots=True)
class MessageChanged(Event):
    """A hook changed what a node was given, or has answered (fact)."""

    kind: ClassVar[str] = "hook.change"
    activation: int
    node: str
    stage: Literal["before", "after"]
    hook: str


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
class OutputRefused(Event):
    """An agent's answer did not fit its output type; unless all repairs are used up, its model is asked again (fact)."""

    kind: ClassVar[str] = "output.refused"
    activation: int
    node: str
    attempt: int
    """Which answer it was: 1, 2, ..."""
    why: str


@dataclass(slots=True)
class OutputRepaired(Event):
    """An answer fits after others had been refused (fact)."""

    kind: ClassVar[str] = "output.repaired"
    activation: int
    node: str
    attempts: int
    """How many answers it took."""


@dataclass(slots=True)
class ServerOpened(Event):
    """A server that lends its tools was opened, or opened again after it was lost (fact)."""

    kind: ClassVar[str] = "server.open"
    server: str
    tools: int
    """How many it offers."""
    again: bool = False


@dataclass(slots=True)
class ServerLost(Event):
    """A server does not answer any more; the next call opens it again (fact)."""

    kind: ClassVar[str] = "server.lost"
    server: str
    why: str


@dataclass(slots=True)
class ServerChanged(Event):
    """A server offers other tools than before (fact)."""

    kind: ClassVar[str] = "server.change"
    server: str
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


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
class HistoryMended(Event):
    """A history that a run was given had calls without results, or turns out of order (fact)."""

    kind: ClassVar[str] = "history.mended"
    problems: tuple[str, ...]


@dataclass(slots=True)
class TurnsAdded(Event):
    """An agent has added what it has said to a conversation that it shares, or to that of its run (fact)."""

    kind: ClassVar[str] = "turns.added"
    activation: int
    node: str
    place: str = ""
    """In the conversation of a run: the names of graphs, nodes and callers on the way to the agent, and its own."""


@dataclass(slots=True)
class BackgroundStarted(Event):
    """A call goes on while its caller does (fact)."""

    kind: ClassVar[str] = "background.start"
    activation: int
    node: str
    handle: str
    writes: StateWrites = ()
    """What the states are for it, if the run is kept: whoever takes it up after a crash begins with them."""


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
    writes: StateWrites = ()


@dataclass(slots=True)
class ArtifactKept(Event):
    """A node kept an artifact (fact)."""

    kind: ClassVar[str] = "artifact"
    activation: int
    node: str
    artifact: Any


@dataclass(slots=True)
class LimitWarning(Event):
    """80 % of a limit are used (fact)."""

    kind: ClassVar[str] = "limit.warning"
    limit: str
    used: float
    value: float


@dataclass(slots=True)
class SecretMasked(Event):
    """Secrets were masked where text came into the walk, or was about to leave it (fact). None of their values is told."""

    kind: ClassVar[str] = "secret.masked"
    activation: int
    node: str
    where: str
    """What held them: "input", "output", "reply", "request", "error", "emitted"..."""
    names: tuple[str, ...]
    """What they are called, one for each place."""
    places: tuple[str, ...]
    """Where each began: the way into the message, and the character of the text as it came: `items.2.text:17`."""


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


def to_record(event: Event, bound: Callable[[object], object] | None = None) -> dict[str, Any]:
    """An event as plain JSON data, `kind` first, without what is secret in any field.

    A run's `records()` tell whose it is, its number and the time, too.

    Args:
        event: the event.
        bound: cuts what a field holds, as JSON, before it is looked through; None: all of it is wanted.
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
        plain = to_json_value(value)
        if bound is not None:
            plain = bound(plain)
        record[name] = outgoing.plain(plain, named=name in NAMES)
    return record


_NAMES = (
    "answered_by budget caller channel choice finish graph handle key limit model node path place"
)
NAMES = frozenset(_NAMES.split()) | {"port", "source", "state", "status", "target", "way"}
"""Fields that say what something is called: a word there stays one, though it may be somebody's password."""


@cache
def event_classes() -> dict[str, type[Event]]:
    """The classes of events by their kinds, in the order in which they are declared."""
    return {kind.kind: kind for kind in Event.__subclasses__()}


_slots: dict[type[Event], tuple[str, ...]] = {}


def all_slots(kind: type[Event]) -> tuple[str, ...]:
    """The fields of an event class, inherited ones first."""
    if kind not in _slots:
        _slots[kind] = tuple(field.name for field in fields(kind))
    return _slots[kind]
