"""The Model Context Protocol, seen from the client: servers whose tools agents call.

A server is a node that stands for its tools, which are listed when a run begins and are nodes like others from then on. What a
server says is checked within bounds, and a call that was under way when its connection was lost is never sent again. The
`mcp` SDK (extra `mcp`) is loaded when the first server is opened, so a graph that names one can be built, proven and drawn
without it.

`graphflow.server.mcp` is the other side: graphs that are served as tools.
"""

from __future__ import annotations

from graphflow.mcp.elicitation import Elicitation
from graphflow.mcp.server import MCP
from graphflow.mcp.shared import close_kept

__all__ = ["MCP", "Elicitation", "close_kept"]
