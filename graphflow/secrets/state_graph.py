"""Values and patterns as one nondeterministic automaton: numbered states, and what leads from one to another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

Test: TypeAlias = Callable[[str], bool]
"""Whether a character is one of those that a move is for."""
MOST_STATES = 50_000
"""States of all patterns together, at most: `(a{1,999}b){1,999}` would make a million of them."""


class TooManyStates(ValueError):
    """Patterns repeat so often that nobody could keep track of them. Whoever reads them says which."""


class StateGraph:
    """States, numbered from 0.

        value   "abc"    0 -a-> 1 -b-> 2 -c-> 3 (accepts)         values share their beginnings: a trie
        pattern ab*      4 -a-> 5 --> 6 (accepts)                 `-->` needs no character
                              6 -b-> 7 --> 6

    Attributes:
        root: where values begin.
        children: of a state of the trie, where each character leads.
        free: of a state, those that are reached without a character.
        moves: of a state, those that are reached by a character that passes the test.
        labels: what is certain in a state, by the number of its name.
        patterns: where each pattern begins, and whether it begins only behind what is not a letter or digit.
    """

    def __init__(self) -> None:
        self.children: dict[int, dict[str, int]] = {}
        self.free: list[list[int]] = []
        self.moves: list[list[tuple[Test, int]]] = []
        self.labels: dict[int, int] = {}
        self.patterns: list[tuple[int, bool]] = []
        self.longest = 0
        """Characters that may have to be held back, at most."""
        self._closures: dict[int, tuple[int, ...]] = {}
        self._pattern_states = 0
        self.root = self.new_state()

    def new_state(self) -> int:
        """A state that leads nowhere yet."""
        self.free.append([])
        self.moves.append([])
        return len(self.free) - 1

    def add_value(self, value: str, label: int) -> None:
        """Adds a value; if it is there already, under its first label."""
        at = self.root
        for character in value:
            children = self.children.setdefault(at, {})
            if character not in children:
                children[character] = self.new_state()
            at = children[character]
        self.labels.setdefault(at, label)
        self.longest = max(self.longest, len(value) - 1)

    def add_move(self, source: int, test: Test) -> int:
        """A new state that is reached by a character of a pattern.

        Raises:
            TooManyStates: there are too many by now.
        """
        self._pattern_states += 1
        if self._pattern_states > MOST_STATES:
            raise TooManyStates
        target = self.new_state()
        self.moves[source].append((test, target))
        return target

    def closure(self, state: int) -> tuple[int, ...]:
        """A state, and those that are reached from it without a character."""
        known = self._closures.get(state)
        if known is not None:
            return known
        seen = {state: None}  # a set that keeps the order
        todo = [state]
        while todo:
            for target in self.free[todo.pop()]:
                if target not in seen:
                    seen[target] = None
                    todo.append(target)
        found = tuple(seen)
        self._closures[state] = found
        return found

    def label_of(self, states: Sequence[int]) -> int:
        """The first label of what is certain in one of these states; -1 if nothing is."""
        found = [self.labels[state] for state in states if state in self.labels]
        return min(found, default=-1)

    def targets(self, state: int) -> Iterator[int]:
        """Where one character of a pattern leads to, whichever it is."""
        for reached in self.closure(state):
            for _, target in self.moves[reached]:
                yield target

    def longest_doubt(self, start: int) -> int | None:
        """Characters of a pattern that may have come without anything being certain; None if there is no bound.

        What is certain needs no holding back: so this is the longest way among states in which nothing is certain, and
        there is a bound if no such way leads in a circle.

            sk-[a-z]{3,}    s > k > - > a > a > (a)             5: behind the third letter all is certain, however many follow
            [a-z]+@corp     a > a > a > ...                     no bound
        """
        lengths: dict[int, int] = {}
        # From what is certain the doubt begins anew.
        beginnings = [start]
        for state in self._reachable(start):
            if self._is_certain(state):
                beginnings.append(state)
        for state in beginnings:
            if not self._measure(state, lengths):
                return None
        return max(lengths.values(), default=0)

    def _measure(self, start: int, lengths: dict[int, int]) -> bool:
        """Notes the longest doubtful way from each state that is reached; False if one leads in a circle."""
        # Depth first, without recursion: a pattern of thousands of characters is as deep.
        on_the_way: set[int] = set()
        todo = [start]
        while todo:
            state = todo[-1]
            following = self._doubtful(state)
            unknown = [each for each in following if each not in lengths]
            if state in lengths or not unknown:
                todo.pop()
                on_the_way.discard(state)
                below = [lengths[each] + 1 for each in following]
                lengths[state] = max(below, default=0)
                continue
            on_the_way.add(state)
            if not on_the_way.isdisjoint(unknown):
                return False
            todo += unknown
        return True

    def _doubtful(self, state: int) -> list[int]:
        """Where a character leads to without anything being certain."""
        targets = self.targets(state)
        return [target for target in targets if not self._is_certain(target)]

    def _is_certain(self, state: int) -> bool:
        return self.label_of(self.closure(state)) >= 0

    def _reachable(self, start: int) -> list[int]:
        seen = {start: None}
        todo = [start]
        while todo:
            state = todo.pop()
            for target in self.targets(state):
                if target in seen:
                    continue
                seen[target] = None
                todo.append(target)
        return list(seen)

    def shortest_match(self, start: int) -> int:
        """Characters of the shortest text that a pattern matches; -1 if it matches none."""
        length = 0
        row = {start}
        seen: set[int] = set()
        # Breadth first: the first row in which something is certain is the shortest way.
        while row:
            if any(map(self._is_certain, row)):
                return length
            seen |= row
            following: set[int] = set()
            for state in row:
                following.update(self.targets(state))
            row = following - seen
            length += 1
        return -1
