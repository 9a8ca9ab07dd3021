"""Arrows that write: `planner >> plan` writes what the planner answers into the state `plan`.

Where the state has a merge, the answer is added; else it replaces the value. An arm of the answer may be named:
`critic[Note] >> notes`.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphflow.declaration.arrows import Edge, StateEnd
from graphflow.declaration.handoffs import Handover
from graphflow.declaration.node import AnyNode, Node
from graphflow.declaration.state_arrow import StateArrow
from graphflow.messages.copies import copy_of
from graphflow.messages.state import AnyState, StateWrite, StateWrites, WriteKind
from graphflow.messages.types import accepts, arms, matcher, type_name
from graphflow.proofs.problems import Problems


def part_state_arrows(edges: Sequence[Edge]) -> tuple[list[Edge], list[Edge]]:
    """The arrows between nodes, and those that write states."""
    between: list[Edge] = []
    writing: list[Edge] = []
    for edge in edges:
        if isinstance(edge.target, StateEnd):
            writing.append(edge)
        else:
            between.append(edge)
    return between, writing


def read_state_arrows(edges: Sequence[Edge], problems: Problems) -> list[StateArrow]:
    """Those of a graph; what cannot be one is a problem."""
    arrows: list[StateArrow] = []
    for edge in edges:
        why = _problem_of(edge)
        if why:
            problems.add(f"{edge!r}: {why}", edge.where)
            continue
        arrow = _arrow_of(edge)
        arrows.append(arrow)
    return arrows


def _arrow_of(edge: Edge) -> StateArrow:
    origin, target = edge.origin, edge.target
    assert isinstance(target, StateEnd)
    assert isinstance(origin.node, Node)
    state = target.state
    kind: WriteKind = "add"
    if state.merge is None:
        kind = "set"
    matches = None
    if origin.arm is not None:
        matches = matcher(origin.arm)
    return StateArrow(origin.node, state, kind, matches, edge)


def _problem_of(edge: Edge) -> str:
    """Why an arrow cannot write; "" if it can."""
    origin, target = edge.origin, edge.target
    assert isinstance(target, StateEnd)
    state = target.state
    node = origin.node
    if not isinstance(node, Node):
        return "the input of a graph is written by no arrow; have a node write it"
    if origin.guard is not None or origin.each or origin.laps is not None:
        return "an arrow into a state takes an arm, and no .when(), .each or .limit(); have the node write what it wants"
    # A router's answer is its input: an arrow would write what somebody else has said.
    if node.passes_input:
        return f"{node.name!r} only chooses a way; have the node before it write"
    if origin.arm is not None:
        return _problem_of_arm(node, origin.arm, state)
    return _problem_of_answer(node, state)


def _problem_of_answer(node: AnyNode, state: AnyState) -> str:
    """Why not every answer of a node is a value of a state."""
    for arm in arms(node.output):
        if not accepts(state.type, arm):
            return (
                f"{node.name!r} answers {type_name(arm)}, and the state is {state.kind}; "
                "have it answer that, or name the arm that fits"
            )
    return ""


def _problem_of_arm(node: AnyNode, arm: object, state: AnyState) -> str:
    """Why one arm of a node's answer cannot be written."""
    if isinstance(arm, (str, int)):
        return "a label says where to go, and is not a value; have a node write it"
    if not _may_answer(node, arm):
        return f"{node.name!r} never answers that"
    if not accepts(state.type, arm):
        return f"it writes {type_name(arm)}, and the state is {state.kind}"
    return ""


def _may_answer(node: AnyNode, arm: object) -> bool:
    for kind in arms(node.output):
        # An arm may be named by a narrower type than is declared, or by a wider one.
        if accepts(arm, kind) or accepts(kind, arm):
            return True
    return False


def written_by_arrows(arrows: Sequence[StateArrow], output: object) -> StateWrites:
    """What an answer of a node writes by its arrows, in the order in which these were written."""
    writes: list[StateWrite] = []
    for arrow in arrows:
        if arrow.matches is None or arrow.matches(output):
            # The state's own: whoever gets the answer may change it.
            write = StateWrite(arrow.state, arrow.kind, copy_of(output))
            writes.append(write)
    return tuple(writes)


def written_by_code(
    writes: StateWrites, arrows: Sequence[StateArrow], output: object
) -> StateWrites:
    """Those of an activation's writes that are not written by its arrows.

    Args:
        writes: all, those of its arrows last.
        arrows: its arrows that write.
        output: its answer.
    """
    if not arrows or type(output) is Handover:
        return writes
    matching = [arrow for arrow in arrows if arrow.matches is None or arrow.matches(output)]
    return writes[: len(writes) - len(matching)]
