"""Who may answer: whose words may become the answer of a run, so that they are shown while they are said.

    START >> planner >> writer >> END       # the writer's words; not the planner's, which go to the writer

Rules:
1. A node may if it says its output itself, as text, and an edge leads from it to END; of a nested graph, if that one may.
2. A router says which way to go and passes on something else: it may not. Who is called by a model answers that model.
3. Where all ends count, the answer is a list, and none of them is the answer.
"""

from __future__ import annotations

from typing import TypeAlias

from graphflow.events import (
    CallFailed,
    CallFinished,
    CallStarted,
    Event,
    FrameEntered,
    ModelDelta,
    ModelFinished,
    ModelRetried,
    NodeFailed,
    NodeFinished,
    NodeStarted,
)
from graphflow.proofs.program import Program, Slot
from graphflow.runtime.run_record import RunRecord

ActivationId: TypeAlias = tuple[int, int]
"""The number of a frame, and of an activation in it."""


class Speakers:
    """Who speaks in a run, as its events tell."""

    def __init__(self, run: RunRecord[object]) -> None:
        self._run = run
        self._nodes: dict[ActivationId, str] = {}
        self._entered: dict[int, FrameEntered] = {}

    def take(self, event: Event) -> None:
        """Takes note of an event; all of the run are given, in order."""
        match event:
            case FrameEntered():
                self._entered[event.frame] = event
            case NodeStarted():
                self._nodes[event.frame, event.activation] = event.node
            case _:
                pass

    def may_answer(self, piece: ModelDelta | ModelFinished) -> bool:
        """Whether what a node says may become the answer of the run as it is."""
        frame = piece.frame
        slot = self._slot(frame, piece.node)
        if slot is None or not _answers_itself(slot):
            return False
        while _leads_to_end(self._program(frame), slot):
            if frame == 0:
                return self._program(0).ends != "all"
            entered = self._entered[frame]
            frame = entered.parent
            around = self._nodes.get((frame, entered.activation), "")
            slot = self._slot(frame, around)
            # Who is called by a model answers that model.
            if slot is None or not slot.enters:
                return False
        return False

    def _program(self, frame: int) -> Program:
        program, _, _ = self._run.frames[frame]
        return program

    def _slot(self, frame: int, name: str) -> Slot | None:
        for slot in self._program(frame).slots:
            if slot.name == name:
                return slot
        return None


def _answers_itself(slot: Slot) -> bool:
    """Whether a node answers with a text that it says: routers say a choice, and pass on something else."""
    node = slot.node
    return node is not None and node.output is str and not slot.passes_input


def _leads_to_end(program: Program, slot: Slot) -> bool:
    return any(link.target == program.end for link in slot.links)


def worker_of(event: Event) -> str | None:
    """Who is at work since an event; "": nobody that is known; None: it does not tell."""
    match event:
        case NodeStarted():
            return event.node
        case CallStarted():
            return f"{event.caller} > {event.node}"
        case ModelRetried():
            return f"{event.node}, attempt {event.attempt}"
        case NodeFinished() | NodeFailed() | CallFinished() | CallFailed():
            return ""
        case _:
            return None
