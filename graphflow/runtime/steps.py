"""Steps: the activations and calls of a run that have ended, read from its events, and what each place has used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from graphflow.errors import WalkCancelled
from graphflow.events import (
    CallFailed,
    CallFinished,
    CallStarted,
    Event,
    ModelFinished,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeRetried,
    NodeStarted,
    Scope,
)
from graphflow.limits import Usage

FramePath = tuple[str, ...]
NodeEnd = NodeFinished | NodeFailed | NodeCancelled
CallEnd = CallFinished | CallFailed
K = TypeVar("K")
PlaceFinder = Callable[[FramePath, str, bool], list[K]]


@dataclass(frozen=True, slots=True)
class Step:
    """One activation or call that has ended: what went in, what came out, how long it took.

    Attributes:
        node: the node's name.
        path: names of the frames around it.
        scope: the forks and laps that led to it; empty for calls.
        input: its message, or the messages by port.
        output: its answer, if it gave one.
        error: its exception, if it raised one.
        started: seconds since the run began.
        ended: seconds since the run began.
        caller: the node that called it along a call edge, or None.
    """

    node: str
    path: FramePath
    scope: Scope
    input: Any
    output: Any
    error: BaseException | None
    started: float
    ended: float
    caller: str | None = None

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.started


def steps_of(events: Iterable[Event], paths: Sequence[FramePath]) -> list[Step]:
    """The steps, in the order they ended.

    Args:
        events: of a run, those that follow from the facts included.
        paths: of its frames, by number.
    """
    steps: list[Step] = []
    started: dict[tuple[int, int], NodeStarted] = {}
    calls: dict[tuple[int, int], CallStarted] = {}
    for event in events:
        if isinstance(event, NodeStarted):
            started[event.frame, event.activation] = event
        elif isinstance(event, CallStarted):
            calls[event.frame, event.call] = event
        elif isinstance(event, NodeEnd):
            # A sub-agent stands alone in its frame: its call is the step.
            if is_alone(event, paths):
                continue
            begun = started.get((event.frame, event.activation)) or _unknown_start(event)
            steps.append(_activation_step(begun, event, paths[event.frame]))
        elif isinstance(event, CallEnd):
            call = calls[event.frame, event.call]
            steps.append(_call_step(call, event, paths[event.frame]))
    return steps


def _unknown_start(end: NodeEnd) -> NodeStarted:
    """The start of an activation of a graph that is not here: nobody can tell what led to it."""
    return NodeStarted(end.started, end.frame, end.activation, end.node, (), None)


def is_alone(event: NodeEnd | ModelFinished | NodeRetried, paths: Sequence[FramePath]) -> bool:
    """Whether an event is of a sub-agent that was entered as a frame of its own."""
    return event.frame > 0 and paths[event.frame][-1] == event.node


def _activation_step(begun: NodeStarted, end: NodeEnd, path: FramePath) -> Step:
    error: BaseException | None = getattr(end, "error", None)
    if isinstance(end, NodeCancelled):
        error = WalkCancelled(f"node {end.node!r} was stopped")
    return Step(
        node=end.node,
        path=path,
        scope=begun.scope,
        input=begun.input,
        output=getattr(end, "output", None),
        error=error,
        started=end.started,
        ended=end.at,
    )


def _call_step(call: CallStarted, end: CallEnd, path: FramePath) -> Step:
    return Step(
        node=end.node,
        path=path,
        scope=(),
        input=call.input,
        output=getattr(end, "output", None),
        error=getattr(end, "error", None),
        started=end.started,
        ended=end.at,
        caller=call.caller,
    )


# -- usage by place --------------------------------------------------------------------------------
def usage_by(
    places: PlaceFinder[K],
    steps: Iterable[Step],
    facts: Iterable[Event],
    paths: Sequence[FramePath],
) -> dict[K, Usage]:
    """What each place has used.

    Args:
        places: where is counted what a node uses; its frame, its name, and whether it is alone in that frame.
        steps: those of the run.
        facts: its facts, of which those of models are counted.
        paths: of its frames, by number.
    """
    used: dict[K, Usage] = {}
    for step in steps:
        for place in places(step.path, step.node, False):
            book = used.setdefault(place, Usage(usd=0.0))
            book.steps += 1
            book.seconds += step.seconds
    for event in facts:
        if not isinstance(event, ModelFinished):
            continue
        alone = is_alone(event, paths)
        for place in places(paths[event.frame], event.node, alone):
            book = used.setdefault(place, Usage(usd=0.0))
            book.count(event)
    return used


def node_of(path: FramePath, node: str, alone: bool) -> list[str]:
    """A node by its path: "graph > node". A sub-agent alone in its frame is that of the graph around."""
    around = path[:-1] if alone else path
    return [" > ".join((*around, node))]


def frames_of(path: FramePath, node: str, alone: bool) -> list[FramePath]:
    """A frame and all around it."""
    return [path[:depth] for depth in range(1, len(path) + 1)]
