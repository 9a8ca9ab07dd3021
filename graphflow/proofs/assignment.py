"""Definite assignment: at which nodes a state is set on every way there, as compilers prove it of variables.

START >> plan >> draft        set at `draft`: `plan` sets it, and there is no other way
START >> (plan, look) >> draft    set, too: the join waits for both
ask["long"] >> plan >> draft  and ask["short"] >> draft    not set: the short way leads past `plan`
"""

from __future__ import annotations

from graphflow.proofs.conflicts import links_of
from graphflow.proofs.program import JoinSpec, Link, Program, Slot

_Leading = list[tuple[Slot, Link]]
"""The links that lead to a node, each with the slot that it leaves."""


class Assignment:
    """At which nodes a state is set on every way there.

    A join has what was set in any of the branches that it must wait for; everything else what was set on each way.
    """

    def __init__(self, program: Program, setters: set[int]) -> None:
        self._program = program
        self._setters = setters
        self._leading = _leading(program)
        # Every node counts as set until a way without the state leads to it. Begun the other way round, no loop would ever
        # be set: its first node would wait for its own lap.
        self._is_set = [True] * program.size
        self._is_set[program.start] = False

    def proven(self) -> list[bool]:
        """Of each node whether the state is set there."""
        has_changed = True
        while has_changed:
            has_changed = False
            for slot in self._program.slots:
                if slot.index == self._program.start or not self._is_set[slot.index]:
                    continue
                if not self._is_set_at(slot):
                    self._is_set[slot.index] = False
                    has_changed = True
        return self._is_set

    def _is_set_at(self, slot: Slot) -> bool:
        leading = self._leading[slot.index]
        join = slot.join
        if join is None:
            return self._is_set_on(leading)
        # At the fork itself, for everything behind it.
        if join.fork in self._setters or self._is_set[join.fork]:
            return True
        for port in join.ports:
            ways = [(source, link) for source, link in leading if link.port == port]
            if port in join.collects:
                if self._is_brought_by_one(ways, join):
                    return True
            elif ways and self._is_set_on(ways):
                return True
        return False

    def _is_brought_by_one(self, ways: _Leading, join: JoinSpec) -> bool:
        """Whether one of the branches that are collected sets the state, and always gets here.

        It may not where a branch that fails is left out.
        """
        slots = self._program.slots
        if slots[join.fork].policy != "cancel":
            return False
        for source, link in ways:
            way = (source, link)
            if self._is_set_on([way]) and self._is_certain(source, link, join.fork):
                return True
        return False

    def _is_certain(self, source: Slot, link: Link, fork: int) -> bool:
        """Whether each token of a fork that takes this way passes it, whatever anybody answers."""
        # A chain is all that is looked at: where it parts or joins, nothing is said of it.
        for _ in self._program.slots:
            is_plain = link.plain and not link.each and link.lap is None
            if not is_plain or link in source.failure_links:
                return False
            if source.index == fork:
                return True
            leading = self._leading[source.index]
            if source.join is not None or source.handoff_links or len(leading) != 1:
                return False
            [(source, link)] = leading
        return False

    def _is_set_on(self, ways: _Leading) -> bool:
        """Whether the state is set on each of these ways."""
        for source, link in ways:
            if self._is_set[source.index]:
                continue
            # Who fails has written nothing.
            has_failed = link in source.failure_links
            if has_failed or source.index not in self._setters:
                return False
        return True


def _leading(program: Program) -> list[_Leading]:
    leading: list[_Leading] = [[] for _ in program.slots]
    for slot in program.slots:
        for link in links_of(slot):
            way = (slot, link)
            leading[link.target].append(way)
    return leading
