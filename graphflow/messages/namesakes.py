"""Different classes of one name, told apart in errors.

A notebook makes them: a cell that is run again declares each class in it anew, and what was declared with the earlier one keeps it.
"sends Question, accepts Question" would help nobody.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import get_args

from graphflow.messages.types import Type, type_name

_LABELS = (str, int, float, bytes)
"""What the arguments of a type may be that are not types: the values of a `Literal`."""


class Namesakes:
    """The names of types that stand in one text.

    Args:
        kinds: all of them.
    """

    def __init__(self, *kinds: Type) -> None:
        by_name: dict[str, list[type]] = {}
        for each in dict.fromkeys(_classes(kinds)):
            same = by_name.setdefault(each.__name__, [])
            same.append(each)
        self.labels: dict[Type, str] = {}
        self.same_place = False
        for twins in by_name.values():
            if len(twins) > 1:
                self._tell_apart(twins)

    def name(self, kind: Type) -> str:
        """The type as a person writes it, with a mark where another class of this text has its name."""
        return type_name(kind, self.labels)

    def names(self, kinds: Sequence[Type]) -> str:
        """Arms as people write a union."""
        return " | ".join(self.name(kind) for kind in kinds)

    @property
    def hint(self) -> str:
        """What to do about classes of one name; empty if there are none."""
        if not self.labels:
            return ""
        if self.same_place:
            return "; these are different classes of one name: run again what was declared with the earlier one"
        return "; these are different classes of one name: import the same one in both places"

    def _tell_apart(self, twins: list[type]) -> None:
        places = [f"{each.__module__}.{each.__qualname__}" for each in twins]
        if len(set(places)) == len(places):  # their modules tell them apart
            self.labels.update(zip(twins, places, strict=True))
            return
        self.same_place = True
        for each in twins:
            mark = _mark(each, twins)
            self.labels[each] = f"{each.__name__} ({mark})"


def _mark(kind: type, twins: list[type]) -> str:
    """What tells a class from others of its name and place: whether the name still means it."""
    now = _meaning_now(kind)
    if now is kind:
        return "declared last"
    if now in twins:
        return "declared earlier"
    number = twins.index(kind) + 1
    return f"class number {number}"


def _classes(kinds: Sequence[Type]) -> Iterator[type]:
    """Every class that is named in types."""
    todo = list(kinds)
    while todo:
        kind = todo.pop(0)
        arguments = get_args(kind)
        inner = [each for each in arguments if not isinstance(each, _LABELS)]
        if inner:
            todo += inner
        elif isinstance(kind, type):
            yield kind


def _meaning_now(kind: type) -> object:
    """What the class's name means in its module now."""
    found: object = sys.modules.get(kind.__module__)
    for part in kind.__qualname__.split("."):
        found = getattr(found, part, None)
    return found
