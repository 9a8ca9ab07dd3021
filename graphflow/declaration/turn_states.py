"""The hidden states in which agents with `remembers="laps"` and `"own"` keep what they have said in this run.

Rules:
1. The graph that such an agent stands in owns its state, without being told to. It is one like all others, so what a lost
   branch has said is lost, and behind a join stands what all of its branches have said, in logical order.
2. It is part of no file, of no picture and of no form of a graph, and `run.state` does not list it.
"""

from __future__ import annotations

from collections.abc import Iterable

from graphflow.declaration.node import AnyNode
from graphflow.merges import extend
from graphflow.messages.state import AnyState, State
from graphflow.model.conversation import Remembers

KEEPING_TURNS: frozenset[Remembers | None] = frozenset({"laps", "own"})
"""The ways of remembering that need what was said earlier in the same run."""
PREFIX = "turns_of_"


def turn_state(agent: str) -> AnyState:
    """The state of an agent: what it has said, a text for each activation."""
    letters = [letter if letter.isalnum() else "_" for letter in agent]
    state: AnyState = State(PREFIX + "".join(letters), list[str], start=[], merge=extend)
    state.hidden = True
    return state


def turn_states(nodes: Iterable[AnyNode]) -> tuple[AnyState, ...]:
    """The states of those agents among some nodes, and behind them, that keep what they say; each once."""
    found: dict[str, AnyState] = {}
    for node in nodes:
        target, _ = node.entry()
        for each in (node, target):
            if each.remembers not in KEEPING_TURNS:
                continue
            for state in each.adds:
                if state.hidden:
                    found[state.name] = state
    return tuple(found.values())


def shown_states(states: Iterable[AnyState]) -> list[AnyState]:
    """The states that people have declared."""
    return [state for state in states if not state.hidden]
