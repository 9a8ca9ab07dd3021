"""Pictures of graphs and of walks over them."""

from __future__ import annotations

from graphflow.render.diagram import SHAPES, dot_binary, draw, mimebundle, to_dot, to_mermaid
from graphflow.render.page import write_report
from graphflow.render.timeline import Timeline, timeline

__all__ = [
    "SHAPES",
    "Timeline",
    "dot_binary",
    "draw",
    "mimebundle",
    "timeline",
    "to_dot",
    "to_mermaid",
    "write_report",
]
