"""What differs between two graphs, or between two walks over one: in words, and as a picture with plus and minus.

Rules:
1. Two graphs are compared by what they say, not by which objects they are: the same file loaded twice is the same graph.
2. Two walks are compared by what they were given, who did what how often and answered what, and how it ended; not by how
   long it took or what it cost. Edges are known by what they leave and where they lead: moved lines are no difference.
3. Plus and minus are shown by sign and line style first; colour only repeats it.
"""

from __future__ import annotations

from pathlib import Path

from graphflow.errors import DeclarationError
from graphflow.proofs.proven import AnyGraph, ProvenGraph
from graphflow.render.compare.difference import Difference, NamePair
from graphflow.render.compare.graphs import compare_graphs
from graphflow.render.compare.walks import compare_walks
from graphflow.render.picture import Open
from graphflow.render.records import EventSource
from graphflow.runtime.run_record import RunRecord


def diff(
    a: AnyGraph | EventSource,
    b: AnyGraph | EventSource,
    *,
    graph: AnyGraph | None = None,
    open: Open = "auto",
    names: NamePair | None = None,
) -> Difference:
    """What differs between two graphs, or between two walks.

    Args:
        a: a graph; or a run, its events, its records, or the file they are in.
        b: another of the same sort.
        graph: what the two walks went over; a run knows its own.
        open: how many levels are drawn and compared edge by edge; what lies deeper is compared as a whole.
        names: what the two are called.

    Raises:
        DeclarationError: one is a graph, and the other a walk.
    """
    if isinstance(a, ProvenGraph) and isinstance(b, ProvenGraph):
        graph_names = names or _distinct(a.name, b.name)
        return compare_graphs(a, b, open, graph_names)
    if isinstance(a, ProvenGraph) or isinstance(b, ProvenGraph):
        raise DeclarationError(
            "diff(a, b) takes two graphs, or two runs (or their events); not one of each"
        )
    # A run knows what it walked; where both do, the first is drawn.
    for walk in (a, b):
        if graph is None and isinstance(walk, RunRecord):
            graph = walk.declared
    walk_names = names or _distinct(_name(a), _name(b))
    return compare_walks(a, b, graph, open, walk_names)


def _distinct(one: str, other: str) -> NamePair:
    if one == other:
        return f"{one} (first)", f"{other} (second)"
    return one, other


def _name(walk: EventSource) -> str:
    if isinstance(walk, RunRecord):
        return walk.id
    if isinstance(walk, (str, Path)):
        return str(walk)
    return "events"
