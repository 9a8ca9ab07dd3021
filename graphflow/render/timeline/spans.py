"""What a run did, as stretches of time: activations, calls and model requests, who caused whom, and the critical path.

Rules:
1. Events come from a run, from a list of events, or from the lines of `--events`: all give the same spans.
2. An activation is *caused* by the activation whose message or tombstone came last along an edge to its node before it
   began: the one that completed its ports. Where a record tells of no edges, it is what ended last in the same frame.
3. The critical path is read backwards from the answer. An activation is on it if it sent the answer, or caused one that
   is. Within it, the call, model request or frame that ended last is, then the one that ended last before that one
   began, and so on. Shortening what is not on the path makes no run end sooner.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

from graphflow.errors import DeclarationError
from graphflow.redaction import scrub
from graphflow.render.records import checked, read_records
from graphflow.render.xml import clean, error_words, was_cancelled
from graphflow.run import Run

How = Literal["done", "failed", "cancelled", "running"]
What = Literal["node", "call", "model", "background"]


@dataclass(slots=True)
class Span:
    """One stretch of time.

    Attributes:
        what: an activation of a node, a call, a model request, a call in the background.
        node: the node's name; for a model request, the node that asked.
        path: names of the frames around it.
        label: what a call calls, the model's name.
        question: which of the run's questions to a model it is.
        marks: retries and switches: when, and what was said.
        parent: the activation that a call or request belongs to; the span that entered the frame of an activation.
        cause: what had to end for it to begin (rule 2).
        waits: when it had a frame open below it, so that others did its work.
    """

    what: What
    node: str
    path: tuple[str, ...]
    frame: int
    started: float
    ended: float = -1.0
    how: How = "running"
    label: str = ""
    detail: str = ""
    tokens: int = 0
    question: int = 0
    marks: list[tuple[float, str]] = field(default_factory=list)
    parent: Span | None = None
    cause: Span | None = None
    within: list[Span] = field(default_factory=list)
    waits: list[tuple[float, float]] = field(default_factory=list)
    critical: bool = False

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.started


@dataclass(slots=True)
class Story:
    """A run as spans.

    Attributes:
        title: the graph's name.
        status: how the run ended, or "running".
        seconds: from its first to its last event.
        spans: in the order in which they began to be told of.
        critical: the critical path, in the order of time, as pieces: a span, from when, to when.
    """

    title: str = ""
    status: str = "running"
    error: str = ""
    seconds: float = 0.0
    spans: list[Span] = field(default_factory=list)
    critical: list[tuple[Span, float, float]] = field(default_factory=list)


def read_events(source: Any) -> list[Any]:
    """The events of a run, of a list, or of a file that `--events` has written. A line becomes an object with its fields.

    Raises:
        FileUnreadable: there is no such file, or it holds something else.
    """
    if isinstance(source, Run):
        return list(source.events)
    if isinstance(source, (str, Path)):
        return [SimpleNamespace(**each) for each in read_records(source)]
    try:
        events = [SimpleNamespace(**checked(each)) if isinstance(each, dict) else each for each in source]
    except ValueError as error:
        raise DeclarationError(f"{error}; give a Run, its events, or a file of them") from None
    except TypeError:
        raise DeclarationError(f"{source!r} tells of no run; give a Run, its events, or a file of them") from None
    if wrong := next((e for e in events if not isinstance(getattr(e, "kind", None), str)), None):
        raise DeclarationError(f"{wrong!r} is no event; give a Run, its events, or a file of them")
    return events


def read_story(source: Any) -> Story:
    """The spans of a run, with what caused them and the critical path."""
    reading = _Reading()
    for event in read_events(source):
        take = reading.takers.get(event.kind)
        if take is not None:
            take(event)
        if event.at > reading.story.seconds:
            reading.story.seconds = event.at
    return reading.finish()


class _Reading:
    """The spans while their events are read, in one pass."""

    def __init__(self) -> None:
        self.story = Story()
        self.paths: dict[int, tuple[str, ...]] = {}
        self.owners: dict[int, Span] = {}
        self.owning: set[int] = set()
        self.entered: dict[int, float] = {}
        self.acts: dict[tuple[int, int], Span] = {}
        self.calls: dict[tuple[int, Any], Span] = {}
        self.open_calls: dict[tuple[int, int], list[Span]] = {}
        self.models: dict[tuple[int, int], list[Span]] = {}
        self.last: dict[int, Span] = {}
        self.finished: dict[tuple[int, str], Span] = {}
        self.sent: dict[tuple[int, str], Span | None] = {}
        self.ends: dict[int, Span | None] = {}
        self.takers: dict[str, Any] = {
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

    def path(self, frame: int) -> tuple[str, ...]:
        return self.paths.get(frame) or (self.story.title or "run",)

    def add(self, what: What, event: Any, node: str, **more: Any) -> Span:
        span = Span(what, node, self.path(event.frame), event.frame, event.at, **more)
        self.story.spans.append(span)
        return span

    def run_start(self, event: Any) -> None:
        self.story.title = str(event.graph)
        self.paths[0] = (self.story.title,)

    def run_end(self, event: Any) -> None:
        self.story.status = str(event.status)
        self.story.error = scrub(clean(event.error, 2000))

    def frame_enter(self, event: Any) -> None:
        self.paths[event.frame] = tuple(str(name) for name in event.path)
        self.entered[event.frame] = event.at
        owner = self.acts.get((event.parent, event.activation))
        calling = self.open_calls.get((event.parent, event.activation), ())
        owner = next((c for c in calling if c.label == event.path[-1] and id(c) not in self.owning), owner)
        if owner is not None:
            self.owning.add(id(owner))
            self.owners[event.frame] = owner

    def frame_exit(self, event: Any) -> None:
        owner = self.owners.get(event.frame)
        while owner is not None:
            owner.waits.append((self.entered[event.frame], event.at))
            owner = owner.parent if owner.what == "call" else None

    def node_start(self, event: Any) -> None:
        frame = event.frame
        span = self.add("node", event, str(event.node), label=str(event.node))
        key = (frame, span.node)
        span.cause = self.sent[key] if key in self.sent else self.last.get(frame)
        span.parent = self.owners.get(frame)
        if span.parent is not None:
            span.parent.within.append(span)
        self.acts[frame, event.activation] = span

    def node_end(self, event: Any) -> None:
        key = (event.frame, event.activation)
        if key not in self.acts:  # a record of facts alone
            self.node_start(event)
        span = self.acts.pop(key)
        how: How = {"node.end": "done", "node.error": "failed"}.get(event.kind, "cancelled")  # type: ignore[assignment]
        self.close(span, event, how)
        for asked in self.models.pop(key, ()):
            self.close(asked, event, how, started=asked.started)
        self.last[event.frame] = self.finished[event.frame, span.node] = span

    def close(self, span: Span, event: Any, how: How, started: float | None = None) -> None:
        began = getattr(event, "started", None) if started is None else started
        span.started = span.started if began is None else min(began, event.at)
        span.ended, span.how = event.at, how
        if how == "failed":
            span.detail = scrub(clean(error_words(getattr(event, "error", "")), 400))

    def edge(self, event: Any) -> None:
        by = self.finished.get((event.frame, str(event.source)))
        if event.target != "END":
            self.sent[event.frame, str(event.target)] = by
        elif event.kind == "edge.send":
            self.ends[event.frame] = by

    def retry(self, event: Any) -> None:
        key = (event.frame, event.activation)
        told = next((c for c in reversed(self.open_calls.get(key, [])) if c.label == event.node), self.acts.get(key))
        if told is not None:
            what = "another model" if event.kind == "model.switch" else f"attempt {event.attempt}"
            told.marks.append((event.at, scrub(clean(f"{what}: {event.error}", 300))))

    def call_start(self, event: Any) -> None:
        act = self.acts.get((event.frame, event.activation))
        span = self.add("call", event, str(event.caller), label=str(event.node), parent=act)
        if act is not None:
            act.within.append(span)
        self.calls[event.frame, event.call] = span
        self.open_calls.setdefault((event.frame, event.activation), []).append(span)

    def call_end(self, event: Any) -> None:
        span = self.calls.pop((event.frame, event.call), None)
        if span is None:
            return
        failed: How = "cancelled" if was_cancelled(getattr(event, "error", None)) else "failed"
        self.close(span, event, "done" if event.kind == "call.end" else failed)
        self.open_calls[event.frame, event.activation].remove(span)

    def background_start(self, event: Any) -> None:
        act = self.acts.get((event.frame, event.activation))
        span = self.add("background", event, act.node if act else str(event.node), label=str(event.node), parent=act)
        if act is not None:
            act.within.append(span)
        self.calls[event.frame, event.handle] = span

    def background_end(self, event: Any) -> None:
        span = self.calls.pop((event.frame, event.handle), None)
        if span is not None:
            how: How = {"completed": "done", "cancelled": "cancelled"}.get(event.status, "failed")  # type: ignore[assignment]
            self.close(span, event, how)

    def model_start(self, event: Any) -> None:
        act = self.acts.get((event.frame, event.activation))
        span = self.add("model", event, str(event.node), label=str(event.model), parent=act)
        span.question = getattr(event, "question", 0)
        if act is not None:
            act.within.append(span)
        self.models.setdefault((event.frame, event.activation), []).append(span)

    def model_end(self, event: Any) -> None:
        asked = self.models.get((event.frame, event.activation), [])
        number = getattr(event, "question", 0)
        same = [m for m in asked if m.question == number] if number else [m for m in asked if m.label == event.model]
        if not same:
            return
        span = same[0]
        asked.remove(span)
        self.close(span, event, "done")
        span.tokens = int(event.input_tokens or 0) + int(event.output_tokens or 0)

    def finish(self) -> Story:
        story = self.story
        for span in story.spans:
            if span.ended < 0:
                span.ended = max(story.seconds, span.started)
        final = self.ends.get(0) or self.last.get(0)
        ends = {id(owner): self.ends.get(f) or self.last.get(f) for f, owner in self.owners.items()}
        story.critical = sorted(_critical(final, ends), key=lambda piece: (piece[1], piece[2]))
        for span, _, _ in story.critical:
            span.critical = True
        return story


def _critical(final: Span | None, ends: dict[int, Span | None]) -> Iterable[tuple[Span, float, float]]:
    """The pieces of the critical path: back along causes, and down into what was waited for."""
    todo = [(final, float("inf"))]
    seen: set[int] = set()
    while todo:
        span, until = todo.pop()
        if span is None or id(span) in seen or span.started > until:
            continue
        seen.add(id(span))
        yield span, span.started, min(span.ended, until)
        todo.append((span.cause, span.started))
        cursor = min(span.ended, until)
        if span.within and span.within[0].frame != span.frame:  # a frame: its own chain, from its own answer
            todo.append((ends.get(id(span)), cursor))
            continue
        for inner in sorted(span.within, key=lambda s: s.ended, reverse=True):
            if inner.ended <= cursor and inner.frame == span.frame:
                todo.append((inner, cursor))
                cursor = inner.started
