"""The Model Context Protocol, seen from the client: servers whose tools agents call.

`graphflow.server.mcp` is the other side: graphs that are served as tools.

Everything here stands on the `mcp` SDK (extra `mcp`), which is loaded when the first server is opened; a graph that names
a server can be built, proven and drawn without it.
"""

from __future__ import annotations

from graphflow.mcp.elicitation import Elicitation
from graphflow.mcp.server import MCP
from graphflow.mcp.shared import close_kept

__all__ = ["MCP", "Elicitation", "close_kept"]
