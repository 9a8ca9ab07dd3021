"""Servers that graphs stand behind, for programs that know nothing of graphflow: MCP today.

A server starts walks (`Graph.start`), so this room stands above the graph; the room `mcp` holds the other side, the servers
that graphs call. Everything that a caller sends is checked as the input of a graph, and a caller that goes away cancels its
walk. What goes wrong is an answer that is marked as an error and scrubbed of secrets, and the server goes on.
"""
