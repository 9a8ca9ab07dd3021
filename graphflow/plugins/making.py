"""How a thing was made, kept with the thing, so that a file can say it again.

Only how a plug-in or a factory was asked is kept: a word, and what stood behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

_KEPT = "_making"


@dataclass(frozen=True, slots=True)
class Making:
    """How a thing was made.

    Attributes:
        seam: of which kind of plug-in it is.
        word: what the plug-in is called.
        options: what it was given, as it was given.
    """

    seam: str
    word: str
    options: Mapping[str, object] = field(default_factory=dict)


def keep_making(thing: object, making: Making) -> None:
    """Keeps with a thing how it was made; a thing that takes nothing is left as it is, and files cannot hold it."""
    # Past what makes it immutable: nothing that anybody sees of it is changed.
    with suppress(AttributeError, TypeError):
        object.__setattr__(thing, _KEPT, making)


def making_of(thing: object, seam: str) -> Making | None:
    """How a thing was made, if a plug-in of that seam has made it."""
    making = getattr(thing, _KEPT, None)
    if isinstance(making, Making) and making.seam == seam:
        return making
    return None
