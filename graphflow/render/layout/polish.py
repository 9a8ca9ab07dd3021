"""Improves what a layout program leaves: labels on borders, and heads of arrows that meet in a point.

Nothing else is moved, so the picture is that of the program. Where the text cannot be read, it is left as it is.
"""

from __future__ import annotations

from graphflow.render.layout.document import AttributeList, blocks_of, changed
from graphflow.render.layout.drawing import edges_of, outlines_of, titles_of
from graphflow.render.layout.heads import spread_heads
from graphflow.render.layout.label_places import place_labels

MAX_EDGES = 160
"""Edges up to which a picture is improved; with more, labels are too small to read."""
PERIPHERY = 8 / 72
"""Inches that a second line around a shape adds to its size."""

Changes = dict[tuple[int, int], str]
"""New values, by where the old ones stand in the text."""


def polished(text: str) -> str:
    """The laid-out text with labels and heads in better places."""
    try:
        return _polished(text)
    except ValueError:  # what should be numbers is not: some other program's way of writing
        return text


def _polished(text: str) -> str:
    blocks = blocks_of(text)
    changes = _sizes_without_peripheries(blocks)
    edges = edges_of(blocks)
    if len(edges) <= MAX_EDGES:
        outlines = outlines_of(blocks)
        spread_heads(edges, outlines)
        place_labels(edges, outlines, titles_of(blocks))
    for edge in edges:
        if not edge.has_moved:
            continue
        places = edge.block.spans
        changes[places["pos"]] = edge.curve.text()
        if edge.label is not None:
            changes[places["lp"]] = edge.label.text()
    return changed(text, changes)


def _sizes_without_peripheries(blocks: list[AttributeList]) -> Changes:
    """The sizes to ask for, so that shapes with a second line around them stay as they are.

    The size that a program writes includes that line, but the size that it is given must not: read back unchanged, such a
    shape would grow by it.
    """
    changes: Changes = {}
    for block in blocks:
        if not block.is_node or not _is_double(block):
            continue
        for name in ("width", "height"):
            if name in block.values:
                size = float(block.values[name]) - PERIPHERY
                place = block.spans[name]
                changes[place] = f"{size:.4f}"
    return changes


def _is_double(block: AttributeList) -> bool:
    """Whether a shape has a second line around it."""
    if block.values.get("shape") == "doublecircle":
        return True
    return block.values.get("peripheries") == "2"
