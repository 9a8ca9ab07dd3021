"""Pieces of what is still being said, while they wait for readers that are slower: put together, so that they take less room.

"On" "e" {"a": 1} " two" {"a": 1, "b": 2}      becomes      "One" {"a": 1} " two" {"a": 1, "b": 2}
and then     "One" " two" {"a": 1, "b": 2}
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from graphflow.events import Event, ModelDelta, ModelPartial

PlacedPiece = tuple[int, Event]
"""How many rows of the journal come before a piece, and the piece."""
AnswerKey = tuple[int, int, int]
"""Frame, activation and question: what pieces of one answer have in common."""


def with_texts_joined(pieces: Sequence[PlacedPiece]) -> list[PlacedPiece]:
    """The pieces, those texts of one answer together that nothing but other answers and objects came between."""
    kept: list[PlacedPiece] = []
    texts: dict[int, list[str]] = {}  # by the place of the piece that they go into
    last_text: dict[AnswerKey, int] = {}
    for placed in pieces:
        _, piece = placed
        if not isinstance(piece, ModelDelta):
            kept.append(placed)
            continue
        answer = _answer_of(piece)
        at = last_text.get(answer)
        if at is not None:
            _, before = kept[at]
            if _goes_on(before, piece):
                texts[at].append(piece.text)
                continue
        # Nothing to go on from: what follows is added to this one, whatever else comes between.
        at = len(kept)
        last_text[answer] = at
        texts[at] = [piece.text]
        kept.append(placed)
    for at, parts in texts.items():
        if len(parts) == 1:
            continue
        after, piece = kept[at]
        assert isinstance(piece, ModelDelta)
        text = "".join(parts)
        joined = replace(piece, text=text)
        kept[at] = (after, joined)
    return kept


def _goes_on(before: Event, piece: ModelDelta) -> bool:
    """Whether a text continues another of its answer. A restart is a text of its own: it voids what came before."""
    if not isinstance(before, ModelDelta):
        return False
    return before.channel == piece.channel and piece.channel != "restart"


def with_newest_objects(pieces: Sequence[PlacedPiece]) -> list[PlacedPiece]:
    """The pieces, of each answer's growing object only the newest: it holds all that the older ones do."""
    newest: dict[AnswerKey, int] = {}
    for at, (_, piece) in enumerate(pieces):
        if isinstance(piece, ModelPartial):
            answer = _answer_of(piece)
            newest[answer] = at
    places = set(newest.values())
    kept: list[PlacedPiece] = []
    for at, placed in enumerate(pieces):
        _, piece = placed
        if isinstance(piece, ModelPartial) and at not in places:
            continue
        kept.append(placed)
    return kept


def _answer_of(piece: ModelDelta | ModelPartial) -> AnswerKey:
    return piece.frame, piece.activation, piece.question
