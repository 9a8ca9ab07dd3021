"""Codings that stand in for another one: for a name of a type, and for types that nobody can write."""

from __future__ import annotations

from collections.abc import Iterable

from graphflow.journal.codec.coding import (
    Classes,
    Coding,
    Misfit,
    Part,
)
from graphflow.journal.codec.columns import Column
from graphflow.journal.stored import Json
from graphflow.messages.types import Type, type_name


class AliasCoding(Coding):
    """A name for a type. What it stands for is filled in later, as it may hold itself."""

    __slots__ = ("_target",)

    def __init__(self, kind: Type) -> None:
        super().__init__(kind)
        self._target: Coding = UnknownCoding(kind, "it stands for itself")

    def fill(self, target: Coding) -> None:
        """Gives it what it stands for."""
        if target is not self:
            self._target = target

    def classes(self) -> Classes:
        return self._target.classes()

    def parts(self) -> Iterable[Part]:
        return [("", self._target)]

    def encode(self, value: object, depth: int) -> Json:
        return self._target.encode(value, depth)

    def decode(self, data: Json, depth: int) -> object:
        return self._target.decode(data, depth)

    def column(self, within: frozenset[Coding]) -> Column | None:
        return None if self in within else self._target.column(within | {self})


class UnknownCoding(Coding):
    """A type whose values cannot be written."""

    __slots__ = ("_problem",)

    def __init__(self, kind: Type, problem: str) -> None:
        super().__init__(kind)
        self._problem = problem

    def classes(self) -> Classes:
        return frozenset({self.kind}) if isinstance(self.kind, type) else frozenset()

    def problem(self) -> str:
        return self._problem

    def encode(self, value: object, depth: int) -> Json:
        raise self._misfit()

    def decode(self, data: Json, depth: int) -> object:
        raise self._misfit()

    def _misfit(self) -> Misfit:
        found = type_name(self.kind)
        return Misfit("a type that can be written", f"{found}: {self._problem}")
