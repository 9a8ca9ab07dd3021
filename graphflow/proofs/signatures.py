"""Which nodes of a graph have the same signature: ten thousand nodes have few, and what types say is found once for each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from graphflow.declaration.node import AnyNode
from graphflow.declaration.ports import MISSING

SignatureKey: TypeAlias = tuple[object, ...]
"""What a node puts out, and of each of its ports what an edge to it depends on."""
TwinKey: TypeAlias = tuple[int, int, bool]
"""The very output and the very ports of a node, and whether its input goes on."""


def number_signatures(nodes: Iterable[AnyNode]) -> list[int]:
    """The number of each node's signature, the same for two nodes if nothing but their names tells their edges apart."""
    # Types are compared by identity, for they live as long as their nodes, and to hash a union takes longer than to read
    # it anew. So a union that is written twice makes two signatures of one, which costs time alone.
    numbers: dict[SignatureKey, int] = {}
    # The same node under many names has the same ports each time.
    twins: dict[TwinKey, int] = {}
    found: list[int] = []
    for node in nodes:
        output = id(node.output)
        ports = id(node.ports)
        twin = (output, ports, node.passes_input)
        number = twins.get(twin)
        if number is None:
            key = _signature(node)
            number = numbers.setdefault(key, len(numbers))
            twins[twin] = number
        found.append(number)
    return found


def _signature(node: AnyNode) -> SignatureKey:
    output = id(node.output)
    signature: list[object] = [output, node.passes_input]
    for port in node.ports:
        kind = id(port.type)
        required = port.default is MISSING
        signature += (port.name, kind, required, port.take)
    return tuple(signature)
