"""Every arm of every output has a taker, every port a writer, and every node lies between START and END."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from graphflow.declaration.node import AnyNode
from graphflow.declaration.ports import Port
from graphflow.messages.types import Type, type_name
from graphflow.proofs.arms import is_label, label_of, units_of
from graphflow.proofs.edge_types import TypedEdge, covers
from graphflow.proofs.problems import Problems
from graphflow.proofs.wiring import Wiring

TypedEdges: TypeAlias = Sequence[TypedEdge]
Writers: TypeAlias = dict[int, list[TypedEdge]]
"""The edges that lead to each port of a node, by its number."""


def check_coverage(wiring: Wiring, problems: Problems, *, acyclic: bool) -> None:
    """Adds what nobody takes, what nobody writes, and what no message comes to."""
    for number, leaving in enumerate(wiring.by_source):
        if number != wiring.end and not _takes_everything(leaving):
            _check_arms(wiring, number, leaving, problems)
    for number, node in enumerate(wiring.nodes):
        arriving = wiring.by_target[number]
        one_edge = len(arriving) == 1
        one_port = len(node.ports) == 1
        if one_edge and one_port and not arriving[0].collects:
            continue  # by far the most common case
        _check_ports(node, arriving, problems)
    # Where nothing goes round, an edge in and an edge out for every node are enough: a way back from edge to edge never
    # comes to the same node twice, so it ends, and only START has no edge in.
    if problems or not acyclic:
        _check_reach(wiring, problems)


def _takes_everything(leaving: TypedEdges) -> bool:
    """Whether there is one edge, for all that is sent: by far the most common case."""
    if len(leaving) != 1:
        return False
    only = leaving[0]
    return only.whole and only.guard is None


# -- arms ------------------------------------------------------------------------------------------
def _check_arms(
    wiring: Wiring, number: int, leaving: Iterable[TypedEdge], problems: Problems
) -> None:
    """Each arm of an output has a taker, whatever the guards say."""
    name = wiring.name(number)
    answering = [edge for edge in leaving if not edge.exceptional]
    if not answering:
        problems.add(
            f"{name!r} sends its message nowhere; write {name} >> END, or to the node that comes next"
        )
        return
    takers = _Takers(answering, wiring.passes_input(number))
    sent = wiring.sent(number)
    by_label = bool(takers.by_label)
    for unit in units_of(sent, labels=by_label):
        found = takers.of(unit)
        if not found:
            shown = _unit_text(unit)
            problems.add(
                f"{name!r} may send {shown}, and no edge takes it; add {name}[{shown}] >> the node (or END) for it",
                answering[0].where,
            )
        elif _all_guarded(found):
            edge = found[0].edge
            problems.add(
                f"{edge!r}: when no guard holds the message is lost; add {name}.otherwise >> a node (or END)",
                edge.where,
            )


def _unit_text(unit: Type) -> str:
    """An arm or a label as it stands in square brackets."""
    label = label_of(unit)
    if label is None:
        return type_name(unit)
    return repr(label)


def _all_guarded(takers: Iterable[TypedEdge]) -> bool:
    """Whether every one of these edges has a condition, and none is for when the others do not hold."""
    for taker in takers:
        if taker.guard is None or taker.guard == "otherwise":
            return False
    return True


class _Takers:
    """The edges that take the arms and labels of one output; those with a label are found by it."""

    def __init__(self, edges: Iterable[TypedEdge], passes_input: bool) -> None:
        self.passes_input = passes_input
        self.by_label: dict[object, list[TypedEdge]] = {}
        self.others: list[TypedEdge] = []
        for edge in edges:
            arm = edge.arm
            if is_label(arm):
                alike = self.by_label.setdefault(arm, [])
                alike.append(edge)
            else:
                self.others.append(edge)

    def of(self, unit: Type) -> list[TypedEdge]:
        """The edges that take one arm or label, in the order in which they were written."""
        candidates = list(self.others)
        label = label_of(unit)
        if label is not None:
            candidates += self.by_label.get(label, [])
        else:
            for edges in self.by_label.values():
                candidates += edges
        takers: list[TypedEdge] = []
        for edge in candidates:
            if covers(edge, unit, self.passes_input):
                takers.append(edge)
        return sorted(takers, key=lambda edge: edge.index)


# -- ports -----------------------------------------------------------------------------------------
def _check_ports(node: AnyNode, arriving: Iterable[TypedEdge], problems: Problems) -> None:
    """Each port that cannot stay empty has a writer, and gets either single messages or whole lists."""
    writers: Writers = {}
    for edge in arriving:
        same_port = writers.setdefault(edge.port, [])
        same_port.append(edge)
    name = node.name
    if not writers:
        text = f"no edge leads to {name!r}; write ... >> {name}, or leave it out"
        problems.add(text, node.where)
        return
    for number, port in enumerate(node.ports):
        edges = writers.get(number)
        if edges is not None:
            _check_writers(node, port, edges, problems)
        elif not port.optional:
            _add_unfed(node, port, writers, problems)


def _check_writers(
    node: AnyNode, port: Port, writers: Iterable[TypedEdge], problems: Problems
) -> None:
    """A port collects either all that it gets, or nothing."""
    collecting = {edge.collects for edge in writers}
    if len(collecting) > 1:
        shown = _edges_text(writers)
        which = f"port {port.name!r} of {node.name!r}"
        problems.add(f"{which} gets whole lists and single items ({shown}); use two ports")


def _add_unfed(node: AnyNode, port: Port, writers: Writers, problems: Problems) -> None:
    """A port without a writer; if another of its type has two, one of these was probably meant for it."""
    kind = type_name(port.type)
    problem = f"port {port.name!r} ({kind}) of {node.name!r} has no edge"
    aim = f"{node.name}.into({port.name!r})"
    crowded = _crowded_port(node, port.type, writers)
    if crowded is None:
        arriving, *_ = writers.values()
        edge = arriving[0]
        remedy = f"; send it one with ... >> {aim}, or give the parameter a default"
    else:
        arriving = writers[crowded]
        edge = arriving[-1]
        both = _edges_text(arriving)
        other = node.ports[crowded].name
        remedy = f", and {other!r} has several: {both}; lead one of them to {aim}"
    problems.add(problem + remedy, edge.where)


def _crowded_port(node: AnyNode, kind: Type, writers: Writers) -> int | None:
    """The number of a port of that type with several writers."""
    for number, edges in writers.items():
        if len(edges) < 2:
            continue
        other = node.ports[number].type
        if other == kind:
            return number
    return None


def _edges_text(edges: Iterable[TypedEdge]) -> str:
    texts = map(repr, edges)
    return " and ".join(texts)


# -- reach -----------------------------------------------------------------------------------------
def _check_reach(wiring: Wiring, problems: Problems) -> None:
    unreached = _missed(wiring.start, wiring.by_source, forward=True)
    for number in unreached:
        if number >= wiring.start:  # START and END
            continue
        name = wiring.name(number)
        problems.add(
            f"{name!r} cannot be reached from START; write ... >> {name}, or leave its edges out"
        )
    endless = _missed(wiring.end, wiring.by_target, forward=False)
    for number in endless:
        leaving = wiring.by_source[number]
        if number >= wiring.start or not leaving:
            continue
        name = wiring.name(number)
        names = {edge.edge.target.name for edge in leaving}
        targets = ", ".join(sorted(names))
        problems.add(
            f"{name!r} never leads to END (it leads to {targets}); every cycle needs an exit: "
            f"write {name}[...] >> END or an arm to a node that ends",
            leaving[0].where,
        )


def _missed(origin: int, table: Sequence[TypedEdges], *, forward: bool) -> list[int]:
    """The nodes that no path from `origin` leads to, or, backward, none to it."""
    seen = bytearray(len(table))
    seen[origin] = 1
    todo = [origin]
    while todo:
        node = todo.pop()
        for edge in table[node]:
            other = edge.target if forward else edge.source
            if not seen[other]:
                seen[other] = 1
                todo.append(other)
    missed: list[int] = []
    for node, was_seen in enumerate(seen):
        if not was_seen:
            missed.append(node)
    return missed
