"""Colours: the Okabe-Ito set, which colour-blind eyes tell apart, as tints with a darker line; and the shape of each kind.

Rules:
1. Six digits, always: Debian's dot 2.43 draws three-digit colours black.
2. Every colour of one theme is there once, so that the light ones can be found in an SVG and given a name each.
3. Shape says the same as colour: a picture reads in grey.
"""

from __future__ import annotations

from typing import Literal

Theme = Literal["auto", "light", "dark"]

SHAPES = {
    "step": "box",
    "agent": "box",
    "sub-agent": "box",
    "graph": "folder",
    "router": "diamond",
    "tool": "component",
    "code": "tab",
    "skills": "note",
    "human": "ellipse",
    "wait": "hexagon",
    "receive": "cds",
    "server": "cylinder",
    "state": "cylinder",
    "memory": "box3d",
}
"""Kinds by shape. An agent has a bolder line than a step, a sub-agent a double one."""

LIGHT = {
    "paper": "#ffffff",
    "ink": "#1c2730",
    "faint": "#586772",
    "line": "#52616d",
    "pale": "#c6cfd6",
    "call": "#7b8993",
    "hand": "#7d3c98",
    "trouble": "#b8480e",
    "area-fill": "#f5f7f9",
    "area-deep-fill": "#ebeff3",
    "area-line": "#b4c0ca",
    "end-fill": "#2b3740",
    "end-ink": "#fefefe",
    "idle-fill": "#fafbfc",
    "step-fill": "#edf1f4",
    "step-line": "#6a7883",
    "agent-fill": "#fdebc4",
    "agent-line": "#b37a00",
    "sub-agent-fill": "#fbe2ab",
    "sub-agent-line": "#a87200",
    "graph-fill": "#d9eefb",
    "graph-line": "#2a83b7",
    "router-fill": "#f7e0ed",
    "router-line": "#ae5387",
    "tool-fill": "#d6f0e6",
    "tool-line": "#007858",
    "code-fill": "#d8e5f4",
    "code-line": "#005f9a",
    "skills-fill": "#faf5c8",
    "skills-line": "#958a10",
    "human-fill": "#fbddcf",
    "human-line": "#c05300",
    "wait-fill": "#e6e2f3",
    "wait-line": "#6a56a5",
    "receive-fill": "#fadcd6",
    "receive-line": "#b24a38",
    "server-fill": "#c9e8de",
    "server-line": "#006d50",
    "state": "#4f5d75",
    "state-fill": "#e3e7ee",
    "state-line": "#4d5b73",
    "memory-fill": "#e4edd2",
    "memory-line": "#5b7422",
    "added": "#0072b2",
    "added-fill": "#d3e8f6",
    "removed": "#d55e00",
    "removed-fill": "#fbe1cd",
    "changed": "#8f7a00",
    "changed-fill": "#f7f0b5",
    "running": "#0069a6",
    "done": "#2f3d47",
}
DARK = {
    "paper": "#11171c",
    "ink": "#e7edf2",
    "faint": "#a3b1bc",
    "line": "#a9b7c2",
    "pale": "#3b4751",
    "call": "#7f8f9b",
    "hand": "#c99be0",
    "trouble": "#ff9257",
    "area-fill": "#181f26",
    "area-deep-fill": "#1f2830",
    "area-line": "#46535e",
    "end-fill": "#dfe6eb",
    "end-ink": "#10161b",
    "idle-fill": "#151b21",
    "step-fill": "#28323a",
    "step-line": "#8b99a4",
    "agent-fill": "#43330f",
    "agent-line": "#e8ab2e",
    "sub-agent-fill": "#4b380c",
    "sub-agent-line": "#eeb33c",
    "graph-fill": "#14344a",
    "graph-line": "#5cb8ea",
    "router-fill": "#42253a",
    "router-line": "#dd8fbc",
    "tool-fill": "#0e3a2e",
    "tool-line": "#31b990",
    "code-fill": "#152f4a",
    "code-line": "#5aa2dc",
    "skills-fill": "#3b380f",
    "skills-line": "#d8cc45",
    "human-fill": "#4a2612",
    "human-line": "#f48a45",
    "wait-fill": "#2b2547",
    "wait-line": "#a896e6",
    "receive-fill": "#47211a",
    "receive-line": "#f0907c",
    "server-fill": "#0b3128",
    "server-line": "#2aa783",
    "state": "#93a2bd",
    "state-fill": "#232c3a",
    "state-line": "#95a4bf",
    "memory-fill": "#2b3614",
    "memory-line": "#a5c65a",
    "added": "#56b4e9",
    "added-fill": "#123349",
    "removed": "#f39a52",
    "removed-fill": "#48290f",
    "changed": "#e3d04a",
    "changed-fill": "#3d390f",
    "running": "#62c0f5",
    "done": "#ccd7df",
}
FONT = "Helvetica"
"""The face that labels are measured by; every layout program knows its widths, and the faces below have the same."""
FACES = "Helvetica, Arial, 'Liberation Sans', Arimo, 'DejaVu Sans', sans-serif"
"""What a browser takes; every machine has one of them."""


def colours(theme: Theme) -> dict[str, str]:
    """The colours that a picture is drawn in; what changes by itself is drawn light first."""
    return DARK if theme == "dark" else LIGHT
