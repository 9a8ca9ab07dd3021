"""Who worked when in a run: spans, their lanes, the critical path, and the chart of them."""

from __future__ import annotations

from graphflow.render.timeline.chart import Timeline, timeline
from graphflow.render.timeline.reading import read_story
from graphflow.render.timeline.spans import How, Span, Story

__all__ = ["How", "Span", "Story", "Timeline", "read_story", "timeline"]
