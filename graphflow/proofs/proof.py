"""What is proven about a graph before a token is spent.

Rules:
1. All problems are collected and reported together; a later proof is left out only where an earlier problem would make
   it guess.
2. A problem says both ends, both types, file and line, and what to change.
3. Work is linear in nodes and edges; what depends on types is cached by type.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import or_
from typing import Any, Literal, get_args

from graphflow.declaration.arrows import END, START, Edge, Entry, Origin, Where
from graphflow.declaration.handoffs import HandTo
from graphflow.declaration.node import Node
from graphflow.declaration.ports import Port
from graphflow.limits import DEFAULT_DEPTH, DEFAULT_LAPS
from graphflow.messages.message import (
    Failure,
    LimitReached,
    Type,
    accepts,
    arms,
    disjoint,
    is_wider,
    item_type,
    origin_of,
    type_name,
)
from graphflow.messages.namesakes import Namesakes
from graphflow.proofs.edge_types import (
    Declared,
    Resolved,
    arm_numbers,
    choose,
    covers,
    is_label,
    kinds_text,
    labels_apart,
    named_arms,
    travels,
    units,
)
from graphflow.proofs.joins import place_joins
from graphflow.proofs.loops import order_nodes
from graphflow.proofs.membership import Members, place_text
from graphflow.proofs.tokens import crowding_node, dead_ports, double_end
from graphflow.proofs.topology import GraphEdge, Join, Loop, Topology


class Proof(Members):
    """What is known of one graph, and the list of what is wrong with it."""

    def __init__(self, name: str, paths: Iterable[Entry[Any, Any]], **options: Any) -> None:
        super().__init__(name, paths, **options)
        self.edges: list[Declared] = []
        self.by_source: list[list[Declared]] = []
        self.by_target: list[list[Declared]] = []
        self.input: Type = Any
        self.output: Type = Any
        self.topology: Topology | None = None
        self._resolved: dict[Any, Any] = {}

    def run(self) -> None:
        """Everything, in order; afterwards `problems` holds what is wrong, each thing once."""
        self._prove()
        self.problems = list(dict.fromkeys(self.problems))

    def _prove(self) -> None:
        self._collect_nodes()
        if any(node.handoffs for node in self.nodes):
            self._add_handoffs()
        self.start, self.end = len(self.nodes), len(self.nodes) + 1
        self._check_nodes()
        self._infer_input()
        self._resolve_edges()
        self._number_arms()
        if not self.problems:
            self._check_arms()
            self._check_ports()
            self._check_reach()
        if self.problems:
            return
        self._shape()
        self._check_prompts()
        self._check_nesting()
        self._check_policies()
        self._infer_output()

    # -- edges ---------------------------------------------------------------------------------------------------------
    def _infer_input(self) -> None:
        if self.declared_input is not None:
            self.input = self.declared_input
            return
        wanted: list[Type] = []
        unsure: list[Type] = []
        for edge in self._written:
            if edge.origin.node is START and isinstance(edge.target, Node) and edge.target.ports:
                origin = edge.origin
                if origin.arm is not None:
                    wanted.append(origin.arm)
                    continue
                named = [p for p in edge.target.ports if p.name == edge.port] if edge.port else list(edge.target.ports)
                required = [p for p in named if not p.optional] or named
                kind = required[0].type
                sure = len(required) == 1  # else it is the type that tells which of them is meant
                (wanted if sure else unsure).append(list[kind] if origin.each else kind)  # type: ignore[valid-type]
        self.input = self._common_input(wanted if any(kind is not Any for kind in wanted) else [*wanted, *unsure])

    def _common_input(self, wanted: list[Type]) -> Type:
        firm = [kind for kind in wanted if kind is not Any]
        if not firm:
            return Any
        if any(e.origin.node is START and e.origin.arm is not None for e in self._written):
            union: Type = reduce(or_, firm)
            return union
        for kind in firm:
            if all(accepts(other, kind) for other in firm):
                return kind
        apart = Namesakes(*firm)
        shown = ", ".join(dict.fromkeys(apart.name(kind) for kind in firm))
        hint = apart.hint or "; say what the graph takes: Graph(..., input=Type)"
        self.problems.append(f"START feeds ports of different types ({shown}){hint}")
        return Any

    def _resolve_edges(self) -> None:
        self.by_source = [[] for _ in range(len(self.nodes) + 2)]
        self.by_target = [[] for _ in range(len(self.nodes) + 2)]
        cache = self._resolved
        index = self.index
        for edge in self._written:
            origin, target = edge.origin, edge.target
            node = origin.node
            sent = self.input if node is START else node.output  # type: ignore[union-attr]
            ports = () if target is END else target.ports  # type: ignore[union-attr]
            passing = id(node) if node is not START and node.passes_input else 0  # type: ignore[union-attr]
            arm = None if origin.arm is None else repr(origin.arm)
            key = (id(sent), id(ports), arm, origin.each, edge.port, passing)
            answer = cache.get(key)
            if answer is None:
                answer = cache[key] = self._resolve(edge, sent, ports)
            if isinstance(answer, str):
                self._say(f"{edge!r}: {answer}", edge.where)
                continue
            source = self.start if node is START else index[node.name]
            aim = self.end if target is END else index[target.name]
            declared = Declared(len(self.edges), edge, source, aim, answer)
            self.edges.append(declared)
            self.by_source[source].append(declared)
            self.by_target[aim].append(declared)

    def _resolve(self, edge: Edge, sent: Type, ports: tuple[Port, ...]) -> Resolved | str:
        if isinstance(edge.origin.arm, HandTo):
            number = next(i for i, p in enumerate(ports) if not p.optional)
            kind = ports[number].type
            return (str if kind is Any else kind,), number, False, False, True
        picked = self._picked(edge.origin, sent)
        if isinstance(picked, str):
            return picked
        kinds, whole, exceptional = picked
        if edge.target is END:
            return kinds, 0, False, whole, exceptional
        target = edge.target.name
        candidates = [(i, p) for i, p in enumerate(ports) if edge.port in (None, p.name)]
        fitting = [(i, p) for i, p in candidates if all(p.takes(k) for k in kinds)]
        if not fitting:
            return self._partial(edge, kinds, candidates, exceptional)
        if len(fitting) > 1:
            fitting = [(i, p) for i, p in fitting if all(p.type == k for k in kinds)] or fitting
        if len(fitting) > 1 and len({p.optional for _, p in fitting}) > 1:
            fitting = [(i, p) for i, p in fitting if not p.optional]
        if len(fitting) > 1:
            names = " or ".join(repr(p.name) for _, p in fitting)
            aims = " or ".join(f">> {target}.into({p.name!r})" for _, p in fitting)
            return f"{kinds_text(kinds)} fits more than one port of {target!r} ({names}); say which: {aims}"
        port, chosen = fitting[0]
        ways = {chosen.collects(k) for k in kinds}
        if len(ways) > 1:
            return f"port {chosen.name!r} would get some messages as they are and collect others; use one arm an edge"
        return kinds, port, ways.pop(), whole, exceptional

    def _partial(
        self, edge: Edge, kinds: tuple[Type, ...], candidates: list[tuple[int, Port]], exceptional: bool
    ) -> Resolved | str:
        """An edge may carry some arms only, if the target takes no others and something else takes the rest."""
        if edge.origin.arm is None and not edge.origin.each:
            for i, port in candidates:
                some = tuple(k for k in kinds if port.takes(k))
                if some and len({port.collects(k) for k in some}) == 1:
                    return some, i, port.collects(some[0]), False, exceptional
        source, target = edge.origin.node.name, edge.target.name
        apart = Namesakes(*kinds, *(p.type for _, p in candidates))
        accepts_text = " or ".join(f"{p.name}: {apart.name(p.type)}" for _, p in candidates) or "nothing"
        hint = "add a node that converts, or change one type"
        if not edge.origin.each and any(
            item_type(k) is not None and p.takes(item_type(k)) for k in kinds for _, p in candidates
        ):
            hint = f"to send the items one by one write {source}.each >> {target}"
        hint = apart.hint or f"; {hint}"
        return f"{source!r} sends {apart.names(kinds)}, {target!r} accepts {accepts_text}{hint}"

    def _picked(self, origin: Origin, sent: Type) -> tuple[tuple[Type, ...], bool, bool] | str:
        """The arms that an origin stands for: (arms, whether that is all the node sends, whether exceptional)."""
        node, arm = origin.node, origin.arm
        if arm is Failure or arm is LimitReached:
            if node is START:
                return "START cannot fail; take Failure from a node"
            return (arm,), False, True
        message = travels(node) if isinstance(node, Node) and node.passes_input else None
        kinds = arms(sent)
        if arm is not None:
            chosen = choose(arm, kinds, sent)
            if isinstance(chosen, str):
                return f"{node.name!r} sends {Namesakes(sent, arm).name(sent)}; {chosen}"
            kinds = chosen
        if message is not None:
            kinds = arms(message)
        if origin.each:
            items = [item_type(k) for k in kinds]
            if any(i is None and k is not Any for i, k in zip(items, kinds, strict=True)):
                return f"{node.name!r} sends {kinds_text(kinds)}, which is no list; .each needs a node that returns list[...]"
            kinds = tuple(a for i in items for a in arms(Any if i is None else i))
        return kinds, arm is None, False

    def _number_arms(self) -> None:
        """Says of each edge which arms go along it. An arm that an edge names goes along no edge that names a wider type."""
        for number, leaving in enumerate(self.by_source):
            if len(leaving) < 2:
                continue
            node = self.nodes[number] if number < self.start else None
            kinds = arms(node.output if node else self.input)
            named = [kind for d in leaving for kind in named_arms(d, kinds)] if len(kinds) > 1 else []
            for declared in leaving:
                declared.arms = arm_numbers(declared, kinds, named)
                if declared.arms is None or declared.edge.origin.each or (node is not None and node.passes_input):
                    continue
                whole = [kinds[i] for i in sorted(declared.arms)]
                declared.carries = tuple(kind for kind in declared.carries if kind not in kinds or kind in whole)
            if any(d.edge.origin.arm is not None for d in leaving):
                self._check_overlaps(self._name(number), kinds, leaving[0].edge.where)

    def _check_overlaps(self, name: str, kinds: Sequence[Type], where: Where) -> None:
        """Arms that a value may fit both of: one of them may never be taken, which nobody would see."""
        for i, one in enumerate(kinds):
            for other in kinds[i + 1 :]:
                if Any in (one, other) or is_wider(one, other) or is_wider(other, one):
                    continue
                if accepts(one, other):
                    self._say(
                        f"{name!r} sends {kinds_text(kinds)}, and every value of {type_name(other)} is one of "
                        f"{type_name(one)}, so that arm is never taken; leave one of them out",
                        where,
                    )
                elif (
                    origin_of(one) is not None and origin_of(one) is origin_of(other) and origin_of(one) is not Literal
                ):
                    self.warnings.append(
                        f"{name!r} sends {kinds_text(kinds)}: what is empty fits both {type_name(one)} and "
                        f"{type_name(other)}, and goes the way of {type_name(one)}, which is written first"
                    )

    # -- coverage ------------------------------------------------------------------------------------------------------
    def _check_arms(self) -> None:
        """Each arm of each output has a taker, whatever the guards say."""
        for number, leaving in enumerate(self.by_source):
            if number == self.end:
                continue
            if len(leaving) == 1 and leaving[0].whole and leaving[0].edge.origin.guard is None:
                continue
            node = self.nodes[number] if number < self.start else None
            normal = [d for d in leaving if not d.exceptional]
            if not normal:
                name = node.name if node else "START"
                self.problems.append(
                    f"{name!r} sends its message nowhere; write {name} >> END, or to the node that comes next"
                )
                continue
            sent = node.output if node else self.input
            labels = any(is_label(d.edge.origin.arm) for d in normal)
            for unit in units(sent, labels):
                self._check_arm(node.name if node else "START", unit, normal, bool(node and node.passes_input))

    def _check_arm(self, name: str, unit: Type, normal: list[Declared], passes: bool) -> None:
        takers = [d for d in normal if covers(d, unit, passes)]
        if not takers:
            where = normal[0].edge.where
            label = get_args(unit)[0] if origin_of(unit) is Literal else None
            shown = repr(label) if label is not None else type_name(unit)
            self._say(
                f"{name!r} may send {shown}, and no edge takes it; add {name}[{shown}] >> the node (or END) for it",
                where,
            )
            return
        if all(d.edge.origin.guard is not None for d in takers) and not any(
            d.edge.origin.guard == "otherwise" for d in takers
        ):
            edge = takers[0].edge
            self._say(
                f"{edge!r}: when no guard holds the message is lost; add {name}.otherwise >> a node (or END)",
                edge.where,
            )

    def _check_ports(self) -> None:
        for number, node in enumerate(self.nodes):
            arriving = self.by_target[number]
            ports = node.ports
            if len(ports) == 1 and len(arriving) == 1 and not arriving[0].collects:
                continue
            wired: dict[int, list[Declared]] = {}
            for declared in arriving:
                wired.setdefault(declared.port, []).append(declared)
            if not wired:
                self._say_node(node, f"no edge leads to {node.name!r}; write ... >> {node.name}, or leave it out")
            for i, port in enumerate(ports):
                if wired and i not in wired and not port.optional:
                    self._say_unfed(node, port, wired)
                if len({d.collects for d in wired.get(i, ())}) > 1:
                    edges = " and ".join(repr(d.edge) for d in wired[i])
                    self.problems.append(
                        f"port {port.name!r} of {node.name!r} gets whole lists and single items ({edges}); use two ports"
                    )

    def _say_unfed(self, node: Node[Any, Any], port: Port, wired: dict[int, list[Declared]]) -> None:
        """A port that nothing feeds; if another one of its type is fed twice, one of the two edges was probably meant for it."""
        have = f"port {port.name!r} ({type_name(port.type)}) of {node.name!r} has no edge"
        aim = f"{node.name}.into({port.name!r})"
        for number, edges in wired.items():
            if len(edges) > 1 and node.ports[number].type == port.type:
                both = " and ".join(repr(d.edge) for d in edges)
                text = f"{have}, and {node.ports[number].name!r} has several: {both}; lead one of them to {aim}"
                self._say(text, edges[-1].edge.where)
                return
        first = next(iter(wired.values()))[0]
        self._say(f"{have}; send it one with ... >> {aim}, or give the parameter a default", first.edge.where)

    def _check_reach(self) -> None:
        for number in _missed(self.start, self.by_source, backward=False):
            if number < self.start:
                name = self.nodes[number].name
                self.problems.append(
                    f"{name!r} cannot be reached from START; write ... >> {name}, or leave its edges out"
                )
        for number in _missed(self.end, self.by_target, backward=True):
            if number < self.start and self.by_source[number]:
                name = self.nodes[number].name
                way = ", ".join(sorted({d.edge.target.name for d in self.by_source[number]}))
                self._say(
                    f"{name!r} never leads to END (it leads to {way}); every cycle needs an exit: write {name}[...] >> END "
                    "or an arm to a node that ends",
                    self.by_source[number][0].edge.where,
                )

    # -- shape ---------------------------------------------------------------------------------------------------------
    def _shape(self) -> None:
        top = self.topology = Topology(self.start, self.end, self.edges, self.by_source, self.by_target)
        order_nodes(top)
        for wire in self.edges:
            if wire.limit is not None and wire.lap_of is None:
                self._say(
                    f"{wire.edge!r}: .limit({wire.limit}) stands on an edge that is on no cycle "
                    "(or inside an inner one), so there are no laps to count; put it on an edge that leads back",
                    wire.edge.where,
                )
        self._check_limit_edges()
        self._check_twice()
        joins = [j for number in range(len(self.nodes)) if (j := self._join_of(number)) is not None]
        for number, why in place_joins(top, joins, self.exclusive).items():
            self._say_unplaced(number, why)
        for join in top.joins.values():
            self._check_join(join)
        if self.ends == "one" and not self.problems:
            double = double_end(top, self.exclusive)
            if double is not None:
                self._say_double(*double)
        for loop in top.loops:
            self._check_exit(loop)
            names = " > ".join(self.nodes[n].name for n in sorted(loop.members, key=top.order.__getitem__))
            limits = ", ".join(f"{self._text(w)} at most {self._laps(w)}" for w in loop.laps)
            self.facts.append(f"loop {names}: {limits}")

    def _check_twice(self) -> None:
        """Two edges that bring one message to one port: its node would run twice."""
        for leaving in self.by_source:
            known: dict[tuple[int, int, bool], list[Declared]] = {}
            for declared in leaving if len(leaving) > 1 else ():
                key = declared.target, declared.port, declared.each
                same = next((d for d in known.get(key, ()) if not self.exclusive(d, declared)), None)
                if same is not None:
                    self._say_twice(same, declared)
                known.setdefault(key, []).append(declared)

    def _say_twice(self, one: Declared, other: Declared) -> None:
        target = self._name(one.target)
        if repr(one.edge) == repr(other.edge):
            text = f"{one.edge!r} is written twice"
        else:
            text = f"{one.edge!r} and {other.edge!r} may bring the same message to {target!r}"
        where = f" (first at {place_text(one.edge.where)})" if one.edge.where != other.edge.where else ""
        self._say(f"{text}{where}, so {target!r} would get it twice; leave one out", other.edge.where)

    def _check_exit(self, loop: Loop) -> None:
        """Refuses a loop that no message can leave without another one going round: it ends only by its limit."""
        top = self.topology
        assert top is not None
        members = loop.members
        taking = any(
            any(p.take is not None for p in self.nodes[join.node].ports) and not members.isdisjoint(join.region)
            for join in top.joins.values()
        )
        failing = any(
            d.exceptional and d.edge.origin.arm is not LimitReached for n in members for d in self.by_source[n]
        )
        if self.ends == "first" or taking or failing:
            return  # something from outside of the loop, or an error, may end it
        again = self._always_again(loop)
        if loop.header not in again:
            return
        lap = next(d for d in self.edges if d.lap_of == loop.index and d.source in again)
        leaving = next((d for n in members for d in self.by_source[n] if d.target not in members), lap)
        self._say(
            f"{lap.edge!r} leads back every time, also when {leaving.edge!r} is taken, so every run would end when its laps "
            f"are used up; let only one arm or guard lead back, or say what comes then: "
            f"{self._name(lap.source)}[LimitReached] >> a node",
            lap.edge.where,
        )

    def _always_again(self, loop: Loop) -> set[int]:
        """The nodes of a loop from which every message, whatever is answered, goes round once more."""
        top = self.topology
        assert top is not None
        again: set[int] = set()
        for number in sorted(loop.members, key=top.order.__getitem__, reverse=True):
            leaving = [d for d in self.by_source[number] if not d.exceptional]
            if any(d.edge.origin.arm is LimitReached for d in self.by_source[number]):
                continue
            leading = [
                d
                for d in leaving
                if not d.each and (d.lap_of == loop.index or (d.lap_of is None and d.target in again))
            ]
            node = self.nodes[number]
            labels = any(is_label(d.edge.origin.arm) for d in leaving)
            every = units(node.output, labels)
            if leading and all(self._taken_always(unit, leading, leaving, node.passes_input) for unit in every):
                again.add(number)
        return again

    def _taken_always(self, unit: Type, leading: Sequence[Declared], leaving: Sequence[Declared], passes: bool) -> bool:
        """Whether one arm goes along one of the `leading` edges whatever the guards say."""
        takers = [d for d in leading if covers(d, unit, passes)]
        if any(d.edge.origin.guard is None for d in takers):
            return True
        guarded = [d for d in leaving if d.edge.origin.guard is not None and covers(d, unit, passes)]
        return bool(guarded) and all(d in takers for d in guarded)

    def _check_limit_edges(self) -> None:
        for declared in self.edges:
            if declared.edge.origin.arm is LimitReached and not self._counted_laps(declared.source):
                name = self._name(declared.source)
                self._say(
                    f"{declared.edge!r}: no limited edge leaves {name!r}, so LimitReached never comes; take it from the node "
                    "whose edge leads back",
                    declared.edge.where,
                )

    def _join_of(self, number: int) -> Join | None:
        arriving = self.by_target[number]
        if len(arriving) == 1 and not arriving[0].collects:
            return None
        collect = any(d.collects for d in arriving)
        if collect or len({d.port for d in arriving}) > 1:
            return Join(number, collect)
        return None

    def _say_unplaced(self, number: int, why: str) -> None:
        node = self.nodes[number]
        edges = ", ".join(repr(d.edge) for d in self.by_target[number])
        if why == "outside":
            assert self.topology is not None
            text = self._crossing_text(node.name, self.topology.crossings[number])
        elif why == "looped" and any(d.collects for d in self.by_target[number]):
            text = (
                f"{node.name!r} collects what a loop sends ({edges}), but nothing forks before that loop, so there is nothing "
                f"whose messages belong together; fan out before it, to the loop and to another node that {node.name!r} "
                "collects too, or let the messages go to END one by one: Graph(..., ends='all')"
            )
        elif any(d.collects for d in self.by_target[number]):
            text = (
                f"{node.name!r} collects a list ({edges}), but nothing forks before it; use .each or a fan-out that all "
                "of them come from, or take a single message"
            )
        else:
            text = f"the ports of {node.name!r} are never fed from one message ({edges}); fan out from one node before them"
        self._say(text, self.by_target[number][0].edge.where)

    def _pairing(self, join: Join) -> str:
        """How to pair what two maps of one list send, item by item."""
        each = [self.edges[index] for index in sorted(wire.index for wire in join.branches if wire.each)]
        if len({d.port for d in self.by_target[join.node]}) < 2 or len(each) < 2:
            return ""
        targets = ", ".join(dict.fromkeys(self._name(d.target) for d in each))
        return f"; to pair them item by item, map to one node and fan out from it: {each[0].edge.origin.text()} >> item >> ({targets})"

    def _crossing_text(self, name: str, wire: GraphEdge) -> str:
        """Why a node of a loop cannot join what comes by this edge."""
        edge = self._text(wire)
        if wire.lap_of is not None:
            return (
                f"{name!r} joins messages inside a loop, but {edge} begins a new lap on the way to it, so they never come "
                f"together; let the fork and {name!r} be in one lap: put .limit(...) on an edge that leads back behind {name!r}"
            )
        return (
            f"{name!r} joins messages inside a loop, but {edge} comes into the loop on the way to it, so its second lap "
            "could never be complete; let all that comes into the loop, and what leads back, enter it at one node, and fan "
            f"out from there to what {name!r} joins"
        )

    def _check_join(self, join: Join) -> None:
        top, node = self.topology, self.nodes[join.node]
        assert top is not None
        arriving = self.by_target[join.node]
        ports = sorted({d.port for d in arriving})
        if len(ports) > 1 and any(node.ports[port].take is not None for port in ports):
            self._say(
                f"{node.name!r} takes the first few of a fork beside other ports, so it cannot tell when it has them; "
                "take them in a node of its own, and join its answer",
                arriving[0].edge.where,
            )
        for port in ports:
            if node.ports[port].take is not None or any(d.collects for d in arriving if d.port == port):
                continue
            crowd = crowding_node(top, join, port, self.exclusive)
            if crowd is not None:
                source, paired = self._name(crowd), self._pairing(join)
                writers = [d for d in arriving if d.port == port]
                by = f" (by {' and '.join(repr(d.edge) for d in writers)})" if len(writers) > 1 else ""
                self._say(
                    f"port {node.ports[port].name!r} of {node.name!r} may get several messages from the fork at {source!r}{by} "
                    f"for one message on its other ports; collect them first (a node with list[...]), or make the port a list{paired}",
                    next(d.edge.where for d in arriving if d.port == port),
                )
        required = [
            p for p in ports if not node.ports[p].optional and not any(d.collects for d in arriving if d.port == p)
        ]
        pair = dead_ports(top, join, required, self.exclusive)
        if pair is not None:
            one, other = (node.ports[p].name for p in pair)
            self._say(
                f"{node.name!r} waits for both {one!r} and {other!r}, but {self._name(join.fork)!r} sends only one of their "
                f"ways; make the ports optional (T | None) or collect them in one list[...] port",
                arriving[0].edge.where,
            )

    def _say_double(self, one: GraphEdge, other: GraphEdge) -> None:
        shown = self._text(one) if one is other else f"{self._text(one)} and {self._text(other)}"
        verb = "may bring several messages" if one is other else "may both bring a message"
        why = self._why_double(one, other)
        self._say(
            f"{shown} {verb} to END in one run{why}; or say what is meant: Graph(..., ends='first') or ends='all'",
            self.edges[one.index].edge.where,
        )

    def _why_double(self, one: GraphEdge, other: GraphEdge) -> str:
        """Where two messages to END were probably meant to become one, and how."""
        top = self.topology
        assert top is not None
        ways = self._behind(one.target)
        both = ways & self._behind(other.target)
        joins = [join for number, join in top.joins.items() if number in both and join.fork in {one.source, *ways}]
        if one is other and joins:
            join = max(joins, key=lambda join: top.order[join.node])
            node, verb = self.nodes[join.node], "collects" if join.collect else "pairs what comes of"
            pairing = (
                ""
                if not join.collect
                else "; to pair what comes of one item, give it a port for each instead of a list"
            )
            return (
                f": {node.name!r} {verb} the fork at {self._name(join.fork)!r}, so it runs once per item of "
                f"{self._name(one.source)}.each; collect its answers behind it, {node.name} >> a node with "
                f"list[{type_name(node.output)}] >> END{pairing}"
            )
        for number in sorted(both - {self.end}, key=top.order.__getitem__):
            arriving = [d for d in self.by_target[number] if d.source in ways or d.source in self._behind(other.target)]
            if one is not other and number not in top.joins and len(arriving) > 1:
                edges = " and ".join(repr(d.edge) for d in arriving)
                return f": {self._name(number)!r} runs once for each of {edges}; join them before it, with a port for each or a list"
        return "; join them before END"

    def _behind(self, number: int) -> set[int]:
        """A node and all that its messages may come to."""
        found, todo = {number}, [number]
        while todo:
            new = {d.target for d in self.by_source[todo.pop()]} - found
            found |= new
            todo += new
        return found

    def exclusive(self, one: GraphEdge, other: GraphEdge) -> bool:
        """Whether at most one of two wires of the same node is taken for one message."""
        a, b = self.edges[one.index], self.edges[other.index]
        if a is b:
            return False
        if a.exceptional or b.exceptional:
            return self._exclusive_failure(a, b)
        x, y = a.edge.origin, b.edge.origin
        if x.guard is not None and y.guard is not None and x.guard is not y.guard and repr(x.arm) == repr(y.arm):
            return True
        node = x.node
        if a.arms is not None and b.arms is not None and (a.arms != b.arms or x.arm is not None):
            return a.arms.isdisjoint(b.arms)  # a value is of one arm only: the most specific that it fits
        if isinstance(node, Node) and node.passes_input:
            return x.arm is not None and y.arm is not None and labels_apart(x.arm, y.arm)
        if is_label(x.arm) and is_label(y.arm):
            return bool(x.arm != y.arm)
        if x.each or y.each:
            sent = self.input if node is START else node.output  # type: ignore[union-attr]
            return disjoint(x.arm or sent, y.arm or sent)
        return all(disjoint(k, m) for k in a.carries for m in b.carries)

    def _exclusive_failure(self, a: Declared, b: Declared) -> bool:
        one, two = a.edge.origin.arm, b.edge.origin.arm
        if isinstance(one, HandTo) or isinstance(two, HandTo):
            return True
        if one is two:
            return False
        if LimitReached not in (one, two):
            return True  # a node that has failed has not answered
        # LimitReached stands in for a lap wire, so it excludes that one and whatever excludes that one.
        other = b if one is LimitReached else a
        return all(lap is other or self.exclusive(lap, other) for lap in self._counted_laps(a.source))

    def _counted_laps(self, source: int) -> list[Declared]:
        """The edges of a node for whose used-up laps `LimitReached` is sent."""
        return [d for d in self.by_source[source] if d.lap_of is not None and d.edge.origin.arm is not LimitReached]

    # -- the rest ------------------------------------------------------------------------------------------------------
    def _check_prompts(self) -> None:
        for number, node in enumerate(self.nodes):
            if type(node).prove is not Node.prove:
                incoming = [k for d in self.by_target[number] for k in d.carries]
                for problem in node.prove(incoming, self.deps):
                    self._say_node(node, f"node {node.name!r}: {problem}")

    def _check_nesting(self) -> None:
        self.nesting = max((getattr(n, "nesting", 0) + 1 for n in self.nodes if n.enters == "always"), default=0)
        bound = DEFAULT_DEPTH if self.limits.depth is None else self.limits.depth
        if self.nesting > bound:
            deepest = max((n for n in self.nodes if n.enters == "always"), key=lambda n: getattr(n, "nesting", 0))
            self.problems.append(
                f"graphs are nested {self.nesting} deep below {self.name!r} (through {deepest.name!r}), and the depth limit is "
                f"{bound}; raise it with Limits(depth={self.nesting}), or nest less"
            )

    def _infer_output(self) -> None:
        kinds = list(dict.fromkeys(k for d in self.by_target[self.end] for k in d.carries))
        if Any in kinds:
            self.output = Any
            return
        union: Type = reduce(or_, kinds)
        self.output = list[union] if self.ends == "all" else union

    def _check_policies(self) -> None:
        for number, leaving in enumerate(self.by_source):
            stated = {d.edge.origin.fork for d in leaving} - {None} if len(leaving) > 1 else ()
            if len(stated) > 1:
                named = ", ".join(sorted(str(policy) for policy in stated))
                self.problems.append(
                    f"the edges of {self._name(number)!r} state different fork policies ({named}); state one"
                )

    def _laps(self, wire: GraphEdge) -> int:
        return wire.limit if wire.limit is not None else (self.limits.laps or DEFAULT_LAPS)

    def _name(self, number: int) -> str:
        return "START" if number == self.start else "END" if number == self.end else self.nodes[number].name

    def _text(self, wire: GraphEdge) -> str:
        return repr(self.edges[wire.index].edge)


def _missed(origin: int, table: Sequence[Sequence[Declared]], *, backward: bool) -> list[int]:
    """The nodes that no path from `origin` leads to (or none to it)."""
    seen = bytearray(len(table))
    seen[origin] = 1
    todo = [origin]
    while todo:
        for wire in table[todo.pop()]:
            other = wire.source if backward else wire.target
            if not seen[other]:
                seen[other] = 1
                todo.append(other)
    return [n for n, s in enumerate(seen) if not s]
