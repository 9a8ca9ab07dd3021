"""What is proven of the states of a graph before a token is spent.

1. Every state that a node touches is owned by its graph, or lent by one around it.
2. No two nodes on ways that meet get in each other's way (`conflicts.py`).
3. A state without a start value is set on every way to whoever reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from graphflow.declaration.arrows import Edge
from graphflow.declaration.node import AnyNode
from graphflow.declaration.state_arrow import StateArrow
from graphflow.errors import DeclarationError
from graphflow.messages.state import UNSET, AnyState, State, WriteKind
from graphflow.proofs.conflicts import Conflict, UnprovenConflicts, conflicts, links_of
from graphflow.proofs.problems import Problems
from graphflow.proofs.program import Link, Program, Slot
from graphflow.proofs.state_arrows import read_state_arrows

Reached = Callable[[AnyNode], Iterable[AnyNode]]
"""What a node may call, hand over to or stand for."""
WriteKinds = dict[AnyState, set[WriteKind]]


def visible_states(
    graph: str, state: Sequence[AnyState], uses: Sequence[AnyState]
) -> dict[str, AnyState]:
    """The states that the nodes of a graph can see, by name.

    Raises:
        DeclarationError: something else is given, or two have one name.
    """
    visible: dict[str, AnyState] = {}
    for option, states in (("state", state), ("uses", uses)):
        if not _are_states(states):
            raise DeclarationError(
                f"graph {graph!r}: {option}={states!r}; give a list of State(...)"
            )
        for each in states:
            if each.name in visible:
                raise DeclarationError(f"graph {graph!r}: it has two states named {each.name!r}")
            visible[each.name] = each
    return visible


def _are_states(states: object) -> bool:
    if not isinstance(states, (list, tuple)):
        return False
    return all(isinstance(each, State) for each in states)


class StateProofs:
    """The proofs for the states of one graph.

    Args:
        program: the graph, compiled.
        reached: what each of its nodes may call.
    """

    def __init__(self, program: Program, reached: Reached) -> None:
        self._program = program
        self._reached = reached
        self._visible = program.states or {}
        self._within: dict[int, list[AnyNode]] = {}
        self.problems = Problems()

    def prove(self, writing: Sequence[Edge] = ()) -> tuple[str, ...]:
        """What is wrong; nothing, if all holds.

        Args:
            writing: the arrows that write states. Their nodes know them from here on.
        """
        # Ten thousand nodes are built in a moment, and nearly no graph has states.
        if not (self._visible or writing or self._touches_any()):
            return ()
        for slot in self._program.slots:
            if slot.node is not None:
                self._within[slot.index] = _all_within(slot.node, self._reached)
        arrows = read_state_arrows(writing, self.problems)
        self._take_arrows(arrows)
        self._prove_owners()
        # Who writes a state that is not there needs no proof of where.
        if self.problems:
            return self.problems.texts
        for state in self._visible.values():
            self._prove_apart(state)
            if state.start is UNSET and state in self._program.owned:
                self._prove_set(state)
        return self.problems.texts

    def _touches_any(self) -> bool:
        """Whether a node touches a state, or stands for or calls others, which may."""
        for slot in self._program.slots:
            node = slot.node
            if node is None:
                continue
            if node.reads or node.adds or node.sets or node.kind == "graph":
                return True
        return any(self._program.callees.values())

    def _take_arrows(self, arrows: Sequence[StateArrow]) -> None:
        by_node: dict[str, list[StateArrow]] = {}
        for arrow in arrows:
            by_node.setdefault(arrow.node.name, []).append(arrow)
        for slot in self._program.slots:
            slot.state_arrows = tuple(by_node.pop(slot.name, ()))
        for name, left in by_node.items():
            where = left[0].edge.where
            self.problems.add(f"{name!r} writes a state, and is on no arrow of the graph", where)

    # -- 1. every state has an owner ---------------------------------------------------------------
    def _prove_owners(self) -> None:
        self._prove_arrows_owned()
        for nodes in self._within.values():
            for node in nodes:
                self._prove_owned(node)

    def _prove_arrows_owned(self) -> None:
        name = self._program.name
        for slot in self._program.slots:
            for arrow in slot.state_arrows:
                state, edge = arrow.state, arrow.edge
                known = self._visible.get(state.name)
                if known != state:
                    self.problems.add(
                        f"{edge!r}: graph {name!r} neither owns nor uses that state; "
                        f"write Graph(..., state=[{state.name}])",
                        edge.where,
                    )

    def _prove_owned(self, node: AnyNode) -> None:
        name = self._program.name
        if node.in_background:
            self._refuse_writers_in(node)
        for state in node.touched:
            known = self._visible.get(state.name)
            if known is None:
                self.problems.add(
                    f"{node.name!r} touches state {state.name!r}, which graph {name!r} neither owns nor uses; "
                    f"write Graph(..., state=[{state.name}]), or uses=[{state.name}] if a graph around owns it",
                    node.where,
                )
            elif known != state:
                self.problems.add(
                    f"{node.name!r} touches a state {state!r}, and that of graph {name!r} is {known!r}",
                    node.where,
                )

    def _refuse_writers_in(self, node: AnyNode) -> None:
        """A call in the background has an end of its own, and nobody behind whom its writes would stand."""
        for within in _all_within(node, self._reached):
            for state in within.touched:
                if within.writes_to(state):
                    self.problems.add(
                        f"{within.name!r} writes state {state.name!r}, and is called in the background ({node.name!r}); "
                        "call it without background=True, or have whoever takes its answer write",
                        node.where,
                    )

    # -- 2. nobody is in another's way -------------------------------------------------------------
    def _prove_apart(self, state: AnyState) -> None:
        writers: dict[int, set[WriteKind]] = {}
        for number in self._within:
            kinds = self._kinds_at(state, number)
            if kinds:
                writers[number] = kinds
        if not any("set" in kinds for kinds in writers.values()):
            return
        try:
            found = conflicts(self._program, writers)
        except UnprovenConflicts:
            self.problems.add(
                f"state {state.name!r}: the graph is too large to prove that its writers are not in each other's way; "
                "let them add instead of set"
            )
            return
        for conflict in found:
            self._report(state, conflict, writers)

    def _report(
        self, state: AnyState, conflict: Conflict, writers: dict[int, set[WriteKind]]
    ) -> None:
        slots = self._program.slots
        first = slots[conflict.first]
        second = slots[conflict.second]
        fork = slots[conflict.fork]
        where = None
        if second.node is not None:
            where = second.node.where
        verb = _verb(writers[first.index])
        who = f"{first.name!r} {verb} state {state.name!r}"
        beside = "in several branches"
        if first is not second:
            verb = _verb(writers[second.index])
            beside = f"and {second.name!r} {verb} it, on ways"
        self.problems.add(
            f"{who} {beside} that part at {fork.name!r} and meet again: only one of them would count; "
            f"let both add to it (State(..., merge=...)), with merge=last if the last one shall win",
            where,
        )

    def _kinds_at(self, state: AnyState, number: int) -> set[WriteKind]:
        """How a node writes a state: by its code, by what it calls, by its arrows."""
        kinds: set[WriteKind] = set()
        for node in self._within.get(number, ()):
            kinds |= node.writes_to(state)
        slot = self._program.slots[number]
        for arrow in slot.state_arrows:
            if arrow.state == state:
                kinds.add(arrow.kind)
        return kinds

    # -- 3. what has no start is set before it is read ---------------------------------------------
    def _prove_set(self, state: AnyState) -> None:
        setters: set[int] = set()
        readers: list[tuple[Slot, AnyNode]] = []
        for slot in self._program.slots:
            kinds = self._kinds_at(state, slot.index)
            if "set" in kinds:
                setters.add(slot.index)
            node = slot.node
            # Adding reads too: what is added is merged into a value.
            if node is not None and (state in node.reads or state in node.adds):
                reader = (slot, node)
                readers.append(reader)
        is_set = _Assignment(self._program, setters).proven()
        for slot, node in readers:
            if not is_set[slot.index]:
                self.problems.add(
                    f"{slot.name!r} needs a value of state {state.name!r}, which has no start and is not set on every way there; "
                    "give it start=..., or set it before",
                    node.where,
                )


def _all_within(node: AnyNode, reached: Reached) -> list[AnyNode]:
    """A node, and all that may run as part of it."""
    found: list[AnyNode] = [node]
    todo = [node]
    while todo:
        for other in reached(todo.pop()):
            if not any(other is known for known in found):
                found.append(other)
                todo.append(other)
    return found


def _verb(kinds: set[WriteKind]) -> str:
    if "set" in kinds:
        return "sets"
    return "adds to"


_Leading = list[tuple[Slot, Link]]
"""The links that lead to a node, each with the slot that it leaves."""


class _Assignment:
    """At which nodes a state is set on every way there: definite assignment, as compilers prove it of variables.

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
            # A port that collects may have got nothing.
            if port in join.collects:
                continue
            ways = [(source, link) for source, link in leading if link.port == port]
            if ways and self._is_set_on(ways):
                return True
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
