"""Opens servers before anybody needs them, so that one that is not there is told at once."""

from __future__ import annotations

from graphflow.mcp.server import MCP
from graphflow.project.graph_info import nodes_below
from graphflow.proofs.proven import AnyGraph


async def probe_servers(graph: AnyGraph) -> None:
    """Opens the servers of a graph. Those that the process shares stay open; the others are closed again.

    Raises:
        ServerFailed: one is not there.
        MissingExtra: the extra `mcp` is not installed.
    """
    for node in nodes_below(graph):
        if isinstance(node, MCP):
            tools = await node.open("probe")
            await tools.close()
