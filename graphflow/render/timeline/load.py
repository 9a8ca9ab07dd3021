"""The load above a timeline: how many activations were at work at each moment, as one filled shape."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise

from graphflow.render.timeline.elements import number
from graphflow.render.timeline.lanes import LoadStep, at_once
from graphflow.render.timeline.spans import Story

MAX_TICKS = 10
_POWERS = [10.0**power for power in range(-7, 7)]
_STEPS = [base * power for power in _POWERS for base in (1, 2, 5)]
"""Round lengths of time, from a tenth of a microsecond to months."""


class Load:
    """The most activations at once in each column of the picture."""

    def __init__(self, story: Story, whole: float, width: int) -> None:
        steps = at_once(story)
        counts = [step.working for step in steps]
        self.peak = max(counts, default=0)
        self.whole = whole
        self.width = width
        self.counts = [0] * (width + 1)
        # The last step lasts to the end of the run.
        run_end = LoadStep(whole, 0)
        for step, following in pairwise([*steps, run_end]):
            first = self._column(step.at)
            last = self._column(following.at)
            for column in range(first, last + 1):
                highest = self.counts[column]
                self.counts[column] = max(highest, step.working)

    def _column(self, at: float) -> int:
        column = int(self.width * at / self.whole)
        return min(self.width, max(0, column))

    def shape(self, left: int, base: int, height: int) -> str:
        """The load as the path of a shape that stands on `base`, and is so high where the load is highest."""
        scale = height / max(self.peak, 1)
        right = left + self.width
        path = f"M{left} {base}"
        before = -1
        for column, count in enumerate(self.counts):
            if count == before:
                continue
            before = count
            if column:
                # A path of corners: to where the load changes, and up or down there.
                path += f"H{left + column}"
            top = base - count * scale
            path += f"V{number(top)}"
        return f"{path}H{right}V{base}Z"


def ticks(whole: float) -> list[float]:
    """Round moments, at most ten."""
    least = whole / MAX_TICKS
    place = bisect_right(_STEPS, least)
    last = len(_STEPS) - 1
    place = min(place, last)
    step = _STEPS[place]
    count = int(whole / step * 1.0000001)  # a run of exactly five steps has a mark at its end
    return [step * mark for mark in range(count + 1)]
