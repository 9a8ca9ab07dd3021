"""graphflow: declarative graphs of agents, proven before the first token, walked by an async executor."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from graphflow._version import __version__ as __version__

_HOME = {
    "Agent": "agent",
    "Apart": "declaration.claims",
    "AtLeast": "declaration.claims",
    "AtMost": "declaration.claims",
    "Before": "declaration.claims",
    "Budget": "budgets",
    "CACHE": "model.turns",
    "CacheMark": "model.turns",
    "Code": "kinds.code",
    "Context": "declaration.context",
    "END": "declaration.arrows",
    "ErrorReport": "runtime.failure",
    "Exactly": "declaration.claims",
    "Failover": "providers.failover",
    "Failure": "messages.message",
    "Graph": "graph",
    "GraphError": "errors",
    "GraphflowError": "errors",
    "Handoff": "declaration.handoffs",
    "HeadTail": "compaction.policies",
    "Human": "kinds.human",
    "LimitReached": "messages.message",
    "Limits": "limits",
    "MCP": "mcp.server",
    "Media": "messages.media",
    "Message": "messages.message",
    "Never": "declaration.claims",
    "Node": "declaration.node",
    "Only": "declaration.claims",
    "Policy": "policy",
    "Quota": "limits",
    "Receive": "kinds.wait",
    "Retry": "declaration.options",
    "Router": "kinds.router",
    "Run": "run",
    "State": "messages.state",
    "START": "declaration.arrows",
    "Skills": "kinds.skills",
    "Store": "journal.store",
    "SubAgent": "kinds.subagent",
    "Summarise": "compaction.policies",
    "Take": "declaration.ports",
    "TimedOut": "messages.message",
    "Tool": "kinds.tool",
    "ToolError": "errors",
    "Wait": "kinds.wait",
    "Window": "compaction.policies",
    "connect": "providers",
    "factory": "declaration.factories",
    "load_ipython_extension": "notebook",
    "node": "kinds.step",
    "record": "providers.recording",
    "replay": "providers.recording",
    "tool": "kinds.tool",
}

__all__ = [
    "CACHE",
    "END",
    "MCP",
    "START",
    "Agent",
    "Apart",
    "AtLeast",
    "AtMost",
    "Before",
    "Budget",
    "CacheMark",
    "Code",
    "Context",
    "ErrorReport",
    "Exactly",
    "Failover",
    "Failure",
    "Graph",
    "GraphError",
    "GraphflowError",
    "Handoff",
    "HeadTail",
    "Human",
    "LimitReached",
    "Limits",
    "Media",
    "Message",
    "Never",
    "Node",
    "Only",
    "Policy",
    "Quota",
    "Receive",
    "Retry",
    "Router",
    "Run",
    "Skills",
    "State",
    "Store",
    "SubAgent",
    "Summarise",
    "Take",
    "TimedOut",
    "Tool",
    "ToolError",
    "Wait",
    "Window",
    "connect",
    "factory",
    "node",
    "record",
    "replay",
    "tool",
]

if TYPE_CHECKING:
    from graphflow.agent import Agent
    from graphflow.budgets import Budget
    from graphflow.compaction.policies import HeadTail, Summarise, Window
    from graphflow.declaration.arrows import END, START
    from graphflow.declaration.claims import (
        Apart,
        AtLeast,
        AtMost,
        Before,
        Exactly,
        Never,
        Only,
    )
    from graphflow.declaration.context import Context
    from graphflow.declaration.factories import factory
    from graphflow.declaration.handoffs import Handoff
    from graphflow.declaration.node import Node
    from graphflow.declaration.options import Retry
    from graphflow.declaration.ports import Take
    from graphflow.errors import GraphError, GraphflowError, ToolError
    from graphflow.graph import Graph
    from graphflow.journal.store import Store
    from graphflow.kinds.code import Code
    from graphflow.kinds.human import Human
    from graphflow.kinds.router import Router
    from graphflow.kinds.skills import Skills
    from graphflow.kinds.step import node
    from graphflow.kinds.subagent import SubAgent
    from graphflow.kinds.tool import Tool, tool
    from graphflow.kinds.wait import Receive, Wait
    from graphflow.limits import Limits, Quota
    from graphflow.mcp.server import MCP
    from graphflow.messages.media import Media
    from graphflow.messages.message import Failure, LimitReached, Message, TimedOut
    from graphflow.messages.state import State
    from graphflow.model.turns import CACHE, CacheMark
    from graphflow.policy import Policy
    from graphflow.providers import connect
    from graphflow.providers.failover import Failover
    from graphflow.providers.recording import record, replay
    from graphflow.run import Run
    from graphflow.runtime.failure import ErrorReport


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
