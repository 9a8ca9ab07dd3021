"""Sources: what an answer says that it rests on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Source:
    """A page or document that an answer rests on.

    Attributes:
        url: its address; "" for a document that was sent along or stored at the provider.
        title: what it is called.
        start, end: which stretch of the answer's text rests on it (`text[start:end]`); None where the provider does not say.
        quote: the words of the source itself, where the provider quotes them.
    """

    url: str = ""
    title: str = ""
    start: int | None = None
    end: int | None = None
    quote: str = ""
