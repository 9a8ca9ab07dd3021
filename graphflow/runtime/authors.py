"""Who has answered, and what of all that was said in a run came to something: read from its facts when it has completed.

Rules:
1. What an agent has said counts if its activation has answered, and so have all those that its frame lies in. What failed,
   was stopped or was given up is not part of a conversation.
2. The answer of a run is that of the node whose message reached END; within a graph, of the one in there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from graphflow.declaration.handoffs import Handover
from graphflow.declaration.node import AnyNode
from graphflow.events import (
    CompactionFinished,
    Event,
    FrameEntered,
    FrameExited,
    NodeFinished,
    TurnsAdded,
)
from graphflow.proofs.program import Program, select
from graphflow.proofs.proven import AnyGraph, ProvenGraph
from graphflow.runtime.run_record import RunRecord

ActivationId: TypeAlias = tuple[int, int]
"""The number of a frame, and of an activation in it."""
BETWEEN = " > "
"""What stands between the names of a place."""


@dataclass(slots=True)
class _OutcomeFacts:
    """The facts of a run that tell what came to something."""

    answered: dict[ActivationId, NodeFinished] = field(default_factory=dict)
    entered: dict[int, FrameEntered] = field(default_factory=dict)
    completed: set[int] = field(default_factory=set)
    speakers: dict[ActivationId, str] = field(default_factory=dict)
    """The places of those who have said something."""
    left_out: dict[ActivationId, Mapping[str, Any]] = field(default_factory=dict)

    def take(self, facts: Iterable[Event]) -> None:
        for fact in facts:
            match fact:
                case NodeFinished():
                    self.answered[fact.frame, fact.activation] = fact
                case FrameEntered():
                    self.entered[fact.frame] = fact
                case FrameExited(status="completed"):
                    self.completed.add(fact.frame)
                case CompactionFinished():
                    self.left_out[fact.frame, fact.activation] = fact.left_out
                case TurnsAdded():
                    self.speakers[fact.frame, fact.activation] = fact.place
                case _:
                    pass

    def counts(self, activation: ActivationId) -> bool:
        """Whether an activation has answered, and all that lies around it, too."""
        while activation in self.answered:
            frame, _ = activation
            if frame == 0:
                return True
            if frame not in self.completed:
                return False
            around = self.entered[frame]
            activation = (around.parent, around.activation)
        return False


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What came of a run.

    Attributes:
        by: the place of who has answered; "" where several have.
        speakers: who has said something that counts, with their places, in the order in which they ended.
        left_out: by the place of an agent, what its context policy has left out last.
    """

    by: str
    speakers: Mapping[ActivationId, str]
    left_out: Mapping[str, Mapping[str, Any]]


def outcome_of(run: RunRecord[Any]) -> RunOutcome:
    """What came of a run that has completed."""
    facts = _OutcomeFacts()
    facts.take(run.facts)
    speakers = {each: place for each, place in facts.speakers.items() if facts.counts(each)}
    by = _answering(run, facts, 0, run.graph)
    left_out = {speakers[each]: facts.left_out[each] for each in speakers if each in facts.left_out}
    return RunOutcome(by, speakers, left_out)


def _answering(run: RunRecord[Any], facts: _OutcomeFacts, frame: int, place: str) -> str:
    """The place of who has answered for a frame."""
    program, _, _ = run.frames[frame]
    found = _last_to_end(facts, frame, program)
    if found is None:
        return ""
    known = facts.speakers.get((frame, found.activation))
    if known is not None:
        return known
    inner = f"{place}{BETWEEN}{found.node}"
    for number, entered in facts.entered.items():
        within = (entered.parent, entered.activation) == (frame, found.activation)
        if within and number in facts.completed:
            return _answering(run, facts, number, inner)
    return inner


def _last_to_end(facts: _OutcomeFacts, frame: int, program: Program) -> NodeFinished | None:
    """The answer that reached END; None where several may have, or what did is another node's message."""
    if program.ends == "all":
        return None
    slots = {slot.name: slot for slot in program.slots}
    for (number, _), fact in reversed(facts.answered.items()):
        if number != frame or type(fact.output) is Handover:
            continue
        slot = slots[fact.node]
        links = slot.links if slot.passes_input else select(slot, fact.output, fact.output)
        if any(link.target == program.end for link in links):
            return None if slot.passes_input else fact
    return None


# -- places ----------------------------------------------------------------------------------------
def talkers(graph: AnyGraph) -> frozenset[str]:
    """The places of those nodes of a graph that its message reaches unchanged."""
    found: set[str] = set()
    _add_reached(graph.program, graph.name, found)
    return frozenset(found)


def listeners(graph: AnyGraph) -> dict[str, AnyNode]:
    """Those nodes on the arrows of a graph, and of graphs within, that are shown what was said before, by their places."""
    found: dict[str, AnyNode] = {}
    _add_all(graph.program, graph.name, found)
    reached = talkers(graph)
    return {place: node for place, node in found.items() if _listens(node, place in reached)}


def _listens(node: AnyNode, reached: bool) -> bool:
    if node.remembers is None:
        return reached
    return node.remembers in ("talk", "own")


def _add_all(program: Program, place: str, found: dict[str, AnyNode]) -> None:
    for slot in program.slots:
        if slot.node is None:
            continue
        here = f"{place}{BETWEEN}{slot.name}"
        target, _ = slot.node.entry()
        if isinstance(target, ProvenGraph):
            _add_all(target.program, here, found)
        else:
            found[here] = target


def _add_reached(program: Program, place: str, found: set[str]) -> None:
    todo = [program.slots[program.start]]
    seen = {program.start}
    while todo:
        for link in todo.pop().links:
            if link.each or link.target in seen:
                continue
            seen.add(link.target)
            slot = program.slots[link.target]
            if slot.node is None:
                continue
            _add_node(slot.node, f"{place}{BETWEEN}{slot.name}", found)
            if slot.passes_input:
                todo.append(slot)


def _add_node(node: AnyNode, place: str, found: set[str]) -> None:
    target, _ = node.entry()
    if isinstance(target, ProvenGraph):
        _add_reached(target.program, place, found)
    else:
        found.add(place)


def beside(place: str, other: str) -> str | None:
    """The node beside the one at a place that is at another place, or lies around it; None: that is elsewhere."""
    frame, between, _ = place.rpartition(BETWEEN)
    around = frame + between
    if not other.startswith(around):
        return None
    return other.removeprefix(around).partition(BETWEEN)[0]


class Entered(Protocol):
    """What has entered a frame."""

    @property
    def node(self) -> AnyNode: ...
    @property
    def call(self) -> EnteringCall | None: ...
    @property
    def frame(self) -> PlacedFrame: ...


class EnteringCall(Protocol):
    """The call that has entered a frame."""

    @property
    def caller(self) -> AnyNode: ...


class PlacedFrame(Protocol):
    """A frame, as far as places need it."""

    @property
    def program(self) -> Program: ...
    @property
    def origin(self) -> Entered | None: ...


def where(frame: PlacedFrame, node: AnyNode) -> str:
    """Where a node stands: the names of graphs, nodes and callers on the way to it, and its own; no numbers."""
    names = [node.name]
    while frame.origin is not None:
        origin = frame.origin
        entered, _ = origin.node.entry()
        if entered is not node:  # which has named itself
            names.append(origin.node.name)
        if origin.call is not None:
            names.append(origin.call.caller.name)
        frame = origin.frame
    names.append(frame.program.name)
    return BETWEEN.join(reversed(names))
