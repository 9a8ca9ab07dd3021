"""What is proven of the states of a graph before a token is spent.

1. Every state that a node touches is owned by its graph, or lent by one around it; by the outermost one, if it lives as long
   as a conversation.
2. No two nodes on ways that meet get in each other's way (`conflicts.py`).
3. A state without a start value is set on every way to whoever reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from graphflow.declaration.arrows import Edge
from graphflow.declaration.node import AnyNode
from graphflow.declaration.state_arrow import StateArrow
from graphflow.errors import DeclarationError
from graphflow.messages.state import UNSET, AnyState, State, WriteKind
from graphflow.proofs.assignment import Assignment
from graphflow.proofs.conflicts import Conflict, UnprovenConflicts, conflicts
from graphflow.proofs.problems import Problems
from graphflow.proofs.program import Program, Slot
from graphflow.proofs.state_arrows import read_state_arrows

Reached = Callable[[AnyNode], Iterable[AnyNode]]
"""What a node may call, hand over to or stand for."""
WriteKinds = dict[AnyState, set[WriteKind]]


def visible_states(
    graph: str,
    state: Sequence[AnyState],
    uses: Sequence[AnyState],
    hidden: Iterable[AnyState] = (),
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
    for each in hidden:
        visible[each.name] = each
    return visible


def _are_states(states: object) -> bool:
    if not isinstance(states, (list, tuple)):
        return False
    return all(isinstance(each, State) for each in states)


def touches_states(nodes: Iterable[AnyNode], callees: Mapping[str, Sequence[AnyNode]]) -> bool:
    """Whether a node touches a state, or stands for or calls others, which may."""
    for node in nodes:
        if node.reads or node.adds or node.sets or node.kind == "graph":
            return True
    return any(callees.values())


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
        for slot in self._program.slots:
            if slot.node is not None:
                within = self._within[slot.index] = _all_within(slot.node, self._reached)
                states = [state for node in within for state in node.touched]
                slot.touched = tuple(dict.fromkeys(states))
        arrows = read_state_arrows(writing, self.problems)
        self._take_arrows(arrows)
        self._prove_owners()
        # Who writes a state that is not there needs no proof of where.
        if self.problems:
            return self.problems.texts
        for state in self._visible.values():
            self._prove_apart(state)
            self._prove_set(state)
        return self.problems.texts

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
                self._prove_answered_anew(node)
                self._refuse_lasting_in(node)

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
            self._refuse_setters_in(node)
        for state in node.touched:
            known = self._visible.get(state.name)
            if known is None:
                self.problems.add(
                    f"{node.name!r} touches state {state.name!r}, which graph {name!r} neither owns nor uses; "
                    f"write Graph(..., state=[{state.name}]), or uses=[{state.name}] if a graph around owns it",
                    node.where,
                )
            elif known != state:
                why = _difference(state, known)
                self.problems.add(
                    f"{node.name!r} touches another state {state.name!r} than that of graph {name!r}: {why}",
                    node.where,
                )

    def _refuse_setters_in(self, node: AnyNode) -> None:
        """A call in the background writes where its answer is looked at: what was set there since would be gone."""
        for within in _all_within(node, self._reached):
            for state in within.touched:
                if "set" in within.writes_to(state):
                    self.problems.add(
                        f"{within.name!r} sets state {state.name!r}, and is called in the background ({node.name!r}), where one "
                        "may only add; let it add, call it without background=True, or have whoever takes its answer set it",
                        node.where,
                    )

    def _refuse_lasting_in(self, node: AnyNode) -> None:
        """A graph within may be entered many times in a run, and a conversation has one value for all of them."""
        for state in node.lasting_states:
            name = state.name
            self.problems.add(
                f"graph {node.name!r} owns state {name!r} of scope 'conversation', which only the outermost graph may; "
                f"write Graph({self._program.name!r}, ..., state=[{name}]) and Graph({node.name!r}, ..., uses=[{name}])",
                node.where,
            )

    def _prove_answered_anew(self, node: AnyNode) -> None:
        """A kept answer would neither write again, nor know what the states are now."""
        if not node.cache:
            return
        for within in _all_within(node, self._reached):
            if not within.touched:
                continue
            state = within.touched[0]
            self.problems.add(
                f"{node.name!r} has cache=..., and {within.name!r} touches state {state.name!r}: a kept answer would leave "
                "that out; take away cache=..., or keep the answers of what touches no state",
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
            f"let both add to it (State(..., merge=..., start=...)), with merge=last if the last one shall win",
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
        program = self._program
        is_owned = state in program.owned
        if is_owned and state.start is not UNSET:
            return
        readers = self._readers_of_unset(state)
        if is_owned:
            self._report_unset(state, readers)
        elif readers:
            # Whoever lends it has to see to that.
            program.needed = (*program.needed, state)

    def _readers_of_unset(self, state: AnyState) -> list[Slot]:
        """The nodes that need a value of a state, and may come before there is one."""
        setters: set[int] = set()
        readers: list[Slot] = []
        for slot in self._program.slots:
            kinds = self._kinds_at(state, slot.index)
            if "set" in kinds:
                setters.add(slot.index)
            if self._needs_value(slot, state):
                readers.append(slot)
        if not readers:
            return []
        is_set = Assignment(self._program, setters).proven()
        return [slot for slot in readers if not is_set[slot.index]]

    def _needs_value(self, slot: Slot, state: AnyState) -> bool:
        """Whether a node needs a value of a state: to read it, or because what is added is merged into one."""
        node = slot.node
        if node is None:
            return False
        if state in (*node.reads, *node.adds, *node.needed_states):
            return True
        adding = [arrow for arrow in slot.state_arrows if arrow.kind == "add"]
        if "set" in node.writes_to(state):
            return False
        return any(arrow.state == state for arrow in adding)

    def _report_unset(self, state: AnyState, readers: Sequence[Slot]) -> None:
        for slot in readers:
            assert slot.node is not None
            self.problems.add(
                f"{slot.name!r} needs a value of state {state.name!r}, which has no start and is not set on every way there; "
                "give it start=..., or set it before",
                slot.node.where,
            )


def _difference(state: AnyState, known: AnyState) -> str:
    """What two states of one name differ in, and what to do about it."""
    if state.type != known.type:
        return f"it is {state.kind}, not {known.kind}"
    return (
        "their merges are two functions; use one State object for both, and if a notebook cell makes it, run the cells "
        "that use it again"
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
