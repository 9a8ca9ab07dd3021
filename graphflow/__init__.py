"""graphflow: declarative graphs of agents, proven before the first token, walked by an async executor."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "CACHE": "turns",
    "Agent": "kinds.agent",
    "CacheMark": "turns",
    "Code": "kinds.code",
    "Context": "nodes",
    "END": "arrows",
    "Failover": "providers.failover",
    "Failure": "messages",
    "Graph": "graph",
    "GraphError": "errors",
    "GraphflowError": "errors",
    "Handoff": "handoffs",
    "Human": "kinds.human",
    "LimitReached": "messages",
    "Limits": "limits",
    "MCP": "mcp.server",
    "Media": "media",
    "Message": "messages",
    "Node": "nodes",
    "Policy": "policy",
    "Retry": "nodes",
    "Router": "kinds.router",
    "Run": "run",
    "START": "arrows",
    "Skills": "kinds.skills",
    "SubAgent": "kinds.subagent",
    "Take": "ports",
    "Tool": "kinds.tool",
    "ToolError": "errors",
    "connect": "providers",
    "load_ipython_extension": "notebook",
    "node": "kinds.step",
    "record": "recording",
    "replay": "recording",
    "tool": "kinds.tool",
}

__all__ = [
    "CACHE",
    "END",
    "MCP",
    "START",
    "Agent",
    "CacheMark",
    "Code",
    "Context",
    "Failover",
    "Failure",
    "Graph",
    "GraphError",
    "GraphflowError",
    "Handoff",
    "Human",
    "LimitReached",
    "Limits",
    "Media",
    "Message",
    "Node",
    "Policy",
    "Retry",
    "Router",
    "Run",
    "Skills",
    "SubAgent",
    "Take",
    "Tool",
    "ToolError",
    "connect",
    "node",
    "record",
    "replay",
    "tool",
]

if TYPE_CHECKING:
    from graphflow.arrows import END, START
    from graphflow.errors import GraphError, GraphflowError, ToolError
    from graphflow.graph import Graph
    from graphflow.handoffs import Handoff
    from graphflow.kinds.agent import Agent
    from graphflow.kinds.code import Code
    from graphflow.kinds.human import Human
    from graphflow.kinds.router import Router
    from graphflow.kinds.skills import Skills
    from graphflow.kinds.step import node
    from graphflow.kinds.subagent import SubAgent
    from graphflow.kinds.tool import Tool, tool
    from graphflow.limits import Limits
    from graphflow.mcp.server import MCP
    from graphflow.media import Media
    from graphflow.messages import Failure, LimitReached, Message
    from graphflow.nodes import Context, Node, Retry
    from graphflow.policy import Policy
    from graphflow.ports import Take
    from graphflow.providers import connect
    from graphflow.providers.failover import Failover
    from graphflow.recording import record, replay
    from graphflow.run import Run
    from graphflow.turns import CACHE, CacheMark


def __getattr__(name: str) -> Any:
    """Loads a public name when it is first asked for, so that `import graphflow` costs next to nothing (PEP 562)."""
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'graphflow' has no attribute {name!r}")
    value = getattr(import_module(f"graphflow.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
