"""The state of each node on a picture that was drawn before: a mark beside its colour, always."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import unescape

from graphflow.render.xml import xml

SIGNS = {"running": "\u25b6", "done": "\u2713", "failed": "\u2717", "cancelled": "\u2298", "skipped": "\u2013"}
COLOURS = {"running": "#b45309", "done": "#1b7f4b", "failed": "#b3261e", "cancelled": "#5f6c78", "skipped": "#8a949b"}


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
