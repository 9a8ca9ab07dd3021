"""Tokens: what one message becomes behind a node.

planner >> log, planner.each >> worker      one list of three becomes four tokens: one for `log`, three for `worker`
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphflow.events import Scope
from graphflow.proofs.program import Link, Slot
from graphflow.walk.joins import Chain, Gate, JoinState, chain_of

Send = tuple[Link, Any]
"""A link that is taken, and the message on it; for a link that maps, the items."""
Sends = list[Send]
Token = tuple[Link, Any, Scope, Chain]
"""A link, the message on it, its scope before the link is crossed, and the waypoints that it carries."""


def with_items(sends: Sends, items: Sequence[object]) -> Sends:
    """What is sent, where some links map the message: those carry its items."""
    mapped: Sends = []
    for link, message in sends:
        mapped.append((link, items if link.each else message))
    return mapped


def tokens_of(
    slot: Slot,
    sends: Sends,
    scope: Scope,
    joins: Chain,
    opened: Sequence[JoinState],
    gate: Gate | None,
) -> list[Token]:
    """The tokens that a node sends, in the order of the wiring and of the list.

    Args:
        slot: the node.
        sends: what it sends along which link.
        scope: of the token that came in.
        joins: what that one carried.
        opened: the joins that this run of the fork has opened.
        gate: the gate of this run of the fork, if it has one.
    """
    tokens: list[Token] = []
    for link, message in sends:
        chain = chain_of(link, joins, opened)
        if gate is not None and gate not in chain:
            chain = (*chain, gate)
        if link.each:
            for number, item in enumerate(message):
                element = (slot.index, (link.index, number))
                tokens.append((link, item, (*scope, element), chain))
            continue
        # Only a fork lengthens the scope: behind any other node there is one token, as there was before it.
        at = (*scope, link.element) if slot.forks else scope
        tokens.append((link, message, at, chain))
    return tokens
