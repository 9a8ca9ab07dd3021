"""Pictures of graphs and of walks over them."""

from __future__ import annotations

from graphflow.render.binary import dot_binary
from graphflow.render.palette import SHAPES
from graphflow.render.writing import draw, mimebundle, to_ascii, to_dot, to_mermaid, to_svg

__all__ = ["SHAPES", "dot_binary", "draw", "mimebundle", "to_ascii", "to_dot", "to_mermaid", "to_svg"]
