"""Notes that were derived from what was said: whoever withdraws an exchange, or forgets a conversation, takes them with it.

A node of a memory writes down with each note in which conversation and in which run it was remembered. A run is one exchange,
so its notes are found by its id, whether or not it has completed.
"""

from __future__ import annotations

from collections.abc import Iterable

from graphflow.declaration.node import AnyNode, Node
from graphflow.memory.memory_node import AskedMemory, MemoryNode
from graphflow.proofs.proven import AnyGraph, ProvenGraph


def memories_of(graph: AnyGraph) -> list[AskedMemory]:
    """The memories that nodes of a graph ask, each once; in graphs within and behind call edges, too."""
    found: dict[int, AskedMemory] = {}
    seen: set[int] = set()
    todo: list[AnyNode] = [graph]
    while todo:
        node = todo.pop()
        # Graphs may call each other in a circle.
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, MemoryNode):
            found.setdefault(id(node.memory), node.memory)
        todo += _behind(node)
    return list(found.values())


def _behind(node: AnyNode) -> list[AnyNode]:
    """What a node consists of, stands for, calls or hands over to."""
    behind: list[AnyNode | str] = [*node.calls]
    behind += [handoff.target for handoff in node.handoffs]
    if isinstance(node, ProvenGraph):
        behind += node.nodes
    target, _ = node.entry()
    behind.append(target)
    return [other for other in behind if isinstance(other, Node)]


async def forget_exchanges(graph: AnyGraph, conversation: str, runs: Iterable[str]) -> int:
    """Forgets what was remembered in some exchanges of a conversation, in every memory of a graph.

    Args:
        graph: whose conversation it is.
        conversation: its key.
        runs: the ids of the runs that were the exchanges.

    Returns:
        How many notes that were.

    Raises:
        MemoryUnavailable: a memory could not be asked. Those before it have forgotten.
    """
    count = 0
    memories = memories_of(graph)
    for run in runs:
        for memory in memories:
            count += await memory.forget(conversation=conversation, exchange=run)
    return count


async def forget_conversation(graph: AnyGraph, conversation: str) -> int:
    """Forgets all that was ever remembered in a conversation, in every memory of a graph.

    Returns:
        How many notes that were.

    Raises:
        MemoryUnavailable: a memory could not be asked. Those before it have forgotten.
    """
    count = 0
    for memory in memories_of(graph):
        count += await memory.forget(conversation=conversation)
    return count
