"""Pictures of graphs and of walks over them: diagrams, timelines, differences, reports.

A graph or a run becomes a picture first (`picture`), and each form (`forms`) writes the same picture in its own syntax, so
that what is shown is decided once. The same graph gives the same picture, in the order of its declaration. A run is only read,
also from a file of events that anybody may have written: its texts are escaped and scrubbed of secrets.
"""

from __future__ import annotations

from graphflow.render.compare.diff import diff
from graphflow.render.compare.difference import Difference
from graphflow.render.compare.overlay import Overlay, overlay_of
from graphflow.render.layout.program import dot_binary
from graphflow.render.page import write_report
from graphflow.render.palette import SHAPES
from graphflow.render.records import read_records
from graphflow.render.timeline import Timeline, timeline
from graphflow.render.writing import (
    draw,
    draw_run,
    mimebundle,
    run_bundle,
    run_svg,
    to_ascii,
    to_dot,
    to_mermaid,
    to_svg,
    walked,
)

__all__ = [
    "SHAPES",
    "Difference",
    "Overlay",
    "Timeline",
    "diff",
    "dot_binary",
    "draw",
    "draw_run",
    "mimebundle",
    "overlay_of",
    "read_records",
    "run_bundle",
    "run_svg",
    "timeline",
    "to_ascii",
    "to_dot",
    "to_mermaid",
    "to_svg",
    "walked",
    "write_report",
]
