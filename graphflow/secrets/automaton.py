"""The automaton made deterministic, one state at a time, as texts come.

Each state knows two things of the text before it: the longest beginning that may still become a secret (`doubt`), and the
match that ends here (`found`). A text is read by looking up characters in dicts, so a piece of a stream costs one loop in C.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from operator import getitem
from typing import TypeAlias

from graphflow.secrets.pattern_reader import add_pattern
from graphflow.secrets.state_graph import StateGraph

Thread: TypeAlias = tuple[int, int]
"""A state of the graph, and the characters that have come since the match began, or since it was certain last."""
MOST_KNOWN = 10_000
"""States that are kept. When there are more, all are made anew as they are needed, as RE2 does."""
MOST_MOVES = 200_000
"""Characters and pieces that all states together know the next state of, at most: about 20 MB."""
LONGEST_PIECE = 24
"""Characters of a piece that is kept, at most: a longer one hardly ever comes again."""
_StateKey: TypeAlias = tuple[frozenset[Thread], bool, int, int, bool]


class ClearMoves(dict[str, "ClearMoves | None"]):
    """From a state with no doubt: the pieces that lead to another such state, which is nearly all that a model says.

    Who stands here has nothing to hold back and nothing to mask, before the piece and behind it: one look-up tells both. None
    stands for a piece that has to be looked at.
    """

    __slots__ = ("state",)

    def __init__(self, state: TextState) -> None:
        self.state = state

    def __missing__(self, piece: str) -> ClearMoves | None:
        state = self.state
        after = state[piece]
        both_clear = state.is_clear and after.is_clear
        moves = after.onward if both_clear else None
        if len(piece) <= LONGEST_PIECE:
            state.automaton.note_move()
            self[piece] = moves
        return moves


class TextState(dict[str, "TextState"]):
    """One state: where each character leads to, as far as it is known.

    Attributes:
        doubt: characters before it that may still belong to a secret which is not certain.
        found: characters of the longest match that ends here, those not counted that were certain before; 0 if none does.
        label: the number of that match's name.
        hit: whether a match has ended in this piece of a text.
        is_clear: whether none has, and nothing before it may still become a secret.
        calm: the same state at the beginning of a piece.
        onward: where pieces without any doubt lead to.
    """

    __slots__ = (
        "automaton",
        "behind_word",
        "calm",
        "doubt",
        "found",
        "hit",
        "is_clear",
        "label",
        "onward",
        "threads",
    )

    def __init__(self, automaton: SecretAutomaton, key: _StateKey) -> None:
        self.automaton = automaton
        threads, behind_word, found, label, hit = key
        self.threads = threads
        self.behind_word = behind_word
        self.found = found
        self.label = label
        self.hit = hit
        self.doubt = 0
        for _, length in threads:
            self.doubt = max(self.doubt, length)
        self.is_clear = not hit and not self.doubt
        self.calm = self
        self.onward = ClearMoves(self)

    def __missing__(self, text: str) -> TextState:
        # Pieces are kept as well as characters: models say the same few thousand over and over.
        if len(text) == 1:
            after = self.automaton.step(self, text)
        else:
            after = reduce(getitem, text, self)
        if len(text) <= LONGEST_PIECE:
            self.automaton.note_move()
            self[text] = after
        return after


class SecretAutomaton:
    """What finds secrets.

    Args:
        values: what is looked for as it is, with the number of its name.
        patterns: regular expressions, with the numbers of their names.

    Raises:
        SecretInvalid: a pattern cannot be used.
    """

    def __init__(
        self, values: Iterable[tuple[str, int]], patterns: Iterable[tuple[str, int]] = ()
    ) -> None:
        graph = StateGraph()
        for value, label in values:
            graph.add_value(value, label)
        # Patterns come behind values, so a value that a pattern matches, too, keeps its own name.
        for pattern, label in patterns:
            add_pattern(graph, pattern, label)
        self.graph = graph
        self.known: dict[_StateKey, TextState] = {}
        self.moves = 0
        nothing: frozenset[Thread] = frozenset()
        beginning = (nothing, False, 0, -1, False)
        self.start = self._state(beginning)

    @property
    def longest(self) -> int:
        """Characters that may have to be held back, at most."""
        return self.graph.longest

    def _state(self, key: _StateKey) -> TextState:
        state = self.known.get(key)
        if state is not None:
            return state
        if len(self.known) >= MOST_KNOWN:
            self._forget()
        state = TextState(self, key)
        self.known[key] = state
        if state.hit:
            threads, behind_word, *_ = key
            calm = (threads, behind_word, 0, -1, False)
            state.calm = self._state(calm)
        return state

    def note_move(self) -> None:
        """Counts what states know; when it is too much, all of it goes."""
        self.moves += 1
        if self.moves > MOST_MOVES:
            self._forget()

    def _forget(self) -> None:
        """Lets all states go but those that somebody stands in: these find their way again."""
        self.moves = 0
        states = list(self.known.values())
        self.known.clear()
        for state in states:
            state.clear()
            state.onward.clear()

    def step(self, before: TextState, character: str) -> TextState:
        """The state behind one character more."""
        advance = _Advance(self.graph)
        # What has begun goes on, and at each character all may begin anew.
        for state, length in before.threads:
            advance.move(state, character, length)
        advance.move(self.graph.root, character, 0)
        for start, behind_boundary in self.graph.patterns:
            if behind_boundary and before.behind_word:
                continue
            states = self.graph.closure(start)
            for state in states:
                advance.move(state, character, 0)
        behind_word = character.isascii() and character.isalnum()
        threads = frozenset(advance.threads.items())
        found, label = advance.found, advance.label
        hit = before.hit or found > 0
        key = (threads, behind_word, found, label, hit)
        return self._state(key)


_NO_CHILDREN: Mapping[str, int] = {}


class _Advance:
    """Where the threads of a state are, one character later."""

    def __init__(self, graph: StateGraph) -> None:
        self.graph = graph
        self.threads: dict[int, int] = {}
        self.found = 0
        self.label = -1

    def move(self, state: int, character: str, length: int) -> None:
        graph = self.graph
        children = graph.children.get(state, _NO_CHILDREN)
        child = children.get(character)
        if child is not None:
            self._arrive(child, length + 1)
        for test, target in graph.moves[state]:
            if test(character):
                self._arrive(target, length + 1)

    def _arrive(self, target: int, length: int) -> None:
        graph = self.graph
        reached = graph.closure(target)
        label = graph.label_of(reached)
        if label >= 0:
            is_longer = length > self.found
            if is_longer or (length == self.found and label < self.label):
                self.found, self.label = length, label
            # What has come is certain: nothing of it has to be held back any more.
            length = 0
        for state in reached:
            leads_on = graph.moves[state] or state in graph.children
            if not leads_on:
                continue
            # The longest beginning counts: the others lie within it.
            longest = self.threads.get(state, -1)
            self.threads[state] = max(longest, length)
