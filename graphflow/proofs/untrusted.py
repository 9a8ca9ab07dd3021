"""Ways of untrusted content: from where it comes in to what acts on the world, with nothing between that has checked it.

    fetch  --answers-->  reader  --calls-->  send_mail        a way: a page may say to whom the mail goes
    fetch  --answers-->  reader  >>  ask_anna  >>  send_mail  none: a person has seen what reader has made of the page

Rules:
1. Whatever a node answers is made of what it was given, what it was answered by those it calls, the states that it touches
   and what it finds in a memory. So a mark goes along every arrow and call edge, there and back, through states, memories
   and graphs within.
2. It ends at a check: an approval, a person, a node that is declared to check (`checked`), a guard that judges content, a
   policy that judges calls; and at `Never(x, after=source)`, which holds in every walk: there no x begins any more.
3. What only reads (a page, a file) is not acting, though its arguments say where.
4. Of two calls of one node by different callers each is a spot of its own; what these call themselves is one. So there may
   be a way too many, never one too few.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeAlias

from graphflow.declaration.arrows import Edge, Terminal
from graphflow.declaration.claims import Before, Claims, Never
from graphflow.declaration.guards import Guards
from graphflow.declaration.node import AnyNode
from graphflow.messages.message import Failure
from graphflow.policy import Policy
from graphflow.proofs.call_edges import Callees, Nodes

GraphPath: TypeAlias = tuple[str, ...]
Side: TypeAlias = Literal["given", "mind", "answer"]
KEPT = "kept"
"""Stands for the caller where content is in a memory."""
READING: frozenset[str] = frozenset({"network"})
"""What a node with untrusted answers does although it only reads: it asks other machines."""


@dataclass(frozen=True, slots=True)
class GraphParts:
    """What is looked at of a graph."""

    nodes: Nodes
    edges: Sequence[Edge]
    callees: Callees
    claims: Claims
    policy: Policy | None


GraphOf: TypeAlias = Callable[[AnyNode], GraphParts | None]
"""The graph that a node is, or stands for."""


class ContentSpot(NamedTuple):
    """One side of a node where content may be: what it was given, all that it knows, what it answers."""

    path: GraphPath
    """The graphs around it."""
    caller: str
    """Who calls it; "" on an arrow."""
    name: str
    side: Side


Reached: TypeAlias = dict[ContentSpot, ContentSpot | None]
"""Spots, each with the one before it on the way; None = where the way begins."""


@dataclass(frozen=True, slots=True)
class UntrustedWay:
    """One way on which untrusted content reaches what acts on the world.

    Attributes:
        source: the node that it comes from.
        target: the node that acts.
        effects: what that is declared to do.
        nodes: the names of the nodes on the way, the first and last included.
    """

    source: str
    target: str
    effects: tuple[str, ...]
    nodes: tuple[str, ...]

    def __str__(self) -> str:
        """What is wrong, and what to change."""
        way = " > ".join(self.nodes)
        effects = ", ".join(self.effects)
        return (
            f"untrusted content of {self.source!r} reaches {self.target!r} ({effects}) with no check on the way: {way}; "
            f"give {self.target!r} approval=True or a guard, put a person or checked(...) between, claim "
            f'Never({self.target!r}, after={self.source!r}), or write Graph(..., untrusted="warn")'
        )


def untrusted_ways(graph: GraphParts, graph_of: GraphOf) -> list[UntrustedWay]:
    """The shortest way from each source to each node that acts, for all that no check stands on."""
    web = _Web(graph_of)
    web.add_graph(graph, (), judged=False)
    reached: dict[ContentSpot, Reached] = {}
    for source in web.sources:
        reached[source] = web.reached_from(source)
    ways: list[UntrustedWay] = []
    for source, name in web.sources.items():
        if _is_told_again(source, reached):
            continue
        spots = reached[source]
        ways += web.ways_from(source, name, spots, graph)
    return ways


def _is_told_again(source: ContentSpot, reached: Mapping[ContentSpot, Reached]) -> bool:
    """Whether a port only says again that what comes is untrusted: then no way of its own begins there."""
    if source.side != "given":
        return False
    for other, spots in reached.items():
        if other != source and source in spots:
            return True
    return False


class NodeSpots(NamedTuple):
    """The sides of one node."""

    given: ContentSpot
    mind: ContentSpot
    answer: ContentSpot


@dataclass(frozen=True, slots=True)
class _Around:
    """What stands around a node.

    Attributes:
        graph: the innermost graph.
        path: the names of the graphs, the outermost left out.
        judged: whether a policy of one of them judges each call.
    """

    graph: GraphParts
    path: GraphPath
    judged: bool

    def spot(self, name: str, side: Side, caller: str = "") -> ContentSpot:
        """One side of a node in this graph."""
        return ContentSpot(self.path, caller, name, side)

    def spots(self, node: AnyNode, caller: str) -> NodeSpots:
        """All sides of a node in this graph."""
        name = node.name
        given = self.spot(name, "given", caller)
        mind = self.spot(name, "mind", caller)
        answer = self.spot(name, "answer", caller)
        return NodeSpots(given, mind, answer)


class _Web:
    """All spots of a graph and the graphs in it, and where content goes from each."""

    def __init__(self, graph_of: GraphOf) -> None:
        self._graph_of = graph_of
        self.next: dict[ContentSpot, list[ContentSpot]] = {}
        self.sources: dict[ContentSpot, str] = {}
        self.acting: dict[ContentSpot, AnyNode] = {}
        self._checked_by: dict[str, ContentSpot] = {}
        """Where nodes that check are given what they check, by name."""

    # -- spots and edges ---------------------------------------------------------------------------
    def add_graph(self, graph: GraphParts, path: GraphPath, *, judged: bool) -> None:
        """Adds a graph that is entered by this path."""
        is_judged = judged or _judges(graph.policy)
        around = _Around(graph, path, is_judged)
        for node in graph.nodes:
            self._add_node(around, node, "")
        for edge in graph.edges:
            self._add_edge(around, edge)

    def _add_edge(self, around: _Around, edge: Edge) -> None:
        origin = edge.origin
        side: Side = "answer"
        # What has failed sends on what it was given, not what it would have answered.
        if origin.arm is Failure or isinstance(origin.node, Terminal):
            side = "given"
        leaving = around.spot(origin.node.name, side)
        arriving = around.spot(edge.target.name, "given")
        self._link(leaving, arriving)

    def _add_node(self, around: _Around, node: AnyNode, caller: str) -> None:
        spots = around.spots(node, caller)
        # Calls may go round: a node that is known already is not looked at again.
        if spots.given in self.next:
            return
        self.next[spots.given] = []
        if node.takes_untrusted:
            self.sources[spots.given] = node.name
        if node.checks:
            self._checked_by[node.name] = spots.given
        # Behind an approval, or a guard that judges content, begins what somebody has agreed to.
        if not _is_checked(node):
            self._link(spots.given, spots.mind)
            if _acts(node) and not around.judged:
                self.acting[spots.mind] = node
        self._add_shared(node, spots)
        self._add_calls(around, node, spots)
        if not _is_answer_checked(node):
            self._add_answer(around, node, spots)

    def _add_answer(self, around: _Around, node: AnyNode, spots: NodeSpots) -> None:
        """How what a node knows gets into its answer: by itself, or by what stands behind it."""
        # Guards after it have judged what it answers, so nothing comes in where they stand.
        if node.untrusted:
            self.sources[spots.answer] = node.name
        target, _ = node.entry()
        within = self._graph_of(target)
        if within is not None:
            path = (*around.path, node.name)
            inside = _Around(within, path, around.judged)
            start = inside.spot("START", "given")
            end = inside.spot("END", "given")
            self.add_graph(within, path, judged=around.judged)
        elif target is not node:
            start, _, end = around.spots(target, node.name)
            self._add_node(around, target, node.name)
        else:
            self._link(spots.mind, spots.answer)
            return
        self._link(spots.mind, start)
        self._link(end, spots.answer)

    def _add_shared(self, node: AnyNode, spots: NodeSpots) -> None:
        """What a node knows by others without an edge: states, and what it finds where others have kept it."""
        # A graph touches states by its nodes, which are looked at one by one.
        states = () if node.enters == "always" else node.touched
        for state in states:
            # By its name alone, whoever owns it: two of one name are taken for one, which is a way too many at worst.
            shared = ContentSpot((), "", state.name, "given")
            self._link(spots.mind, shared)
            self._link(shared, spots.mind)
        if node.keeps_in is not None:
            kept = _memory_spot(node.keeps_in)
            self._link(spots.mind, kept)
        if node.finds_in is not None:
            found = _memory_spot(node.finds_in)
            self._link(found, spots.answer)

    def _add_calls(self, around: _Around, node: AnyNode, spots: NodeSpots) -> None:
        policy = node.policy
        is_judged = around.judged or _judges(policy)
        within = replace(around, judged=is_judged)
        callees = around.graph.callees.get(node.name, ())
        for callee in callees:
            if policy and policy.refuses(callee.name, callee.effects, callee.names):
                continue
            called = around.spots(callee, node.name)
            self._add_node(within, callee, node.name)
            self._link(spots.mind, called.given)
            self._link(called.answer, spots.mind)

    def _link(self, source: ContentSpot, target: ContentSpot) -> None:
        following = self.next.setdefault(source, [])
        following.append(target)

    # -- ways --------------------------------------------------------------------------------------
    def reached_from(self, source: ContentSpot) -> Reached:
        """The spots that content reaches from a source, each with the one before it on the shortest way."""
        # Breadth first, so that the way to each spot is one of the shortest: that is the one to read in an error.
        before: Reached = {source: None}
        todo = deque([source])
        while todo:
            spot = todo.popleft()
            following = self.next.get(spot, [])
            for each in following:
                if each in before:
                    continue
                before[each] = spot
                todo.append(each)
        return before

    def ways_from(
        self, source: ContentSpot, name: str, before: Reached, graph: GraphParts
    ) -> Iterator[UntrustedWay]:
        """The shortest way from a source to each node that acts."""
        for spot, node in self.acting.items():
            if spot not in before:
                continue
            # Within a graph of its own it was found when that was built.
            outermost = spot.path[:1]
            if outermost and outermost == source.path[:1]:
                continue
            target = node.name
            if self._is_claimed(graph, name, target, before):
                continue
            effects = sorted(node.side_effects)
            names = _names(before, spot)
            yield UntrustedWay(name, target, tuple(effects), names)

    def _is_claimed(self, graph: GraphParts, source: str, target: str, reached: Reached) -> bool:
        """Whether a claim of the graph says that the target is over by then, or waits for a check of that content."""
        for claim in graph.claims:
            if isinstance(claim, Never) and _is_over(claim, source, target):
                return True
            if not isinstance(claim, Before) or _last(claim.then) != target:
                continue
            first = _last(claim.first)
            check = self._checked_by.get(first)
            if check is not None and check in reached:
                return True
        return False


def _is_over(claim: Never, source: str, target: str) -> bool:
    """Whether a claim says that the target is over once the source has answered."""
    over = _last(claim.node)
    after = _last(claim.after)
    return (over, after) == (target, source)


def _memory_spot(memory: object) -> ContentSpot:
    """Where content is that a memory keeps."""
    name = str(id(memory))
    return ContentSpot((), KEPT, name, "given")


def _judges(policy: Policy | None) -> bool:
    """Whether a policy looks at each call and its arguments."""
    return policy is not None and policy.check is not None


def _is_answer_checked(node: AnyNode) -> bool:
    """Whether somebody judges what a node answers before others get it."""
    if node.checks:
        return True
    return _judge_content(node.after)


def _is_checked(node: AnyNode) -> bool:
    """Whether somebody judges what a node is given before it begins."""
    if node.approval:
        return True
    return _judge_content(node.before)


def _judge_content(guards: Guards) -> bool:
    """Whether one of these guards judges content."""
    return any(guard.checks_content for guard in guards)


def _acts(node: AnyNode) -> bool:
    """Whether a node does something to the world that a document must not decide."""
    effects = node.side_effects
    # What a memory keeps can be found again: the content is followed there, and only there it matters.
    if node.keeps_in is not None:
        return False
    if node.untrusted and effects <= READING:
        return False
    return bool(effects)


def _last(name: str) -> str:
    """The node that the name in a claim means, without the way to it and without its arm."""
    _, _, last = name.rpartition(" > ")
    node, _, _ = last.partition("[")
    return node


def _names(before: Reached, spot: ContentSpot) -> tuple[str, ...]:
    """The names on the way to a spot, each once where content goes from one side of a node to the other."""
    names: list[str] = []
    at: ContentSpot | None = spot
    while at is not None:
        name = _shown(at)
        last = names[-1:]
        if name and last != [name]:
            names.append(name)
        at = before[at]
    names.reverse()
    return tuple(names)


def _shown(spot: ContentSpot) -> str:
    if spot.caller == KEPT:
        return "a memory"
    if spot.name in ("START", "END"):
        return ""
    return spot.name


def brings_untrusted(nodes: Sequence[AnyNode]) -> bool:
    """Whether untrusted content comes in at any of these nodes."""
    return any(node.untrusted or node.takes_untrusted for node in nodes)


def acts_on_world(nodes: Sequence[AnyNode]) -> bool:
    """Whether any of these nodes does to the world what a document must not decide."""
    return any(map(_acts, nodes))
