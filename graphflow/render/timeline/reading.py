"""Reads a run's events as spans, in one pass.

Rules:
1. Events come from a run, from a list of events, or from the lines of `--events`: all give the same spans.
2. An activation is *caused* by the activation whose message or tombstone came last along an edge to its node before it
   began: the one that completed its ports. Where a record has no edges, it is what ended last in the same frame.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from graphflow.redaction import scrub
from graphflow.render.records import AnyEvent, EventSource, read_events
from graphflow.render.timeline.critical import Answers, critical_path
from graphflow.render.timeline.spans import FramePath, How, Interval, Span, Story, What
from graphflow.render.xml import clean, error_words, was_cancelled

ActivationKey = tuple[int, int]
"""The number of a frame, and that of an activation in it."""
FrameNodeKey = tuple[int, str]
"""The number of a frame, and the name of a node in it."""
OpenSpans = dict[ActivationKey, list[Span]]
"""What each activation has begun and not ended yet."""
CallId = tuple[int, object]
"""The number of a frame, and that of a call in it, or the handle of work in the background."""
Taker = Callable[[AnyEvent], None]
NODE_ENDS: dict[str, How] = {"node.end": "done", "node.error": "failed", "node.cancel": "cancelled"}
BACKGROUND_ENDS: dict[str, How] = {"completed": "done", "cancelled": "cancelled"}
"""How work in the background ended, by its status; whatever else its status is, it failed."""


def read_story(source: EventSource) -> Story:
    """The spans of a run, with what caused them and the critical path.

    Raises:
        FileUnreadable: the source is a file that is not there, or that holds something else.
        DeclarationError: it holds something that is not an event.
    """
    reader = _SpanReader()
    story = reader.story
    for event in read_events(source):
        take = reader.takers.get(event.kind)
        if take is not None:
            take(event)
        if event.at > story.seconds:
            story.seconds = event.at
    return reader.finish()


class _SpanReader:
    """The spans while their events are read.

    Attributes:
        paths: the names of the frames around each frame, by its number.
        owners: the activation or call that entered a frame, by the frame's number.
        entered: when each frame was entered.
        activations: those that have not ended.
        calls: calls that have not ended, by frame and number; work in the background by frame and handle.
        open_calls: calls that have not ended, by the activation that made them.
        requests: model requests that have not ended, by the activation that made them.
        last: what ended last in each frame.
        finished: the last activation of each node that has ended.
        causes: which activation's message came last to each node.
        answers: which activation sent the answer of each frame.
    """

    def __init__(self) -> None:
        self.story = Story()
        self.paths: dict[int, FramePath] = {}
        self.owners: dict[int, Span] = {}
        self.entered: dict[int, float] = {}
        self.activations: dict[ActivationKey, Span] = {}
        self.calls: dict[CallId, Span] = {}
        self.open_calls: OpenSpans = defaultdict(list)
        self.requests: OpenSpans = defaultdict(list)
        self.last: dict[int, Span] = {}
        self.finished: dict[FrameNodeKey, Span] = {}
        self.causes: dict[FrameNodeKey, Span | None] = {}
        self.answers: dict[int, Span | None] = {}
        self._owning: set[Span] = set()
        self.takers: dict[str, Taker] = {
            "run.start": self.run_start,
            "run.end": self.run_end,
            "frame.enter": self.frame_enter,
            "frame.exit": self.frame_exit,
            "node.start": self.node_start,
            "node.end": self.node_end,
            "node.error": self.node_end,
            "node.cancel": self.node_end,
            "node.retry": self.retry,
            "model.retry": self.retry,
            "model.switch": self.retry,
            "edge.send": self.edge,
            "edge.skip": self.edge,
            "call.start": self.call_start,
            "call.end": self.call_end,
            "call.error": self.call_end,
            "background.start": self.background_start,
            "background.end": self.background_end,
            "model.start": self.model_start,
            "model.end": self.model_end,
        }

    def add(self, what: What, event: AnyEvent, node: str, label: str) -> Span:
        """A span that begins with this event."""
        frame = event.frame
        path = self.paths.get(frame)
        # A record may have lost its beginning.
        if not path:
            title = self.story.title or "run"
            path = (title,)
        span = Span(what, node, path, frame, event.at, label=label)
        self.story.spans.append(span)
        return span

    def add_within(self, what: What, event: AnyEvent, node: str, label: str) -> Span:
        """A span that begins with this event, within the activation that the event belongs to."""
        key = _activation(event)
        activation = self.activations.get(key)
        if activation is None:
            return self.add(what, event, node, label)
        if what == "background":
            node = activation.node
        span = self.add(what, event, node, label)
        span.parent = activation
        activation.within.append(span)
        return span

    def close(self, span: Span, event: AnyEvent, how: How, started: float | None = None) -> None:
        """Ends a span with this event; the event may tell when it really began."""
        at = event.at
        if started is None:
            started = getattr(event, "started", None)
        if started is not None:
            span.started = min(started, at)
        span.ended = at
        span.how = how
        if how == "failed":
            error = getattr(event, "error", "")
            words = error_words(error)
            detail = clean(words, 400)
            span.detail = scrub(detail)

    # -- the run and its frames --------------------------------------------------------------------
    def run_start(self, event: AnyEvent) -> None:
        title = str(event.graph)
        self.story.title = title
        self.paths[0] = (title,)

    def run_end(self, event: AnyEvent) -> None:
        self.story.status = str(event.status)
        error = clean(event.error, 2000)
        self.story.error = scrub(error)

    def frame_enter(self, event: AnyEvent) -> None:
        frame = event.frame
        names = map(str, event.path)
        self.paths[frame] = tuple(names)
        self.entered[frame] = event.at
        owner = self._owner(event)
        if owner is not None:
            self.owners[frame] = owner
            # From now on that call is taken: a second frame of the same name belongs to the next one.
            self._owning.add(owner)

    def _owner(self, event: AnyEvent) -> Span | None:
        """What entered a frame: a call of that name without a frame of its own yet, or else the activation itself."""
        activation = (event.parent, event.activation)
        name = event.path[-1]
        for call in self.open_calls[activation]:
            if call in self._owning:
                continue
            if call.label == name:
                return call
        return self.activations.get(activation)

    def frame_exit(self, event: AnyEvent) -> None:
        frame = event.frame
        left = event.at
        entered = self.entered.get(frame, left)
        wait = Interval(entered, left)
        owner = self.owners.get(frame)
        while owner is not None:
            owner.waits.append(wait)
            # The activation that made the call waited as long.
            if owner.what != "call":
                break
            owner = owner.parent

    # -- activations and what makes them begin -----------------------------------------------------
    def node_start(self, event: AnyEvent) -> None:
        frame = event.frame
        name = str(event.node)
        span = self.add("node", event, name, name)
        key = (frame, name)
        if key in self.causes:
            span.cause = self.causes[key]
        else:
            # A record of facts alone has no edges.
            span.cause = self.last.get(frame)
        parent = self.owners.get(frame)
        if parent is not None:
            span.parent = parent
            parent.within.append(span)
        activation = _activation(event)
        self.activations[activation] = span

    def node_end(self, event: AnyEvent) -> None:
        activation = _activation(event)
        # A record of facts alone does not tell of what began.
        if activation not in self.activations:
            self.node_start(event)
        span = self.activations.pop(activation)
        how = NODE_ENDS[event.kind]
        self.close(span, event, how)
        # What asked a model and ended before it answered, for it failed or was stopped, took its requests with it.
        requests = self.requests.pop(activation, [])
        for request in requests:
            self.close(request, event, how, started=request.started)
        frame = event.frame
        self.last[frame] = span
        self.finished[frame, span.node] = span

    def edge(self, event: AnyEvent) -> None:
        frame = event.frame
        name = str(event.source)
        key = (frame, name)
        source = self.finished.get(key)
        target = str(event.target)
        if target != "END":
            self.causes[frame, target] = source
        elif event.kind == "edge.send":
            self.answers[frame] = source

    def retry(self, event: AnyEvent) -> None:
        span = self._retried(event)
        if span is None:
            return
        what = "another model"
        if event.kind != "model.switch":
            what = f"attempt {event.attempt}"
        reason = f"{what}: {event.error}"
        words = clean(reason, 300)
        mark = (event.at, scrub(words))
        span.marks.append(mark)

    def _retried(self, event: AnyEvent) -> Span | None:
        """The call that is tried again, or else the activation."""
        number = getattr(event, "call", None)
        if number is not None:
            key = (event.frame, number)
            return self.calls.get(key)
        activation = _activation(event)
        calls = self.open_calls[activation]
        # What tells no number belongs to the latest open call of that name: requests to models, and older records.
        for call in reversed(calls):
            if call.label == event.node:
                return call
        return self.activations.get(activation)

    # -- calls and requests ------------------------------------------------------------------------
    def call_start(self, event: AnyEvent) -> None:
        caller = str(event.caller)
        callee = str(event.node)
        span = self.add_within("call", event, caller, callee)
        key = (event.frame, event.call)
        self.calls[key] = span
        # Kept by activation, too: a frame tells who entered it, but not by which call.
        activation = _activation(event)
        self.open_calls[activation].append(span)

    def call_end(self, event: AnyEvent) -> None:
        key = (event.frame, event.call)
        span = self.calls.pop(key, None)
        if span is None:
            return
        how: How = "done"
        if event.kind == "call.error":
            error = getattr(event, "error", None)
            how = "cancelled" if was_cancelled(error) else "failed"
        self.close(span, event, how)
        activation = _activation(event)
        self.open_calls[activation].remove(span)

    def background_start(self, event: AnyEvent) -> None:
        name = str(event.node)
        span = self.add_within("background", event, name, name)
        key = (event.frame, event.handle)
        self.calls[key] = span

    def background_end(self, event: AnyEvent) -> None:
        key = (event.frame, event.handle)
        span = self.calls.pop(key, None)
        if span is None:
            return
        how = BACKGROUND_ENDS.get(event.status, "failed")
        self.close(span, event, how)

    def model_start(self, event: AnyEvent) -> None:
        node = str(event.node)
        model = str(event.model)
        span = self.add_within("model", event, node, model)
        span.question = getattr(event, "question", 0)
        activation = _activation(event)
        self.requests[activation].append(span)

    def model_end(self, event: AnyEvent) -> None:
        span = self._answered(event)
        if span is None:
            return
        activation = _activation(event)
        self.requests[activation].remove(span)
        self.close(span, event, "done")
        tokens_in = event.input_tokens or 0
        tokens_out = event.output_tokens or 0
        span.tokens = int(tokens_in) + int(tokens_out)

    def _answered(self, event: AnyEvent) -> Span | None:
        """The open request that an answer belongs to."""
        question = getattr(event, "question", 0)
        activation = _activation(event)
        for span in self.requests[activation]:
            if question:
                is_same = span.question == question
            else:
                # Records of older versions do not number their questions: there the model's name has to do.
                is_same = span.label == event.model
            if is_same:
                return span
        return None

    def finish(self) -> Story:
        """The story, when there are no more events; what has not ended goes on to the end of the run."""
        story = self.story
        run_end = story.seconds
        for span in story.spans:
            if span.ended < 0:
                span.ended = max(run_end, span.started)
        answers: Answers = {}
        for frame, owner in self.owners.items():
            answers[owner] = self._answer(frame)
        final = self._answer(0)
        story.critical = critical_path(final, answers)
        for span, _, _ in story.critical:
            span.critical = True
        return story

    def _answer(self, frame: int) -> Span | None:
        """What sent the answer of a frame; in a record without edges, what ended last in it."""
        answer = self.answers.get(frame)
        if answer is not None:
            return answer
        return self.last.get(frame)


def _activation(event: AnyEvent) -> ActivationKey:
    return event.frame, event.activation
