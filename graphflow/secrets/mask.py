"""Texts without secrets: whole, or piece by piece as they come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import getitem
from typing import TypeAlias

from graphflow.secrets.automaton import ClearMoves, SecretAutomaton

SecretSpan: TypeAlias = tuple[int, int, int]
"""Where a secret stands, from and to, and the number of its name."""


@dataclass(frozen=True, slots=True)
class SecretPlace:
    """A secret that was masked: what it is called, and where in the text it began, in characters. Never its value."""

    name: str
    at: int


class MaskedStream:
    """One text while it comes.

    Args:
        automaton: what finds secrets.
        names: what they are called.
        note: is told of each secret that is masked.

    Attributes:
        moves: of the state that it is in, the pieces that can be handed on as they are.
        at: characters that were handed on, in the text as it came.
    """

    __slots__ = (
        "_automaton",
        "_mark_end",
        "_names",
        "_note",
        "_spans",
        "_waiting",
        "at",
        "moves",
    )

    def __init__(
        self,
        automaton: SecretAutomaton,
        names: tuple[str, ...],
        note: Callable[[SecretPlace], None] | None = None,
    ) -> None:
        self._automaton = automaton
        self._names = names
        self._note = note
        self.moves: ClearMoves = automaton.start.onward
        self._waiting = ""
        self._spans: list[SecretSpan] = []
        """Where secrets stand in what is held back, apart from each other."""
        self._mark_end = -1
        """Where the newest mark ended, in the text as it came."""
        self.at = 0

    @property
    def waiting(self) -> int:
        """Characters that are held back now."""
        return len(self._waiting)

    def feed(self, piece: str) -> str:
        """What can be handed on, now that this piece has come; nearly always that is the piece itself."""
        moves = self.moves[piece]
        if moves is not None:
            self.moves = moves
            self.at += len(piece)
            return piece
        return self.feed_doubtful(piece)

    def feed_doubtful(self, piece: str) -> str:
        """The same for a piece that `moves` does not know as clear."""
        state = self.moves.state
        end = state[piece]
        if end.hit or self._spans:
            return self._feed_slowly(piece)
        self.moves = end.onward
        text = self._waiting + piece
        ready = len(text) - end.doubt
        self._waiting = text[ready:]
        self.at += ready
        return text[:ready]

    def _feed_slowly(self, piece: str) -> str:
        state = self.moves.state
        place = len(self._waiting)
        for character in piece:
            state = state[character]
            place += 1
            if state.found:
                _join(self._spans, place - state.found, place, state.label)
        self.moves = state.calm.onward
        return self._release(self._waiting + piece, state.doubt)

    def _release(self, text: str, doubt: int) -> str:
        """Hands on what lies before the doubt, each secret in it as a mark."""
        ready = len(text) - doubt
        parts: list[str] = []
        done = 0
        kept: list[SecretSpan] = []
        for start, end, label in self._spans:
            if start >= ready:
                kept.append((start - ready, end - ready, label))
                continue
            parts.append(text[done:start])
            # What goes on where a mark stands already needs no other one.
            if start or self._mark_end != self.at:
                parts.append(self._mark(start, label))
            done = min(end, ready)
            self._mark_end = self.at + done
            if end > ready:
                kept.append((0, end - ready, label))
        parts.append(text[done:ready])
        self._spans = kept
        self._waiting = text[ready:]
        self.at += ready
        return "".join(parts)

    def _mark(self, start: int, label: int) -> str:
        name = self._names[label]
        if self._note is not None:
            self._note(SecretPlace(name, self.at + start))
        return mark_of(name)

    def end(self) -> str:
        """What is left, now that nothing more comes. The stream can be used for the next text."""
        rest = self._release(self._waiting, 0)
        self.moves = self._automaton.start.onward
        self._mark_end = -1
        self.at = 0
        return rest


def mark_of(name: str) -> str:
    """What stands in place of a secret."""
    return f"[{name}]"


def _join(spans: list[SecretSpan], start: int, end: int, label: int) -> None:
    """Adds a span; those that it touches become one with it, called as the one that begins first."""
    while spans and spans[-1][1] >= start:
        first, _, other = spans.pop()
        if first <= start:
            start, label = first, other
    spans.append((start, end, label))


def spans_in(automaton: SecretAutomaton, text: str) -> list[SecretSpan]:
    """Where secrets stand in a whole text, apart from each other and in order."""
    spans: list[SecretSpan] = []
    if not reduce(getitem, text, automaton.start).hit:
        return spans
    state = automaton.start
    for place, character in enumerate(text, 1):
        state = state[character]
        if state.found:
            _join(spans, place - state.found, place, state.label)
    return spans
