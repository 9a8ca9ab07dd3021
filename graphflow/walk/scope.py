"""Scopes: the path of forks, laps and joins that led to a token, and the order that it gives.

A scope is a tuple of elements, outermost first:

    (slot, (link, item))          a fork: by which link, as which item of a map
    (-1 - loop, (laps, ...))      a loop: how often each of its lap edges was taken
    (size + slot, (link, rank))   a join that shares its fork with other joins; its answer stands where the fork's first
                                  branch to it stood

Tokens of one frame never have equal scopes, so every order made from them is total and owes nothing to the clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from graphflow.events import Scope
from graphflow.proofs.program import Link, Program

Order = tuple[Any, ...]


def order_of(scope: Scope, program: Program) -> Order:
    """What to sort tokens by: wiring and list index at a fork, the number of the lap in a loop.

    Who goes round a loop that the fork stands in comes after those who do not, whichever edge was written first: else
    the second lap's messages would stand before the first lap's.
    """
    loops_of, size = program.loops_of, program.size
    order: list[Any] = []
    lapped: set[int] = set()
    for region, at in reversed(scope):
        if region < 0:
            lapped.add(-1 - region)
            order.append((region, sum(at), at))
            continue
        joined = region >= size
        fork = program.slots[region - size].join.fork if joined else region  # type: ignore[union-attr]  # a join has one
        again = not lapped.isdisjoint(loops_of.get(fork, ()))
        order.append((fork, again, at[0], joined, at[1]))
    order.reverse()
    return tuple(order)


def cross(link: Link, scope: Scope) -> Scope:
    """The scope after a link that leaves, laps or enters loops.

    What stands before a fork tells which run of the fork it is, so only what stands behind the last fork may change.
    Where at most one token of each lap goes round again (`link.single`), the lap's number alone tells tokens apart, and
    what the lap before had added is dropped: scopes do not grow with the laps.
    """
    scope = left(scope, link.leaves)
    if link.lap is not None:
        loop, position = link.lap
        place = next(i for i in range(len(scope) - 1, -1, -1) if scope[i][0] == -1 - loop)
        region, counts = scope[place]
        lapped = (region, (*counts[:position], counts[position] + 1, *counts[position + 1 :]))
        if link.single:
            scope = (*scope[:place], lapped)
        elif any(element[0] >= 0 for element in scope[place + 1 :]):
            scope = (*scope, lapped)
        else:
            scope = (*scope[:place], lapped, *scope[place + 1 :])
    return (*scope, *((-1 - loop, (0,) * laps) for loop, laps in link.enters))


def left(scope: Scope, loops: Iterable[int]) -> Scope:
    """The scope without the laps of these loops, as far as no fork stands behind them."""
    gone = {-1 - loop for loop in loops}
    end = len(scope)
    while end and scope[end - 1][0] < 0:
        end -= 1
    return (*scope[:end], *(element for element in scope[end:] if element[0] not in gone))


def scope_after(laps: Sequence[int], slot: int, program: Program) -> Scope:
    """The scope of the one token of a straight walk, at a node, after so many laps on each lap edge."""
    counted = [link for link in program.links if link.lap is not None]
    return tuple(
        (
            -1 - loop,
            tuple(laps[link.lap_index] for link in sorted(counted, key=_position) if link.lap and link.lap[0] == loop),
        )
        for loop in program.loops_of.get(slot, ())
    )


def _position(link: Link) -> tuple[int, int]:
    return link.lap or (-1, -1)


def laps_of(scope: Scope, loop: int) -> tuple[int, ...] | None:
    """How often each lap edge of a loop was taken since the loop was entered."""
    key = -1 - loop
    return next((counts for region, counts in reversed(scope) if region == key), None)


def scope_text(scope: Scope, program: Program) -> str:
    """A scope as people read it: `planner.each[2] > lap 1`."""
    parts: list[str] = []
    for region, at in scope:
        if region < 0:
            parts.append(f"lap {sum(at)}")
        elif region >= program.size:
            parts.append(f"behind {program.slots[region - program.size].name}")
        else:
            slot = program.slots[region]
            link = program.links[at[0]]
            name = program.slots[link.target].name
            parts.append(f"{slot.name}.each[{at[1]}]" if link.each else f"{slot.name} >> {name}")
    return " > ".join(parts) or "the outermost"
