"""A graph whose agents have other prompts: for a fork that asks them in other words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from graphflow.declaration.node import AnyNode
from graphflow.errors import DeclarationError
from graphflow.kinds.agent import AgentNode
from graphflow.proofs.proven import AnyGraph
from graphflow.proofs.variant import Change, NodeKey, variant

G = TypeVar("G", bound=AnyGraph)
Prompts = Mapping[NodeKey, str]
"""The prompt of each agent that gets another one, by the agent or its name (`inner > draft`)."""


def with_prompts(graph: G, prompts: Prompts | str) -> G:
    """The graph with other prompts; a text alone is that of its only agent.

    Raises:
        DeclarationError: no agent of a name stands in it, or several do.
        GraphError: a prompt names what its agent is not given.
    """
    if isinstance(prompts, str):
        prompts = {_only_asker(graph): prompts}
    changes: dict[NodeKey, Change] = {}
    for key, text in prompts.items():
        changes[key] = _Rewording(text)
    return variant(graph, changes)


def _only_asker(graph: AnyGraph) -> str:
    names = {name for name, _ in graph.models_needed(None)}
    if len(names) == 1:
        return names.pop()
    listed = ", ".join(sorted(names)) or "no agent"
    raise DeclarationError(
        f"prompt='...' is for a graph with one agent, and {graph.name!r} has {listed}; "
        "say whose it is: prompt={'draft': '...'}"
    )


class _Rewording:
    """Makes of an agent the same one with another prompt."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __call__(self, node: AnyNode) -> AnyNode:
        if not isinstance(node, AgentNode):
            raise DeclarationError(
                f"{node.name!r} is a {node.kind} and has no prompt of its own; "
                "graph.variant({...}) puts another node in its place"
            )
        return node.but(prompt=self.text)
