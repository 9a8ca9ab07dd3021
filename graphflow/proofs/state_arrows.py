"""Arrows that write: `planner >> plan` writes what the planner answers into the state `plan`.

Where the state has a merge, the answer is added; else it replaces the value. An arm of the answer may be named:
`critic[Note] >> notes`.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphflow.declaration.arrows import Edge, StateEnd
from graphflow.declaration.node import Node
from graphflow.declaration.state_arrow import StateArrow
from graphflow.messages.state import AnyState, StateWrite, StateWrites, WriteKind
from graphflow.messages.types import accepts, arms, matcher, type_name
from graphflow.proofs.problems import Problems


def part_state_arrows(edges: Sequence[Edge]) -> tuple[list[Edge], list[Edge]]:
    """The arrows between nodes, and those that write states."""
    writing = [edge for edge in edges if isinstance(edge.target, StateEnd)]
    if not writing:
        return list(edges), writing
    return [edge for edge in edges if not isinstance(edge.target, StateEnd)], writing


def read_state_arrows(edges: Sequence[Edge], problems: Problems) -> list[StateArrow]:
    """Those of a graph; what cannot be one is a problem."""
    arrows: list[StateArrow] = []
    for edge in edges:
        why = _problem_of(edge)
        if why:
            problems.add(f"{edge!r}: {why}", edge.where)
        else:
            arrows.append(_arrow_of(edge))
    return arrows


def _arrow_of(edge: Edge) -> StateArrow:
    origin, target = edge.origin, edge.target
    assert isinstance(target, StateEnd)
    assert isinstance(origin.node, Node)
    state = target.state
    kind: WriteKind = "set" if state.merge is None else "add"
    matches = None
    if origin.arm is not None:
        matches = matcher(origin.arm)
    return StateArrow(origin.node, state, kind, matches, edge)


def _problem_of(edge: Edge) -> str:
    """Why an arrow cannot write; "" if it can."""
    origin, target = edge.origin, edge.target
    assert isinstance(target, StateEnd)
    state = target.state
    if not isinstance(origin.node, Node):
        return "the input of a graph is written by no arrow; have a node write it"
    if origin.guard is not None or origin.each or origin.laps is not None:
        return "an arrow into a state takes an arm, and no .when(), .each or .limit(); have the node write what it wants"
    if origin.node.passes_input:
        return f"{origin.node.name!r} only chooses a way; have the node before it write"
    sent = origin.node.output
    if origin.arm is not None:
        return _problem_of_arm(edge, sent, state)
    unfit = [arm for arm in arms(sent) if not accepts(state.type, arm)]
    if unfit:
        return (
            f"{origin.node.name!r} answers {type_name(unfit[0])}, and the state is {state.kind}; "
            "have it answer that, or name the arm that fits"
        )
    return ""


def _problem_of_arm(edge: Edge, sent: object, state: AnyState) -> str:
    arm = edge.origin.arm
    if isinstance(arm, (str, int)):
        return "a label says where to go, and is no value; have a node write it"
    possible = [kind for kind in arms(sent) if accepts(arm, kind) or accepts(kind, arm)]
    if not possible:
        return f"{edge.origin.node.name!r} never answers that"
    if not accepts(state.type, arm):
        return f"it writes {type_name(arm)}, and the state is {state.kind}"
    return ""


def written_by_arrows(arrows: Sequence[StateArrow], output: object) -> StateWrites:
    """What an answer of a node writes by its arrows, in the order in which these were written."""
    writes: list[StateWrite] = []
    for arrow in arrows:
        if arrow.matches is None or arrow.matches(output):
            writes.append(StateWrite(arrow.state, arrow.kind, output))
    return tuple(writes)
