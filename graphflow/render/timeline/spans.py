"""What a run did, as intervals of time: activations, calls, model requests, work in the background."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

How = Literal["done", "failed", "cancelled", "running"]
What = Literal["node", "call", "model", "background"]
FramePath = tuple[str, ...]
"""The names of the frames around something, the outermost first."""


class Interval(NamedTuple):
    """From when, to when, in seconds since the run began."""

    start: float
    end: float


@dataclass(slots=True, eq=False)
class Span:
    """One interval of time.

    Attributes:
        what: an activation of a node, a call, a model request, a call in the background.
        node: the node's name; for a model request, the node that asked.
        path: names of the frames around it.
        label: what a call calls, the model's name.
        question: which of the run's questions to a model it is.
        marks: retries and switches: when, and why.
        parent: the activation that a call or request belongs to; the span that entered the frame of an activation.
        cause: what had to end for it to begin.
        waits: when it had a frame open below it, so that others did its work.
    """

    what: What
    node: str
    path: FramePath
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
    waits: list[Interval] = field(default_factory=list)
    critical: bool = False

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.started

    @property
    def is_alone(self) -> bool:
        """Whether it is the activation of a sub-agent in the frame of its own call: that call stands for both."""
        is_called = len(self.path) > 1
        return is_called and self.path[-1] == self.node

    @property
    def words(self) -> str:
        """The span in words: "node", "node > callee", "node > model"."""
        if self.what == "node":
            return self.node
        return f"{self.node} > {self.label}"


class Piece(NamedTuple):
    """A part of the critical path: a span, from when, to when."""

    span: Span
    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.start


@dataclass(slots=True)
class Story:
    """A run as spans.

    Attributes:
        title: the graph's name.
        status: how the run ended, or "running".
        seconds: from its first to its last event.
        spans: in the order in which their first events came.
        critical: the critical path, in the order of time.
    """

    title: str = ""
    status: str = "running"
    error: str = ""
    seconds: float = 0.0
    spans: list[Span] = field(default_factory=list)
    critical: list[Piece] = field(default_factory=list)

    @property
    def activations(self) -> list[Span]:
        """The spans that are activations of nodes."""
        return [span for span in self.spans if span.what == "node"]
