"""Which nodes of a graph have the same signature: ten thousand nodes have few, and what types say is found once for each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from graphflow.declaration.node import AnyNode
from graphflow.declaration.ports import MISSING

SignatureKey: TypeAlias = tuple[object, ...]
"""What a node puts out, and of each of its ports what an edge to it depends on."""


def number_signatures(nodes: Iterable[AnyNode]) -> list[int]:
    """The number of each node's signature, the same for two nodes if nothing but their names tells their edges apart."""
    # Types are compared by identity, for they live as long as their nodes, and to hash a union takes longer than to read
    # it anew. So a union that is written twice makes two signatures of one, which costs time alone.
    numbers: dict[SignatureKey, int] = {}
    found: list[int] = []
    for node in nodes:
        signature: list[object] = [id(node.output), node.passes_input]
        for port in node.ports:
            kind = id(port.type)
            required = port.default is MISSING
            signature += (port.name, kind, required, port.take)
        key = tuple(signature)
        number = numbers.setdefault(key, len(numbers))
        found.append(number)
    return found
