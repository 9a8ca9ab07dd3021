"""Finds the edge of a graph that a recorded event speaks of, by what it says of it rather than by its place.

The place of an edge among those of its graph changes when somebody moves a line of the declaration. What it leaves (with
the arm), where it leads and to which port do not. A place is believed only where the edge there is the one that is told of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graphflow.graph import Graph

EdgeKey = tuple[str, str, str, str]
"""Origin (`critic[Rejected]`), source, target, port."""


@dataclass(frozen=True, slots=True)
class Told:
    """What an event says of its edge; a record from an older version says less."""

    origin: str
    source: str
    target: str
    port: str

    def fits(self, key: EdgeKey) -> bool:
        """Whether this may be that edge: what is not told fits everything."""
        origin, source, target, port = key
        return (
            (source, target) == (self.source, self.target)
            and (not self.origin or self.origin == origin)
            and (not self.port or self.port == port)
        )


class Edges:
    """The edges of one graph, to be found again."""

    def __init__(self, graph: Graph[Any, Any]) -> None:
        self.keys: list[EdgeKey] = []
        for declared in graph._proof.edges:
            edge = declared.edge
            ports = getattr(edge.target, "ports", ())
            port = ports[declared.port].name if 0 <= declared.port < len(ports) else ""
            self.keys.append((edge.origin.but(laps=None).text(), edge.origin.node.name, edge.target.name, port))

    def find(self, told: Told, index: int) -> int | None:
        """The place of the edge that is meant, or None where this graph has no such edge."""
        if 0 <= index < len(self.keys) and told.fits(self.keys[index]):
            return index
        return next((place for place, key in enumerate(self.keys) if told.fits(key)), None)
