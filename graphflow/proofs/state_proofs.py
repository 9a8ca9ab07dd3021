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
from graphflow.proofs.conflicts import Conflict, UnprovenConflicts, conflicts
from graphflow.proofs.problems import Problems
from graphflow.proofs.program import JoinSpec, Link, Program, Slot
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
        if not isinstance(states, (list, tuple)) or not all(
            isinstance(each, State) for each in states
        ):
            raise DeclarationError(
                f"graph {graph!r}: {option}={states!r}; give a list of State(...)"
            )
        for each in states:
            if each.name in visible:
                raise DeclarationError(f"graph {graph!r}: it has two states named {each.name!r}")
            visible[each.name] = each
    return visible


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
        self._take_arrows(read_state_arrows(writing, self.problems))
        self._prove_owners()
        if not self.problems:
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
        name = self._program.name
        for slot in self._program.slots:
            for arrow in slot.state_arrows:
                if self._visible.get(arrow.state.name) != arrow.state:
                    self.problems.add(
                        f"{arrow.edge!r}: graph {name!r} neither owns nor uses that state; "
                        f"write Graph(..., state=[{arrow.state.name}])",
                        arrow.edge.where,
                    )
        for nodes in self._within.values():
            for node in nodes:
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
        first, second, fork = (slots[number] for number in conflict)
        where = None if second.node is None else second.node.where
        who = f"{first.name!r} {_verbs(writers[first.index])} state {state.name!r}"
        if first is second:
            beside = "in several branches"
        else:
            beside = f"and {second.name!r} {_verbs(writers[second.index])} it, on ways"
        self.problems.add(
            f"{who} {beside} that part at {fork.name!r} and meet again: only one of them would count; "
            f"let both add to it (State(..., merge=...)), with merge=last if the last one shall win",
            where,
        )

    def _kinds_at(self, state: AnyState, number: int) -> set[WriteKind]:
        """How a node writes a state: by its code, by what it calls, by its arrows."""
        kinds = _kinds_of(state, self._within.get(number, []))
        slot = self._program.slots[number]
        return kinds | {arrow.kind for arrow in slot.state_arrows if arrow.state == state}

    # -- 3. what has no start is set before it is read ---------------------------------------------
    def _prove_set(self, state: AnyState) -> None:
        setters: set[int] = set()
        readers: list[Slot] = []
        for slot in self._program.slots:
            if "set" in self._kinds_at(state, slot.index):
                setters.add(slot.index)
            own = [] if slot.node is None else [slot.node]
            if any(state in (*node.reads, *node.adds) for node in own):
                readers.append(slot)
        is_set = _set_before(self._program, setters)
        for slot in readers:
            if is_set[slot.index]:
                continue
            node = slot.node
            assert node is not None
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


def _kinds_of(state: AnyState, nodes: Sequence[AnyNode]) -> set[WriteKind]:
    kinds: set[WriteKind] = set()
    for node in nodes:
        kinds |= node.writes_to(state)
    return kinds


def _verbs(kinds: set[WriteKind]) -> str:
    return "sets" if "set" in kinds else "adds to"


def _set_before(program: Program, setters: set[int]) -> list[bool]:
    """Of each node whether a state was set on every way that leads to it.

    A join has what was set in any of the branches that it must wait for; everything else what was set on each way.
    """
    is_set = [True] * program.size
    is_set[program.start] = False
    leading = _leading(program)
    has_changed = True
    while has_changed:
        has_changed = False
        for slot in program.slots:
            if slot.index == program.start or not is_set[slot.index]:
                continue
            if not _is_set_at(slot, leading[slot.index], is_set, setters):
                is_set[slot.index] = False
                has_changed = True
    return is_set


_Leading = list[tuple[Slot, Link]]


def _leading(program: Program) -> list[_Leading]:
    leading: list[_Leading] = [[] for _ in program.slots]
    for slot in program.slots:
        handoffs = [] if slot.handoff_links is None else list(slot.handoff_links.values())
        for link in (*slot.links, *slot.failure_links, *slot.limit_links, *handoffs):
            leading[link.target].append((slot, link))
    return leading


def _is_set_at(slot: Slot, leading: _Leading, is_set: Sequence[bool], setters: set[int]) -> bool:
    def comes_set(source: Slot, link: Link) -> bool:
        # Who fails has written nothing.
        writes = source.index in setters and link not in source.failure_links
        return writes or is_set[source.index]

    join = slot.join
    if join is None:
        return all(comes_set(source, link) for source, link in leading)
    return _is_set_at_join(join, leading, is_set, setters, comes_set)


def _is_set_at_join(
    join: JoinSpec,
    leading: _Leading,
    is_set: Sequence[bool],
    setters: set[int],
    comes_set: Callable[[Slot, Link], bool],
) -> bool:
    # At the fork itself, for everything behind it.
    if join.fork in setters or is_set[join.fork]:
        return True
    for port in join.ports:
        if port in join.collects:
            continue  # it may have got nothing
        ways = [(source, link) for source, link in leading if link.port == port]
        if ways and all(comes_set(source, link) for source, link in ways):
            return True
    return False
