"""Books: what each frame of a recorded run has used."""

from __future__ import annotations

from collections.abc import Iterable

from graphflow.limits import Usage


class Books:
    """What each frame has used by itself, and who lies in whom."""

    def __init__(self) -> None:
        self._own: dict[int, Usage] = {}
        self._children: dict[int, list[int]] = {}
        self._depths: dict[int, int] = {0: 0}
        self.unpriced: set[int] = set()
        """Frames with an answer of which nobody knows what it cost."""

    def own(self, frame: int) -> Usage:
        """What a frame has used by itself."""
        used = self._own.get(frame)
        if used is None:
            used = Usage(usd=0.0)
            self._own[frame] = used
        return used

    def enter(self, frame: int, parent: int) -> None:
        siblings = self._children.setdefault(parent, [])
        siblings.append(frame)
        self._depths[frame] = self._depths[parent] + 1

    def depth(self, frame: int) -> int:
        """Frames around a frame."""
        return self._depths[frame]

    def within(self, frame: int) -> Iterable[int]:
        """A frame, and all frames within it."""
        todo = [frame]
        while todo:
            number = todo.pop()
            todo += self._children.get(number, ())
            yield number

    def total(self, frame: int) -> Usage:
        """What a frame and all within it have used, of dollars those that are known."""
        total = Usage()
        usd = 0.0
        for number in self.within(frame):
            used = self.own(number)
            total.steps += used.steps
            total.tool_calls += used.tool_calls
            total.model_calls += used.model_calls
            total.input_tokens += used.input_tokens
            total.output_tokens += used.output_tokens
            total.cache_read_tokens += used.cache_read_tokens
            total.cache_write_tokens += used.cache_write_tokens
            total.reasoning_tokens += used.reasoning_tokens
            # What nobody knows the price of is left out, and `is_unpriced` tells of it.
            usd += used.usd or 0.0
        total.usd = usd
        return total

    def is_unpriced(self, frame: int) -> bool:
        """Whether nobody knows what an answer in a frame, or in one within it, has cost."""
        return not self.unpriced.isdisjoint(self.within(frame))
