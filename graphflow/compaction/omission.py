"""Omission: what of a list of turns is not shown. A value, which a journal keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

_PLACES = (
    "exchanges",
    "activity",
    "results",
)


@dataclass(frozen=True, slots=True)
class Omission:
    """What is left out. Places are those of the whole list of turns.

    Attributes:
        exchanges: of the history, what stands before this place.
        activity: of what the agent does now, what stands before this place.
        results: results of tools before this place are masked.
        summary: what stands for all that is left out; "" for nothing.
        brief: whether the last exchange that is left out is shown all the same, as two texts: its message and its answer.
    """

    exchanges: int = 0
    activity: int = 0
    results: int = 0
    summary: str = ""
    brief: bool = False

    def moved(self, by: int) -> Omission:
        """The same for turns that stand so many places further on."""
        places = {name: max(0, getattr(self, name) + by) for name in _PLACES}
        return replace(self, **places)

    def to_data(self) -> dict[str, int | str]:
        """The same as plain data, for a journal."""
        data: dict[str, int | str] = asdict(self)
        # Journals that were written before there was such a thing have it not.
        if not self.brief:
            del data["brief"]
        return data

    @classmethod
    def read(cls, data: Mapping[str, int | str]) -> Omission:
        """The omission that a journal has kept."""
        places: dict[str, int] = {}
        for name in _PLACES:
            place = data.get(name) or 0
            places[name] = int(place)
        summary = str(data.get("summary") or "")
        brief = bool(data.get("brief"))
        return cls(**places, summary=summary, brief=brief)


WHOLE = Omission()
"""Nothing is left out."""


class LeftOut(NamedTuple):
    """What is left out of what was said before a run.

    Attributes:
        known: what a context policy has left out last, as it is kept; empty if nothing.
        cutoff: so many turns, from the first, are no more shown as they are, since somebody wanted that.
    """

    known: Mapping[str, int | str]
    cutoff: int


NOTHING_LEFT_OUT = LeftOut({}, 0)
