"""Scopes: the path of forks, laps and joins that led to a token, and the order that it gives.

A scope is a tuple of elements, outermost first. The first part of an element is its region, a number that tells the three
kinds apart:

    (slot, (link, item))          a fork: by which link, as which item of a map
    (-1 - loop, (laps, ...))      a loop: how often each of its lap edges was taken
    (size + slot, (link, rank))   a join that shares its fork with other joins; its answer stands where the fork's first
                                  branch to it stood

    planner.each >> worker, where each worker goes round a loop of its own; the third one after its first lap:

        ((planner, (planner.each >> worker, 2)), (-1 - loop, (1,)))

Tokens of one frame never have equal scopes, so every order made from them is total and owes nothing to the clock.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from graphflow.events import Scope
from graphflow.proofs.program import Link, Program

ScopeElement = tuple[int, Any]
Order = tuple[Any, ...]
"""What tokens are sorted by: nested tuples of numbers, compared element by element."""


def order_of(scope: Scope, program: Program) -> Order:
    """What to sort tokens by: wiring and list index at a fork, the number of the lap in a loop.

    A token that goes round a loop that the fork stands in comes after those that do not, whichever edge was written first:
    otherwise the second lap's messages would stand before the first lap's.
    """
    loops_of = program.loops_of
    size = program.size
    order: list[object] = []
    # From the inside out, because only what stands further in tells whether a fork was left by another lap.
    inner_loops: set[int] = set()
    for region, at in reversed(scope):
        if region < 0:
            loop = -1 - region
            inner_loops.add(loop)
            laps = sum(at)
            lap = (region, laps, at)
            order.append(lap)
            continue
        fork = region
        is_join = region >= size
        if is_join:
            fork = _fork_of_join(region, program)
        around = loops_of.get(fork, ())
        again = not inner_loops.isdisjoint(around)
        link, item = at
        branch = (fork, again, link, is_join, item)
        order.append(branch)
    order.reverse()
    return tuple(order)


def _fork_of_join(region: int, program: Program) -> int:
    slot = program.slots[region - program.size]
    spec = slot.join
    assert spec is not None  # only joins add such an element
    return spec.fork


def cross(link: Link, scope: Scope) -> Scope:
    """The scope after a link that leaves, laps or enters loops."""
    scope = left(scope, link.leaves)
    if link.lap is not None:
        scope = _with_lap(scope, link.lap, single=link.single)
    for loop, laps in link.enters:
        counts = (0,) * laps
        element = (-1 - loop, counts)
        scope = (*scope, element)
    return scope


def _with_lap(scope: Scope, lap: tuple[int, int], *, single: bool) -> Scope:
    """The scope after one more lap of the innermost run of a loop."""
    #     no fork behind the loop:           (..., loop 1)          becomes  (..., loop 2)
    #     a fork behind it:                  (..., loop 1, fork)    becomes  (..., loop 1, fork, loop 2)
    #     the same, with one token a lap:    (..., loop 1, fork)    becomes  (..., loop 2)
    #
    # What stands before a fork tells which run of the fork it is, so only what stands behind the last fork may change.
    # Where at most one token of each lap goes round again (`single`), the lap's number alone tells tokens apart, and what
    # the lap before had added is dropped: scopes do not grow with the laps.
    loop, position = lap
    region = -1 - loop
    at = _last_place(region, scope)
    _, laps = scope[at]
    counts = list(laps)
    counts[position] += 1
    element = (region, tuple(counts))
    before = scope[:at]
    behind = scope[at + 1 :]
    if single:
        return (*before, element)
    for other, _ in behind:
        if other >= 0:
            return (*scope, element)
    return (*before, element, *behind)


def _last_place(region: int, scope: Scope) -> int:
    """Where the innermost element of a region stands."""
    at = len(scope) - 1
    while scope[at][0] != region:
        at -= 1
    return at


def left(scope: Scope, loops: Collection[int]) -> Scope:
    """The scope without the laps of these loops, as far as no fork stands behind them."""
    if not loops:
        return scope
    regions = [-1 - loop for loop in loops]
    behind: list[ScopeElement] = []
    end = len(scope)
    while end:
        element = scope[end - 1]
        region = element[0]
        if region >= 0:
            break
        if region not in regions:
            behind.append(element)
        end -= 1
    behind.reverse()
    return (*scope[:end], *behind)


def scope_after(laps: Sequence[int], slot: int, program: Program) -> Scope:
    """The scope of the one token of a straight walk, at a node, after so many laps on each lap edge."""
    loops = program.loops_of.get(slot, ())
    elements: list[ScopeElement] = []
    for loop in loops:
        counts = _lap_counts(laps, loop, program)
        element = (-1 - loop, counts)
        elements.append(element)
    return tuple(elements)


def _lap_counts(laps: Sequence[int], loop: int, program: Program) -> tuple[int, ...]:
    """How often each lap edge of a loop was taken, by its position in the loop."""
    counts: dict[int, int] = {}
    for link in program.links:
        if link.lap is None:
            continue
        its_loop, position = link.lap
        if its_loop == loop:
            counts[position] = laps[link.lap_index]
    in_order = [counts[position] for position in sorted(counts)]
    return tuple(in_order)


def laps_of(scope: Scope, loop: int) -> tuple[int, ...] | None:
    """How often each lap edge of a loop was taken since the loop was entered."""
    region = -1 - loop
    for other, counts in reversed(scope):
        if other == region:
            laps: tuple[int, ...] = counts
            return laps
    return None


def scope_text(scope: Scope, program: Program) -> str:
    """A scope as people read it: `planner.each[2] > lap 1`."""
    if not scope:
        return "the outermost"
    parts: list[str] = []
    for region, at in scope:
        part = _element_text(region, at, program)
        parts.append(part)
    return " > ".join(parts)


def _element_text(region: int, at: Sequence[int], program: Program) -> str:
    slots = program.slots
    if region < 0:
        laps = sum(at)
        return f"lap {laps}"
    if region >= program.size:
        number = region - program.size
        join = slots[number]
        return f"behind {join.name}"
    number, item = at
    fork = slots[region]
    link = program.links[number]
    if link.each:
        return f"{fork.name}.each[{item}]"
    target = slots[link.target]
    return f"{fork.name} >> {target.name}"
