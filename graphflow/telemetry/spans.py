"""Spans: what a run tells as times with a beginning and an end, one within another as its frames are.

    invoke_workflow desk                            the run: one sitting of it
      invoke_agent boss                             an activation
        chat openai:gpt-5-mini                      a question to a model
        execute_tool researcher                     a call along a call edge
          invoke_agent researcher                   the frame that it has entered
            chat openai:gpt-5-mini
            execute_tool look

Rules:
1. A span's id follows from its place (`graphflow.trace_context`). So a child names its parent before that has ended, and the
   walk names a span in a header before anybody has made it.
2. A span is made when its end is told; with the run's end, what is still open ends, too, and is marked `graphflow.unfinished`.
3. An agent that is alone in a frame is that frame: one span, not two.

Names: https://github.com/open-telemetry/semantic-conventions-genai (status: development).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from graphflow.event import Event
from graphflow.events import (
    CallFailed,
    CallFinished,
    CallStarted,
    FrameEntered,
    FrameExited,
    ModelFailed,
    ModelFinished,
    ModelStarted,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeRefused,
    Resumed,
    RunEnded,
    RunTraced,
)
from graphflow.telemetry.run_event import RunEvent, RunSource
from graphflow.trace_context import RunTrace

Attribute = str | int | float | bool | list[str]
Attributes = dict[str, Attribute]
SpanKind = Literal["run", "frame", "node", "call", "model"]
SpanEnd = Literal["completed", "failed", "cancelled", "limited", "waiting"]
MARKS_A_SPAN = 100
"""Events within a span at most."""
_OPERATIONS = {"agent": "invoke_agent", "tool": "execute_tool", "graph": "invoke_workflow"}
_MARKS = """
    node.retry node.abandoned model.retry model.switch limit.warning cost.unknown route.decided guard.reject run.stop hook.change
    output.refused output.repaired question.asked question.answered approval.ask approval handoff cache.hit compaction.end
    server.open server.lost server.change secret.masked
"""
_MARKED = frozenset(_MARKS.split())
"""Kinds that are told within the span of their activation, or of their frame."""
SPANNED = (
    *("run.start", "run.resume", "run.trace", "run.end", "frame.enter", "frame.exit"),
    *("node.end", "node.error", "node.cancel", "node.refuse"),
    *("call.start", "call.end", "call.error", "model.start", "model.end", "model.error"),
    *sorted(_MARKED),
)
"""The kinds that spans are made of; all are facts."""


@dataclass(slots=True)
class SpanMark:
    """Something that happened within a span, at one moment."""

    seconds: float
    name: str
    attributes: Attributes


@dataclass(slots=True)
class SpanRecord:
    """A span as far as it is known.

    Attributes:
        kind: what it is a span of.
        name: as the conventions have it.
        id: its own, 16 hexadecimal digits.
        parent: the id of the one around it; "" where there is none.
        started: seconds since 1970.
        ended: seconds since 1970; 0 while it is open.
        attributes: what is known of it.
        marks: what happened within.
        outcome: how it ended.
        error: what it failed with.
    """

    kind: SpanKind
    name: str
    id: str
    parent: str
    started: float
    ended: float = 0.0
    attributes: Attributes = field(default_factory=dict)
    marks: list[SpanMark] = field(default_factory=list)
    outcome: SpanEnd = "completed"
    error: BaseException | None = None


Emit = Callable[["RunSpans", SpanRecord], None]
Describe = Callable[[Event, Attributes], None]
"""Adds what an event holds of messages, where that is wanted."""


class RunSpans:
    """The spans of one sitting of a run.

    Args:
        source: the run.
        emit: gets each span once it has ended.
        describe: adds messages to attributes; None: none are shown.
    """

    def __init__(self, source: RunSource, emit: Emit, describe: Describe | None) -> None:
        self.source = source
        self.trace = source.trace or RunTrace(None, is_recorded=True)
        self.links: list[RunTraced] = []
        """The sittings before it that it goes on from."""
        self._emit = emit
        self._describe = describe
        self._time = source.clock.seconds_now
        self._latest = 0.0
        """When the newest event happened that belongs to an activation."""
        self._frames: dict[int, SpanRecord] = {}
        self._calls: dict[int, tuple[CallStarted, SpanRecord]] = {}
        self._questions: dict[int, SpanRecord] = {}
        self._answered: SpanRecord | None = None
        """A question that was answered; what comes next may be that it has failed all the same."""
        self._marks: dict[str, list[SpanMark]] = {}
        """What happened within spans that are not made yet, by their ids."""
        self._touched: dict[tuple[int, int], SpanRecord] = {}
        """Activations of which something is known before they end, as far as that goes."""

    def take(self, record: RunEvent) -> bool:
        """Takes an event; whether it was the run's last one."""
        event = record.event
        answered = self._answered
        # What was answered may have failed all the same: then that is told next.
        if answered is not None and not (isinstance(event, ModelFailed) and event.spent):
            self._answered = None
            self._emit(self, answered)
        if event.frame not in self._frames and not isinstance(event, FrameEntered):
            self._open_frame(event.frame, event.at)
        way = _WAYS.get(type(event))
        if way is not None:
            way(self, event)
        elif event.kind in _MARKED:
            self._mark(event)
        else:
            self._describe_into(event, self._frames[0].attributes)
        return isinstance(event, RunEnded)

    # -- frames ------------------------------------------------------------------------------------
    def _enter_frame(self, event: FrameEntered) -> None:
        span = self._open_frame(event.frame, event.at)
        self._describe_into(event, span.attributes)

    def _open_frame(self, frame: int, at: float) -> SpanRecord:
        """The span of a frame: of one that was entered in an earlier sitting, from when it is first heard of."""
        path = self.source.path_of(frame)
        if frame == 0:
            span = self._root(at)
        else:
            entered = self.source.entered.get(frame)
            name = path[-1] if path else "?"
            kind = self.source.kinds.get(name, "graph")
            parent = "" if entered is None else self._around(entered)
            id = self._id("frame", frame, 0)
            span = self._span("frame", kind, name, id, parent, at)
            span.attributes["graphflow.frame.depth"] = len(path) - 1
            span.attributes["graphflow.frame.path"] = " > ".join(path)
        self._frames[frame] = span
        return span

    def _root(self, at: float) -> SpanRecord:
        root, parent = self.trace.root, self.trace.parent
        above = "" if parent is None else parent.span_id
        span = self._span("run", "graph", self.source.graph, root.span_id, above, at)
        span.attributes["graphflow.run.id"] = self.source.run
        return span

    def _around(self, entered: FrameEntered) -> str:
        """The span that a frame was entered from."""
        call = entered.call
        if call is not None and call in self._calls:
            return self._calls[call][1].id
        return self._owner(entered.parent, entered.activation, entered.path[-1])

    def _exit_frame(self, event: FrameExited) -> None:
        span = self._frames.pop(event.frame)
        if event.status != "running":
            span.outcome = event.status
        self._describe_into(event, span.attributes)
        if event.error:
            span.attributes["graphflow.error"] = event.error
        self._close(span, event.at)

    def _resume(self, event: Resumed) -> None:
        self._frames[0].attributes["graphflow.run.sitting"] = event.sitting
        self.links = self.source.traces_before[-1:]

    # -- activations -------------------------------------------------------------------------------
    def _is_alone(self, frame: int, node: str) -> bool:
        """Whether an activation is that of an agent which has a frame for itself."""
        if frame == 0:
            return False
        path = self.source.path_of(frame)
        return bool(path) and path[-1] == node

    def _refuse_node(self, event: NodeRefused) -> None:
        self._touched.pop((event.frame, event.activation), None)

    def _end_node(self, event: NodeFinished | NodeFailed | NodeCancelled) -> None:
        self._touched.pop((event.frame, event.activation), None)
        if self._is_alone(event.frame, event.node):
            frame = self._frames[event.frame]
            frame.error = getattr(event, "error", None)
            return
        span = self._node_span(event.frame, event.activation, event.node, event.started)
        self._finish(span, event)

    def _node_span(self, frame: int, activation: int, node: str, at: float) -> SpanRecord:
        kind = self.source.kinds.get(node, "step")
        parent = self._frames[frame].id
        id = self._id("node", frame, activation)
        span = self._span("node", kind, node, id, parent, at)
        if kind == "graph":  # the frame that it enters is the workflow
            span.name = node
        span.attributes["graphflow.activation"] = activation
        return span

    def _owner(self, frame: int, activation: int, node: str) -> str:
        """The span that something belongs to which happens in an activation, or in a call that it makes."""
        wanted = (frame, activation, node)
        for begun, span in reversed(tuple(self._calls.values())):
            made_in = (begun.frame, begun.activation, begun.node)
            if made_in == wanted:
                return span.id
        return self._id_of_activation(frame, activation, node)

    def _id_of_activation(self, frame: int, activation: int, node: str) -> str:
        around = self._frames.get(frame)
        if around is not None and frame > 0 and self._alone_in(frame):
            return around.id
        key = (frame, activation)
        if key not in self._touched and around is not None:
            # Its name is known when it ends; until then, that of what is heard of in it.
            self._touched[key] = self._node_span(frame, activation, node, self._latest)
        return self._id("node", frame, activation)

    def _alone_in(self, frame: int) -> bool:
        """Whether a frame is that of one agent, and not of a graph."""
        path = self.source.path_of(frame)
        return self.source.kinds.get(path[-1], "graph") != "graph"

    # -- calls -------------------------------------------------------------------------------------
    def _begin_call(self, event: CallStarted) -> None:
        self._latest = event.at
        parent = self._owner(event.frame, event.activation, event.caller)
        id = self._id("call", 0, event.call)
        span = self._span("call", "tool", event.node, id, parent, event.at)
        span.attributes["gen_ai.tool.name"] = event.node
        span.attributes["gen_ai.tool.type"] = "function"
        self._describe_into(event, span.attributes)
        self._calls[event.call] = (event, span)

    def _end_call(self, event: CallFinished | CallFailed) -> None:
        known = self._calls.pop(event.call, None)
        if known is None:  # begun in an earlier sitting
            return
        self._finish(known[1], event)

    # -- questions to models -----------------------------------------------------------------------
    def _begin_question(self, event: ModelStarted) -> None:
        self._latest = event.at
        parent = self._owner(event.frame, event.activation, event.node)
        id = self._id("model", 0, event.question)
        began = self._time(event.at)
        span = SpanRecord("model", f"chat {event.model}", id, parent, began)
        provider, _, model = event.model.partition(":")
        span.attributes |= {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": model or event.model,
            "graphflow.node": event.node,
        }
        self._questions[event.question] = span

    def _answer(self, event: ModelFinished) -> None:
        span = self._questions.pop(event.question, None)
        if span is None:
            return
        attributes = span.attributes
        attributes["gen_ai.usage.input_tokens"] = event.input_tokens
        attributes["gen_ai.usage.output_tokens"] = event.output_tokens
        attributes["gen_ai.response.finish_reasons"] = [event.finish]
        beside: list[tuple[str, Attribute | None]] = [
            ("gen_ai.usage.cache_read.input_tokens", event.cache_read_tokens),
            ("gen_ai.usage.cache_creation.input_tokens", event.cache_write_tokens),
            ("gen_ai.usage.reasoning.output_tokens", event.reasoning_tokens),
            ("gen_ai.response.model", event.answered_by or None),
            ("graphflow.cost.usd", event.usd),
        ]
        if event.first_at is not None:
            seconds = event.first_at - event.started
            beside.append(("gen_ai.response.time_to_first_chunk", seconds))
        for name, value in beside:
            if value is not None:
                attributes[name] = value
        self._describe_into(event, attributes)
        self._close(span, event.at, is_held=True)
        self._answered = span

    def _fail_question(self, event: ModelFailed) -> None:
        span = self._questions.pop(event.question, None)
        if event.spent:
            span, self._answered = self._answered, None
        if span is None:
            return
        span.outcome, span.error = "failed", event.error
        self._close(span, event.at)

    # -- what happens within -----------------------------------------------------------------------
    def _mark(self, event: Event) -> None:
        activation = getattr(event, "activation", None)
        self._latest = event.at
        if activation is None:
            id = self._frames[event.frame].id
        else:
            node: str = getattr(event, "node", "")
            id = self._owner(event.frame, activation, node)
        marks = self._marks.setdefault(id, [])
        if len(marks) >= MARKS_A_SPAN:
            return
        at = self._time(event.at)
        fields = _short_fields(event)
        mark = SpanMark(at, event.kind, fields)
        marks.append(mark)

    # -- all spans ---------------------------------------------------------------------------------
    def _id(self, kind: SpanKind, frame: int, number: int) -> str:
        return self.trace.span_id(kind, frame, number)

    def _span(
        self, kind: SpanKind, node_kind: str, name: str, id: str, parent: str, at: float
    ) -> SpanRecord:
        operation = _OPERATIONS.get(node_kind)
        attributes: Attributes = {}
        attributes["graphflow.node.kind"] = node_kind
        attributes["graphflow.node"] = name
        shown = name
        if operation is not None:
            shown = f"{operation} {name}"
            attributes["gen_ai.operation.name"] = operation
        if node_kind == "agent":
            attributes["gen_ai.agent.name"] = name
        elif node_kind == "graph":
            attributes["gen_ai.workflow.name"] = name
        began = self._time(at)
        return SpanRecord(kind, shown, id, parent, began, attributes=attributes)

    def _finish(
        self,
        span: SpanRecord,
        event: NodeFinished | NodeFailed | NodeCancelled | CallFinished | CallFailed,
    ) -> None:
        if isinstance(event, (NodeFailed, CallFailed)):
            span.outcome, span.error = "failed", event.error
        elif isinstance(event, NodeCancelled):
            span.outcome = "cancelled"
        self._describe_into(event, span.attributes)
        self._close(span, event.at)

    def _close(self, span: SpanRecord, at: float, *, is_held: bool = False) -> None:
        span.ended = self._time(at)
        span.marks += self._marks.pop(span.id, [])
        if not is_held:
            self._emit(self, span)

    def _describe_into(self, event: Event, attributes: Attributes) -> None:
        if self._describe is not None:
            self._describe(event, attributes)

    def _end(self, event: RunEnded) -> None:
        """Ends what is open, the innermost first, and the run."""
        for span in self._left():
            span.attributes["graphflow.unfinished"] = True
            span.outcome = "cancelled"
            self._close(span, event.at)
        root = self._frames.pop(0)
        if event.status != "running":
            root.outcome = event.status
        root.attributes["graphflow.run.status"] = event.status
        if event.error:
            root.attributes["graphflow.error"] = event.error
        self._describe_into(event, root.attributes)
        self._close(root, event.at)

    def _left(self) -> Iterator[SpanRecord]:
        yield from self._questions.values()
        for _, span in reversed(tuple(self._calls.values())):
            yield span
        yield from self._touched.values()
        for frame in sorted(self._frames, reverse=True):
            if frame > 0:
                yield self._frames[frame]


_HIDDEN = frozenset({"at", "frame", "activation", "message", "value", "input", "output", "schema"})


def _short_fields(event: Event) -> Attributes:
    """What an event holds beside messages: names, numbers, reasons."""
    fields: Attributes = {}
    for name in type(event).__dataclass_fields__:
        value = getattr(event, name)
        if name in _HIDDEN or value is None or value == "":
            continue
        if isinstance(value, BaseException):
            value = f"{type(value).__name__}: {value}"
        if isinstance(value, (str, int, float)):
            fields[f"graphflow.{name}"] = value
    return fields


_WAYS: dict[type[Event], Callable[[RunSpans, Any], None]] = {
    NodeFinished: RunSpans._end_node,
    NodeFailed: RunSpans._end_node,
    NodeCancelled: RunSpans._end_node,
    NodeRefused: RunSpans._refuse_node,
    CallStarted: RunSpans._begin_call,
    CallFinished: RunSpans._end_call,
    CallFailed: RunSpans._end_call,
    ModelStarted: RunSpans._begin_question,
    ModelFinished: RunSpans._answer,
    ModelFailed: RunSpans._fail_question,
    FrameEntered: RunSpans._enter_frame,
    FrameExited: RunSpans._exit_frame,
    Resumed: RunSpans._resume,
    RunEnded: RunSpans._end,
}
"""What each class of events means for spans. Any: each way takes the class that it stands behind."""
