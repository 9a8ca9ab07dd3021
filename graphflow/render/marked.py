"""A graph's SVG whose nodes and edges can be found: `data-node` on nodes, `data-source` and `data-target` on edges.

Rules:
1. The marks are written as text into SVG that `dot` has made of our own DOT; nothing else is changed.
2. `painted` puts the state of each node on a picture, for where nothing can move: a mark beside its colour, always.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import unescape
from itertools import count
from typing import Any

from graphflow.graph import Graph
from graphflow.render.diagram import _drawn, _ids, dot_binary, rendered, to_dot
from graphflow.render.xml import xml

_PICTURES = count(1)
_GROUP = re.compile(r'<g id="(node|edge)(\d+)" class="(?:node|edge)">\s*<title>([^<]*)</title>')
SIGNS = {"running": "\u25b6", "done": "\u2713", "failed": "\u2717", "cancelled": "\u2298", "skipped": "\u2013"}
COLOURS = {"running": "#b45309", "done": "#1b7f4b", "failed": "#b3261e", "cancelled": "#5f6c78", "skipped": "#8a949b"}


def marked_svg(graph: Graph[Any, Any]) -> str | None:
    """The picture with its marks, to be put into a page; None where nothing can draw."""
    if dot_binary() is None:
        return None
    if hasattr(graph, "to_svg"):
        picture: str = graph.to_svg()
        return picture[picture.find("<svg") :]
    svg = rendered(to_dot(graph), "svg").decode()
    prefix = f"gf{next(_PICTURES)}"
    names = {id: name for name, id in _ids(graph).items()}
    kinds = {name: node.kind for name, node in _drawn(graph).items()}
    edges = len(graph._proof.edges)

    def mark(found: re.Match[str]) -> str:
        what, number, title = found[1], int(found[2]), found[3].replace("&#45;", "-").replace("&gt;", ">")
        if what == "node":
            name = names.get(title, title)
            kind = kinds.get(name, "end")
            return f'<g class="node gf-{xml(kind)}" id="{prefix}-n-{number}" data-node="{xml(name, 20_000)}">'
        source, _, target = title.partition("->")
        source, target = names.get(source, source), names.get(target, target)
        index = str(number - 1) if number <= edges else f"c-{source}-{target}"
        ends = f'data-source="{xml(source, 20_000)}" data-target="{xml(target, 20_000)}"'
        return f'<g class="edge" id="{prefix}-e-{number - 1}" data-edge="{xml(index, 50_000)}" {ends}>'

    return _GROUP.sub(mark, svg[svg.find("<svg") :]).replace('<g id="graph0"', f'<g id="{prefix}"')


def painted(svg: str, states: Mapping[str, tuple[str, str]]) -> str:
    """The picture with a state on each node that is named: (state, what to say beside the sign)."""
    signs: list[str] = []

    def sign(found: re.Match[str]) -> str:
        state = states.get(unescape(found[2]))
        if state is None or state[0] not in SIGNS:
            return found[0]
        how, told = state
        at = re.search(r'<text[^>]* x="([-\d.]+)" y="([-\d.]+)"', svg[found.end() : found.end() + 4000])
        if at is not None:
            signs.append(
                f'<text x="{at[1]}" y="{float(at[2]) + 13:.1f}" text-anchor="middle" font-size="10" font-weight="700" '
                f'font-family="Helvetica,sans-serif" fill="{COLOURS[how]}">{SIGNS[how]} {xml(told, 20)}</text>'
            )
        return f'{found[1]} style="stroke-width:2.5;color:{COLOURS[how]}">'

    marked = re.sub(r'(<g class="node [^>]*data-node="([^"]*)"[^>]*)>', sign, svg)
    end = marked.rfind("</g>")
    return marked[:end] + "".join(signs) + marked[end:]
