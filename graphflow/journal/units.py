"""What an agent has said in one activation, as a text: its place, and its turns from the question to the answer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from graphflow.journal.codec.replies import decode_turns, encode_turns
from graphflow.model.turns import Turn


def unit_text(place: str, turns: Sequence[Turn]) -> str:
    """A unit as a text.

    Raises:
        Unstorable: a turn keeps something that is not data.
    """
    return json.dumps([place, encode_turns(turns)], separators=(",", ":"))


def turns_in(units: Iterable[str], place: str) -> list[Turn]:
    """The turns of the units of a place, in order."""
    turns: list[Turn] = []
    for unit in units:
        where, kept = json.loads(unit)
        if where == place:
            turns += decode_turns(kept)
    return turns
