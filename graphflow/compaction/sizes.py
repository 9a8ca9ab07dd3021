"""The sizes of a growing list of turns, as sums from its beginning: how large any part of it is costs two look-ups.

turns     U    A    T    A    U
whole   0   10   30   90   95   99      tokens before each place
masked  0   10   30   45   50   54      the same, with results of tools masked
pinned  0   10   30   90   95   95      the same, of pinned turns alone
little  0   10   30   45   50   50      the same, with results of tools masked
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Sequence

from graphflow.compaction.masks import masked
from graphflow.compaction.omission import Omission
from graphflow.compaction.tokens import tokens_of_turn
from graphflow.compaction.units import (
    Layout,
    begins_unit,
    is_compaction,
    two_texts,
)
from graphflow.model.turns import ToolTurn, Turn

IsPinned = Callable[[Turn], bool]


class TurnSizes:
    """What is known of the turns of an activation.

    Args:
        layout: which of them are what.
        is_pinned: whether the unit of a turn always stays.
        head: how many units of the history always stay, the first ones.
        readers: the models that may be asked: what one of them has summed up always stays. None: nobody knows which.

    Attributes:
        briefs: by the place behind it, what may stand for an exchange: its message and its answer, as two texts.
        pins: places of turns that always stay, though results of tools among them may be masked.
        masks: by its place, what stands for a turn whose results are masked.
        starts: where the units of the history begin.
        steps: where the units of the activity begin.
    """

    __slots__ = (
        "_head",
        "_is_pinned",
        "_little",
        "_masked",
        "_pinned",
        "_readers",
        "_results",
        "_whole",
        "briefs",
        "layout",
        "masks",
        "pins",
        "starts",
        "steps",
    )

    def __init__(
        self,
        layout: Layout,
        is_pinned: IsPinned,
        head: int = 0,
        readers: Collection[str] = (),
    ) -> None:
        self.layout = layout
        self._readers = readers
        self._is_pinned = is_pinned
        self._head = head
        self.briefs: dict[int, Sequence[Turn]] = {}
        self.pins: set[int] = set()
        self.masks: dict[int, Turn] = {}
        self.starts: list[int] = []
        self.steps: list[int] = []
        self._whole = [0]
        self._masked = [0]
        self._pinned = [0]
        self._little = [0]
        self._results = [0]

    @property
    def count(self) -> int:
        """How many turns are measured."""
        return len(self._whole) - 1

    def extend(self, turns: Sequence[Turn]) -> None:
        """Measures the turns that have come since."""
        place = self.count
        if self._goes_on(turns, place):
            place = self._forget_last_unit()
        while place < len(turns):
            end = self._end_of_unit(turns, place)
            self._add_unit(turns[place:end], place)
            place = end

    # -- units -------------------------------------------------------------------------------------
    def _goes_on(self, turns: Sequence[Turn], place: int) -> bool:
        """Whether the next turn belongs to the last unit: its provider had paused."""
        first = self.layout.message + 1
        if place == len(turns) or place <= first:
            return False
        return not begins_unit(turns, place, self.layout)

    def _forget_last_unit(self) -> int:
        start = self.steps.pop()
        for sums in self._sums():
            del sums[start + 1 :]
        self.pins = {place for place in self.pins if place < start}
        late = [place for place in self.masks if place >= start]
        for place in late:
            del self.masks[place]
        return start

    def _end_of_unit(self, turns: Sequence[Turn], start: int) -> int:
        layout = self.layout
        if start < layout.examples:
            return layout.examples
        if start == layout.message:
            return start + 1
        limit = len(turns)
        if start < layout.message:
            limit = layout.message
        for place in range(start + 1, limit):
            if begins_unit(turns, place, layout):
                return place
        return limit

    def _add_unit(self, unit: Sequence[Turn], start: int) -> None:
        stays = self._stays(unit, start)
        if not stays:
            end = start + len(unit)
            self.briefs[end] = two_texts(unit)
        for place, turn in enumerate(unit, start):
            if isinstance(turn, ToolTurn):
                self._add_results(place, turn, stays)
            else:
                size = tokens_of_turn(turn)
                self._add(size, size, stays, 0)
            if stays:
                self.pins.add(place)

    def _stays(self, unit: Sequence[Turn], start: int) -> bool:
        """Whether a unit always stays. Examples and the message do so by where they stand."""
        layout = self.layout
        if start < layout.examples or start == layout.message:
            return False
        if start > layout.message:
            self.steps.append(start)
        else:
            self.starts.append(start)
            if len(self.starts) <= self._head:
                return True
        # What a provider has summed up stands for all before it: it cannot be left out alone.
        if any(is_compaction(turn, self._readers) for turn in unit):
            return True
        return any(map(self._is_pinned, unit))

    def _add_results(self, place: int, turn: ToolTurn, stays: bool) -> None:
        mask = turn
        # A unit that stays may be long: only that of it is kept whole for whose sake it does.
        if not (stays and self._is_pinned(turn)):
            mask = masked(turn)
        if mask is not turn:
            self.masks[place] = mask
        size = tokens_of_turn(turn)
        small = tokens_of_turn(mask)
        self._add(size, small, stays, len(turn.results))

    def _add(self, size: int, masked_size: int, stays: bool, results: int) -> None:
        pinned_size = size if stays else 0
        little_size = masked_size if stays else 0
        added = (size, masked_size, pinned_size, little_size, results)
        for each, number in zip(self._sums(), added, strict=True):
            each.append(each[-1] + number)

    def _sums(self) -> tuple[list[int], ...]:
        return self._whole, self._masked, self._pinned, self._little, self._results

    def unit_from(self, place: int) -> int:
        """Where the first unit of the history begins that does not begin before a place; the message, if there is none."""
        found = bisect_left(self.starts, place)
        if found == len(self.starts):
            return self.layout.message
        return self.starts[found]

    # -- sums --------------------------------------------------------------------------------------
    def tokens(self, omission: Omission, end: int) -> int:
        """Tokens of the first so many turns, of which some are left out."""
        examples = self.layout.examples
        message = self.layout.message
        if end <= examples:
            return self._whole[end]
        tokens = self._whole[examples]
        for turn in self.brief_of(omission):
            tokens += tokens_of_turn(turn)
        results = omission.results
        if end <= message:
            return tokens + self._region(examples, end, omission.exchanges, results)
        tokens += self._region(examples, message, omission.exchanges, results)
        tokens += self._whole[message + 1] - self._whole[message]
        return tokens + self._region(message + 1, end, omission.activity, results)

    def brief_of(self, omission: Omission) -> Sequence[Turn]:
        """The two texts that stand for the last exchange that is left out; nothing, if none do."""
        place = -1
        if omission.brief:
            place = omission.exchanges
        return self.briefs.get(place, ())

    def _region(self, first: int, end: int, start: int, results: int) -> int:
        """Tokens of a stretch of turns: what is pinned in front of `start`, and all from there on."""
        begin = min(max(first, start), end)
        border = min(max(begin, results), end)
        masks_end = min(max(first, results), begin)
        pinned = self._little[masks_end] - self._little[first]
        pinned += self._pinned[begin] - self._pinned[masks_end]
        old = self._masked[border] - self._masked[begin]
        new = self._whole[end] - self._whole[border]
        return pinned + old + new

    def results_before(self, keep: int, end: int) -> int:
        """The place before which results are masked, so that of the first so many turns at least `keep` results stay.

        The last turn is never masked: its results have not been read yet.
        """
        surplus = self._results[end] - keep
        if surplus <= 0:
            return 0
        place = bisect_right(self._results, surplus, 0, end + 1) - 1
        return min(place, end - 1)
