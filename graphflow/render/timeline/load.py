"""The load above a timeline: how many activations were at work at each moment, as one filled shape."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise

from graphflow.render.timeline.elements import number
from graphflow.render.timeline.lanes import LoadStep, at_once
from graphflow.render.timeline.spans import Story

MAX_TICKS = 10


def _round_lengths() -> Iterator[float]:
    """Round lengths of time, from a tenth of a microsecond to months."""
    for exponent in range(-7, 7):
        power = 10.0**exponent
        yield power
        yield 2 * power
        yield 5 * power


_STEPS = list(_round_lengths())


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
        steps.append(run_end)
        for step, following in pairwise(steps):
            first = self._column(step.at)
            last = self._column(following.at)
            # A column holds a while, not a moment: the most of it is what is shown.
            for column in range(first, last + 1):
                highest = self.counts[column]
                self.counts[column] = max(highest, step.working)

    def _column(self, at: float) -> int:
        column = int(self.width * at / self.whole)
        column = max(column, 0)
        return min(column, self.width)

    def shape(self, left: int, base: int, height: int) -> str:
        """The load as the path of a shape that stands on `base`, and is so high where the load is highest."""
        peak = max(self.peak, 1)
        scale = height / peak
        path = f"M{left} {base}"
        before = -1
        for column, count in enumerate(self.counts):
            if count == before:
                continue
            before = count
            # A path of corners: to where the load changes, and up or down there.
            if column:
                x = left + column
                path += f"H{x}"
            top = base - count * scale
            y = number(top)
            path += f"V{y}"
        right = left + self.width
        path += f"H{right}"
        path += f"V{base}Z"
        return path


def ticks(whole: float) -> list[float]:
    """Round moments, at most ten."""
    least = whole / MAX_TICKS
    place = bisect_right(_STEPS, least)
    last = len(_STEPS) - 1
    place = min(place, last)
    step = _STEPS[place]
    steps = whole / step
    # A run of exactly five steps has a mark at its end, whatever the division makes of five.
    count = int(steps * 1.0000001)
    return [step * mark for mark in range(count + 1)]
