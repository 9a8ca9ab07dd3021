"""Who worked when in a run: spans, their lanes, and the chart of them."""

from __future__ import annotations

from graphflow.render.timeline.chart import Timeline, timeline

__all__ = ["Timeline", "timeline"]
