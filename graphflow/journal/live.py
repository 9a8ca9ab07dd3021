"""A run for those who watch it go: one log, which every reader goes through at its own pace.

    journal    run.start   node.start   model.start             model.end   node.end ...
    pieces                                        "One" " two"
    a reader                                     ^ is here

Rules:
1. The log is the run's own journal, and a reader is a place in it: it costs nothing while it does not read, and no fact is
   lost to it, however slow it is. It starts at the beginning.
2. Pieces of what is still being said (`Event.passing`) are no record. They wait beside the journal for readers that keep
   up, `MAX_PIECES` of them. For one that does not, the texts of an answer are put together; if that is not enough, of a growing
   object the newest is kept; of what is still too much, the oldest go. What was said in whole comes with its end's record.
3. Who stops reading leaves nothing behind: a reader is only known for as long as it lives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING
from weakref import WeakSet

from graphflow.events import Event
from graphflow.journal.pieces import PlacedPiece, with_newest_objects, with_texts_joined

if TYPE_CHECKING:
    from graphflow.journal.stretch import Row

MAX_PIECES = 1024
"""Pieces that wait for readers, in all."""


class EventFeed:
    """What a run tells while it goes."""

    __slots__ = ("_asleep", "_readers", "ended", "gone", "hear", "journal", "pieces")

    def __init__(self, journal: Sequence[Row]) -> None:
        self.journal = journal
        self.ended = False
        self.pieces: list[PlacedPiece] = []
        self.gone = 0
        """Pieces before the first that waits."""
        self.hear: Callable[[Event], None] | None = None
        """What gets each piece at once, if somebody has tapped the run."""
        self._readers: WeakSet[Reader] = WeakSet()
        self._asleep: list[asyncio.Future[None]] = []

    def read(self) -> Reader:
        """A reader at the beginning."""
        reader = Reader(self)
        self._readers.add(reader)
        return reader

    def say(self, piece: Event) -> None:
        """Lays a piece beside the journal."""
        self.pieces.append((len(self.journal), piece))
        if self.hear is not None:
            self.hear(piece)
        if len(self.pieces) > MAX_PIECES:
            self._tidy()

    def wake(self) -> None:
        """Tells waiting readers that there is more."""
        if self._asleep:
            for sleeper in self._asleep:
                if not sleeper.done():
                    sleeper.set_result(None)
            self._asleep.clear()

    def end(self) -> None:
        """Nothing more will be told."""
        self.ended = True
        if not self._readers:
            self.pieces.clear()
        self.wake()

    # -- what a reader asks ------------------------------------------------------------------------
    async def more(self) -> None:
        """Waits until there is more."""
        sleeper = asyncio.get_running_loop().create_future()
        self._asleep.append(sleeper)
        try:
            await sleeper
        finally:
            if sleeper in self._asleep:
                self._asleep.remove(sleeper)

    def leave(self, reader: Reader) -> None:
        """A reader has read all there was."""
        self._readers.discard(reader)
        if not self._readers:
            self.pieces.clear()

    # -- room for more -----------------------------------------------------------------------------
    def _tidy(self) -> None:
        """Makes room: first what everybody has read goes, then pieces are put together, then the oldest go."""
        # Readers stand between pieces, so only what lies between two of them is put together; each keeps its place.
        #
        #     "On" "e" | " t" "wo" | "!"      two readers, at |
        #     "One"    | " two"    | "!"
        readers = list(self._readers)
        for reader in readers:
            reader.piece = max(reader.piece, self.gone)
        places = {reader.piece - self.gone for reader in readers}
        stops = sorted(places) or [0]
        everybody_has_read = stops[0]
        is_crowded = len(self.pieces) - everybody_has_read > MAX_PIECES // 2
        kept: list[PlacedPiece] = []
        new_places: dict[int, int] = {}
        for start, end in pairwise([*stops, len(self.pieces)]):
            new_places[start] = everybody_has_read + len(kept)
            between = self.pieces[start:end]
            kept += _shortened(between) if is_crowded else between
        for reader in readers:
            place = reader.piece - self.gone
            reader.piece = self.gone + new_places[place]
        too_many = max(0, len(kept) - MAX_PIECES // 2)
        self.pieces = kept[too_many:]
        self.gone += everybody_has_read + too_many


def _shortened(pieces: list[PlacedPiece]) -> list[PlacedPiece]:
    pieces = with_texts_joined(pieces)
    if len(pieces) > MAX_PIECES // 2:
        pieces = with_newest_objects(pieces)
    return pieces


class Reader:
    """One reader's place in a run: an asynchronous iterator over its events."""

    __slots__ = ("__weakref__", "_live", "piece", "row")

    def __init__(self, live: EventFeed) -> None:
        self._live = live
        self.row = 0
        self.piece = 0

    def __aiter__(self) -> Reader:
        return self

    async def __anext__(self) -> Event:
        # Of a piece and a row of the journal that piece comes first which was said when the row was not there yet. Pieces
        # that have gone before this reader came to them are passed by.
        live = self._live
        journal = live.journal
        while True:
            row = self.row
            pieces = live.pieces
            if pieces:
                at = self.piece - live.gone
                if at < 0:
                    at = 0
                if at < len(pieces):
                    after, piece = pieces[at]
                    if after <= row:
                        self.piece = live.gone + at + 1
                        return piece
            if row < len(journal):
                self.row = row + 1
                return journal[row]  # type: ignore[return-value]  # a run that is watched writes no stretches
            if live.ended:
                live.leave(self)
                raise StopAsyncIteration
            await live.more()
