"""What exploring a graph tells: how its walks may end, what no walk takes, how much goes on at the same time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from graphflow.claims.explorer import Explorer, WalkEnding
from graphflow.claims.outcomes import links_of
from graphflow.claims.targets import ARROW, targets_of
from graphflow.claims.verdict import WalkStep
from graphflow.proofs.proven import AnyGraph

FAILING = WalkEnding("failed")
"""A node has failed, and nothing takes its failure."""


@dataclass(frozen=True, slots=True)
class Exploration:
    """The walks of a graph, as far as its arrows decide them.

    Attributes:
        graph: the graph's name.
        states: how many states were looked at.
        is_complete: whether these were all.
        lists: up to which length lists were mapped; None: none is.
        endings: each way to end, with the steps of a walk that ends so.
        untaken: the edges that no walk takes; empty if not all states were looked at.
        max_parallel: how many activations were under way at most.
        widest: which these were.
    """

    graph: str
    states: int
    is_complete: bool
    lists: int | None
    endings: Mapping[WalkEnding, tuple[WalkStep, ...]]
    untaken: tuple[str, ...]
    max_parallel: int
    widest: str

    def way_to(self, word: str) -> tuple[WalkStep, ...] | None:
        """The steps of a walk that ends so ("completed", "limited", "NoOutput", "Stuck"); None if none does."""
        for ending, steps in self.endings.items():
            if word in ending:
                return steps
        return None

    @property
    def may_end_without_output(self) -> bool:
        """Whether a walk may end with `NoOutput`."""
        return self.way_to("NoOutput") is not None

    @property
    def may_be_stuck(self) -> bool:
        """Whether a walk may end with `Stuck`."""
        return self.way_to("Stuck") is not None

    @property
    def may_be_limited(self) -> bool:
        """Whether the laps of an edge may be used up with no way on."""
        return self.way_to("limited") is not None

    def __str__(self) -> str:
        seen = f"{self.states:,} states"
        if not self.is_complete:
            seen += f", and there are more (widest at {self.widest})"
        if self.lists is not None:
            seen += f", lists up to {self.lists}"
        lines = [f"graph {self.graph!r}: {seen}"]
        for ending, steps in self.endings.items():
            lines.append(f"  may end: {ending}")
            if ending.status != "completed":
                lines += [f"    {number}. {step}" for number, step in enumerate(steps, 1)]
        for edge in self.untaken:
            lines.append(f"  no walk takes {edge}")
        lines.append(f"  at most {self.max_parallel} under way at the same time: {self.widest}")
        return "\n".join(lines)


def explore(graph: AnyGraph, states: int, lists: int, *, reduced: bool = True) -> Exploration:
    """What `Graph.explore` returns."""
    explorer = Explorer(
        graph,
        None,
        frames=None,
        sizes=range(lists + 1),
        budget=states,
        all_failures=True,
        reduced=reduced,
        watch_edges=True,
    ).run()
    endings = {ending: explorer.way_to(state) for ending, state in explorer.endings.items()}
    untaken: tuple[str, ...] = ()
    if explorer.is_complete:
        untaken = tuple(_untaken(graph, explorer))
    return Exploration(
        graph.name,
        explorer.states,
        explorer.is_complete,
        lists if explorer.maps else None,
        endings,
        untaken,
        explorer.most_running,
        widest_text(explorer.widest),
    )


def widest_text(names: Iterable[str]) -> str:
    """What was under way at the same time: "check (5 times), report"."""
    parts: list[str] = []
    for name, count in Counter(names).items():
        parts.append(name if count == 1 else f"{name} ({count} times)")
    return ", ".join(parts)


def _untaken(graph: AnyGraph, explorer: Explorer) -> Iterable[str]:
    for path, inner in targets_of(graph).frames.items():
        for slot in inner.program.slots:
            for link in links_of(slot):
                if (path, link.index) not in explorer.taken:
                    around = ARROW.join(path)
                    edge = repr(inner.edges[link.index])
                    yield f"{edge} in {around}" if around else edge
