"""Pictures of graphs and of walks over them."""

from __future__ import annotations

from graphflow.render.diagram import SHAPES, dot_binary, draw, mimebundle, to_dot, to_mermaid

__all__ = ["SHAPES", "dot_binary", "draw", "mimebundle", "to_dot", "to_mermaid"]
