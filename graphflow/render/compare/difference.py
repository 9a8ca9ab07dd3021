"""What differs between two graphs or two walks, as a value: in words, and as a picture."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from graphflow.errors import DeclarationError
from graphflow.render.forms.output import bundle, write
from graphflow.render.forms.svg import write_svg
from graphflow.render.palette import Theme
from graphflow.render.picture import Picture
from graphflow.render.xml import clip

Sign = Literal["+", "-", "~"]
ADDED: Sign = "+"
REMOVED: Sign = "-"
CHANGED: Sign = "~"
MARKS = {ADDED: "added", REMOVED: "removed", CHANGED: "changed"}
"""The marks of shapes and lines, by sign."""
Change = tuple[Sign, str]
"""A sign, and what it is about."""
NamePair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs. It is true if anything does, reads as text, and shows itself in a notebook.

    Attributes:
        names: what was compared.
        changes: a sign (+ only in the second, - only in the first, ~ in both, and different) and what it is about.
        picture: both in one picture, or None where no graph is known.
        equal: the words for no difference.
    """

    names: NamePair
    changes: tuple[Change, ...]
    picture: Picture | None = field(default=None, repr=False)
    equal: str = field(default="are the same", repr=False)

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.changes

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __str__(self) -> str:
        first, second = self.names
        if not self.changes:
            return f"{first} and {second} {self.equal}"
        lines = [f"--- {first}", f"+++ {second}"]
        lines += [f"{sign} {what}" for sign, what in self.changes]
        return "\n".join(lines)

    def draw(self, path: str, *, theme: Theme = "auto") -> str:
        """Writes the picture and returns its path; the ending says which kind."""
        return write(self._drawn(), path, theme)

    def to_svg(self, *, theme: Theme = "auto", prefix: str | None = None) -> str:
        """The picture as one `<svg>` element."""
        return write_svg(self._drawn(), theme, prefix=prefix)

    def _drawn(self) -> Picture:
        if self.picture is None:
            raise DeclarationError(
                "two records alone have no picture; say which graph was walked: diff(a, b, graph=...)"
            )
        return self.picture

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        if self.picture is None:
            return {"text/plain": str(self)}
        return bundle(self.picture, str(self))


def headline(names: NamePair) -> str:
    """What stands above a picture of two things."""
    first = clip(names[0], 60)
    second = clip(names[1], 60)
    return f"{REMOVED} {first}   {ADDED} {second}"
