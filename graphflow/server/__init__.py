"""Servers that graphs stand behind, for programs that know nothing of graphflow: MCP today.

A server starts walks (`Graph.start`), so this room stands above the graph; the room `mcp` holds the other side, the servers
that graphs call. Everything a caller sends is checked as the input of a graph, and everything it gets has passed redaction.
"""
