"""Worst-case counts: a number, times the lengths of lists that are only known when a graph runs.

3               three times at most
2 x |plan|      twice for each item of what `plan` sends
|a or b|        once for each item of the longer of two lists
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest
from typing import TypeAlias

ListNames: TypeAlias = tuple[str, ...]
"""Whose lengths a count is multiplied by: the nodes that send the lists."""


@dataclass(frozen=True, slots=True)
class Count:
    """A worst-case count: `times`, once per item of each list in `lists` (whose lengths are only known at run time).

    `a or b` is the longer of two lists; a list without items counts as one of a single item.
    """

    times: int
    lists: ListNames = ()

    def __str__(self) -> str:
        factors: list[str] = []
        if self.times != 1 or not self.lists:
            factors.append(str(self.times))
        for name in self.lists:
            factors.append(f"|{name}|")
        return " x ".join(factors)

    @property
    def finite(self) -> bool:
        """Whether the number is known before the run."""
        return not self.lists

    def __mul__(self, other: Count) -> Count:
        """So often for each of the other."""
        times = self.times * other.times
        lists = self.lists + other.lists
        return Count(times, lists)


NONE = Count(0)
ONE = Count(1)


def add(*counts: Count) -> Count:
    """All of them together."""
    times = sum(count.times for count in counts)
    lists = _longest(counts)
    return Count(times, lists)


def most(*counts: Count) -> Count:
    """What none of them is more than."""
    times = max(count.times for count in counts)
    lists = _longest(counts)
    return Count(times, lists)


def _longest(counts: Iterable[Count]) -> ListNames:
    """The lists of a product that is no shorter than that of any count: of |a| x |b| and |a| x |c|, |a| x |b or c|."""
    products = dict.fromkeys(count.lists for count in counts)
    longest: ListNames = ()
    for lists in products:
        longest = _longer(longest, lists)
    return longest


def _longer(one: ListNames, other: ListNames) -> ListNames:
    shared: list[str] = []
    rest = list(one)
    more = list(other)
    for name in one:
        if name in more:
            shared.append(name)
            rest.remove(name)
            more.remove(name)
    # What only one of the two has is paired with what only the other has. A list that is left over stands alone: it
    # counts at least one item, so the product does not get shorter by it.
    for pair in zip_longest(rest, more, fillvalue=""):
        longer = _either(*pair)
        shared.append(longer)
    return tuple(shared)


def _either(one: str, other: str) -> str:
    """The longer of two lists, in words; each of them may be the longer of several."""
    names: list[str] = []
    for text in (one, other):
        if text:
            names += text.split(" or ")
    once = dict.fromkeys(names)
    return " or ".join(once)
