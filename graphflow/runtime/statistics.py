"""Statistics of a run: how long its nodes and models took, how soon answers began, how often something was tried again."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from graphflow.events import (
    Event,
    ModelFailed,
    ModelFinished,
    ModelRetried,
    ModelStarted,
    NodeRetried,
)
from graphflow.runtime.steps import FramePath, Step, is_alone, node_of


@dataclass(frozen=True, slots=True)
class Latency:
    """How long something took that was done several times. All in seconds; percentiles are values that were measured.

    Attributes:
        count: how often.
        total: all of it together.
        p50, p90, p99: half, nine in ten, 99 in 100 took at most so long.
        max: the longest.
    """

    count: int = 0
    total: float = 0.0
    p50: float = 0.0
    p90: float = 0.0
    p99: float = 0.0
    max: float = 0.0

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Latency:
        """That of these times."""
        times = sorted(seconds)
        if not times:
            return cls()
        return cls(
            count=len(times),
            total=sum(times),
            p50=_at_rank(times, 0.5),
            p90=_at_rank(times, 0.9),
            p99=_at_rank(times, 0.99),
            max=times[-1],
        )


def _at_rank(times: Sequence[float], part: float) -> float:
    """The smallest time that so large a part of them does not exceed (nearest rank)."""
    # Nearest rank, so that no time is shown that was never taken: of one value all percentiles are that value.
    rank = math.ceil(part * len(times))
    return times[max(rank, 1) - 1]


@dataclass(frozen=True, slots=True)
class NodeStats:
    """What is known of a node: activations and calls.

    Attributes:
        latency: how long they took.
        failed: how many of them raised, or were stopped.
        retries: how often it was tried again.
    """

    latency: Latency
    failed: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True)
class ModelStats:
    """What is known of a model.

    Attributes:
        latency: how long its answers took.
        first_token: how long it took until they began.
        failed: how many questions it did not answer.
        retries: how often it was asked again, after a fault of the provider.
        input_tokens: what it has read.
        output_tokens: what it has written.
        usd: what that cost; None: nobody knows.
    """

    latency: Latency
    first_token: Latency
    failed: int = 0
    retries: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = 0.0


@dataclass(frozen=True, slots=True, repr=False)
class RunStats:
    """Statistics of a run.

    Attributes:
        nodes: by "graph > node".
        models: by "provider:model".
    """

    nodes: dict[str, NodeStats] = field(default_factory=dict)
    models: dict[str, ModelStats] = field(default_factory=dict)

    def __repr__(self) -> str:
        """A table of both."""
        rows = [HEADS]
        for name, node in self.nodes.items():
            times = _cells(node.latency)
            counts = [str(node.retries), str(node.failed)]
            rows.append([name, *times, "-", *counts])
        for name, model in self.models.items():
            times = _cells(model.latency)
            first = _shown(model.first_token.p50)
            counts = [str(model.retries), str(model.failed)]
            rows.append([name, *times, first, *counts])
        widths: list[int] = []
        for column in zip(*rows, strict=True):
            widths.append(max(map(len, column)))
        lines = [_line(row, widths) for row in rows]
        return "\n".join(lines)


HEADS = ["", "count", "p50", "p90", "p99", "max", "first", "retries", "failed"]
"""Of the table; "first" is half of the times until an answer began."""


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    name, *cells = row
    shown = [name.ljust(widths[0])]
    for cell, width in zip(cells, widths[1:], strict=True):
        shown.append(cell.rjust(width))
    return "  ".join(shown).rstrip()


def _cells(latency: Latency) -> list[str]:
    times = (latency.p50, latency.p90, latency.p99, latency.max)
    return [str(latency.count), *map(_shown, times)]


def _shown(seconds: float) -> str:
    """A time for people: 1.2 s, 34 ms, 560 us."""
    # Three digits: what lies behind them differs from run to run.
    if seconds >= 1:
        return f"{seconds:.3g} s"
    if seconds >= 0.001:
        return f"{seconds * 1_000:.3g} ms"
    return f"{seconds * 1_000_000:.0f} us"


def stats_of(steps: Iterable[Step], facts: Iterable[Event], paths: Sequence[FramePath]) -> RunStats:
    """The statistics of a run.

    Args:
        steps: what was done.
        facts: of the run.
        paths: of its frames, by number.
    """
    facts = list(facts)
    return RunStats(_node_stats(steps, facts, paths), _model_stats(facts))


class _NodeNotes:
    """What is noted of a node while steps and facts are read."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.failed = 0
        self.retries = 0

    def stats(self) -> NodeStats:
        return NodeStats(Latency.of(self.times), self.failed, self.retries)


def _node_stats(
    steps: Iterable[Step], facts: Iterable[Event], paths: Sequence[FramePath]
) -> dict[str, NodeStats]:
    notes: dict[str, _NodeNotes] = {}
    # Steps know how long each took, and facts alone how often it was tried again.
    for step in steps:
        [name] = node_of(step.path, step.node, False)
        note = notes.setdefault(name, _NodeNotes())
        note.times.append(step.seconds)
        if step.error is not None:
            note.failed += 1
    for event in facts:
        if not isinstance(event, NodeRetried):
            continue
        # An agent that is alone in its frame is a node of the graph around.
        alone = is_alone(event, paths)
        [name] = node_of(paths[event.frame], event.node, alone)
        note = notes.setdefault(name, _NodeNotes())
        note.retries += 1
    return {name: note.stats() for name, note in notes.items()}


class _ModelNotes:
    """What is noted of a model while facts are read."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.first: list[float] = []
        self.failed = 0
        self.retries = 0
        self.input_tokens = 0
        self.output_tokens = 0
        self.usd: float | None = 0.0

    def answer(self, event: ModelFinished) -> None:
        self.times.append(event.at - event.started)
        if event.first_at is not None:
            self.first.append(event.first_at - event.started)
        self.input_tokens += event.input_tokens
        self.output_tokens += event.output_tokens
        # One answer of unknown price makes the sum unknown, and it stays so.
        if self.usd is None or event.usd is None:
            self.usd = None
        else:
            self.usd += event.usd

    def stats(self) -> ModelStats:
        latency = Latency.of(self.times)
        first_token = Latency.of(self.first)
        return ModelStats(
            latency,
            first_token,
            self.failed,
            self.retries,
            self.input_tokens,
            self.output_tokens,
            self.usd,
        )


def _model_stats(facts: Iterable[Event]) -> dict[str, ModelStats]:
    notes: dict[str, _ModelNotes] = {}
    asked: dict[tuple[int, int, str], str] = {}
    for event in facts:
        match event:
            case ModelFinished():
                notes.setdefault(event.model, _ModelNotes()).answer(event)
            case ModelFailed():
                notes.setdefault(event.model, _ModelNotes()).failed += 1
            case ModelStarted():
                asked[event.frame, event.activation, event.node] = event.model
            case ModelRetried():
                # It does not say which model: the one that this node has asked last.
                model = asked.get((event.frame, event.activation, event.node))
                if model is not None:
                    notes.setdefault(model, _ModelNotes()).retries += 1
            case _:
                pass
    return {model: note.stats() for model, note in notes.items()}
