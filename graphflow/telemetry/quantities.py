"""Quantities: the numbers in events, by what they are called; sinks that count are fed with them.

run        seconds of a sitting, by graph and how it ended
node       seconds of an activation, by graph and node          call     the same of a call along a call edge
model      seconds of a question, by model                       first    seconds until its first piece came
tokens     by model and direction                                usd      by model
retry      how often something was tried again, by node
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from graphflow.events import (
    CallFailed,
    CallFinished,
    ModelFailed,
    ModelFinished,
    ModelRetried,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeRetried,
    RunEnded,
)
from graphflow.runtime.steps import CallEnd, NodeEnd
from graphflow.telemetry.run_event import RunEvent

QuantityName = Literal["run", "node", "call", "model", "first", "tokens", "usd", "retry"]
Labels = tuple[tuple[str, str], ...]
MEASURED = tuple(
    [
        "run.end",
        "node.end",
        "node.error",
        "node.cancel",
        "node.retry",
        "call.end",
        "call.error",
        "model.end",
        "model.error",
        "model.retry",
    ]
)
"""The kinds that have a number worth counting. All are facts, so that no walk leaves its straight way for them."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number.

    Attributes:
        name: what is measured.
        value: seconds, tokens, dollars, or how many.
        labels: by what it is told from others of the name.
    """

    name: QuantityName
    value: float
    labels: Labels


def quantities_of(record: RunEvent) -> Iterator[Quantity]:
    """The numbers in an event."""
    event = record.event
    graph = ("graph", record.graph)
    match event:
        case NodeFinished() | NodeFailed() | NodeCancelled():
            yield _seconds("node", event, graph)
        case CallFinished() | CallFailed():
            yield _seconds("call", event, graph)
        case ModelFinished():
            yield from _of_answer(event)
        case ModelFailed():
            labels = (("model", event.model), ("outcome", "failed"))
            yield Quantity("model", event.at - event.started, labels)
        case NodeRetried() | ModelRetried():
            yield Quantity("retry", 1, (graph, ("node", event.node)))
        case RunEnded():
            yield Quantity("run", event.at, (graph, ("outcome", event.status)))
        case _:
            pass


def _seconds(name: QuantityName, event: NodeEnd | CallEnd, graph: tuple[str, str]) -> Quantity:
    """How long something took."""
    outcome = "completed"
    if isinstance(event, (NodeFailed, CallFailed)):
        outcome = "failed"
    elif isinstance(event, NodeCancelled):
        outcome = "cancelled"
    seconds = event.at - event.started
    return Quantity(name, seconds, (graph, ("node", event.node), ("outcome", outcome)))


def _of_answer(event: ModelFinished) -> Iterator[Quantity]:
    model = ("model", event.model)
    yield Quantity("model", event.at - event.started, (model, ("outcome", "completed")))
    yield Quantity("tokens", event.input_tokens, (model, ("type", "input")))
    yield Quantity("tokens", event.output_tokens, (model, ("type", "output")))
    if event.usd is not None:
        yield Quantity("usd", event.usd, (model,))
    if event.first_at is not None:
        yield Quantity("first", event.first_at - event.started, (model,))
