"""What a plug-in brings under a name: a function or class that makes something of options."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import TypeVar

from graphflow.errors import PluginBroken, PluginOptionsInvalid
from graphflow.misfits import DataProblem
from graphflow.plugins.making import Making, keep_making
from graphflow.plugins.options import OptionTable

T = TypeVar("T")
WRITTEN = frozenset({"kinds", "contexts", "memories", "guards", "policies"})
"""The seams whose things stand in graph files, so that they remember how they were made."""


class PluginFactory:
    """Makes what one plug-in is for.

    Attributes:
        seam: what it extends.
        word: its name there.
        distribution: the package that brings it.
        leading: how many values come before its options: the name of a node, the address of a store.
    """

    def __init__(
        self,
        seam: str,
        word: str,
        distribution: str,
        function: Callable[..., object],
        leading: int,
    ) -> None:
        self.seam = seam
        self.word = word
        self.distribution = distribution
        self.leading = leading
        self._function = function

    @cached_property
    def table(self) -> OptionTable:
        """Its options."""
        return OptionTable.of(self._function, self.leading)

    def problems(self, given: Mapping[str, object]) -> list[DataProblem]:
        """What is wrong with options, each with the way to it; nothing is made."""
        _, problems = self.table.read(given)
        return problems

    def make(
        self,
        kind: type[T],
        *values: object,
        options: Mapping[str, object] | None = None,
        known: Collection[str] = (),
        written: Mapping[str, object] | None = None,
    ) -> T:
        """What it makes.

        Args:
            kind: of which class or protocol that has to be.
            values: what comes before its options, and values of these by position.
            options: by name.
            known: options that are objects already, and are not looked at.
            written: the options as a file has them, if they were read.

        Raises:
            PluginOptionsInvalid: it does not have such options, or not with such values.
            PluginBroken: it makes something else.
            Whatever it raises itself.
        """
        first, positional = values[: self.leading], values[self.leading :]
        given = {**self._by_name(positional), **(options or {})}
        read, problems = self.table.read(given, known)
        if problems:
            raise self._invalid(problems)
        made = self._function(*first, **read)
        if not isinstance(made, kind):
            raise self.broken(f"it makes {type(made).__name__}, not a {kind.__name__}")
        # Of others nothing is kept: what opens a store or a model may be a key.
        if self.seam in WRITTEN:
            stated = given if written is None else written
            making = Making(self.seam, self.word, dict(stated))
            keep_making(made, making)
        return made

    def broken(self, problem: str) -> PluginBroken:
        """The error for a plug-in that does not do what it is for."""
        return PluginBroken(
            f"{self} is broken: {problem}; tell its author, or leave it out: "
            f"[plugins] deny = [{self.distribution!r}]",
            seam=self.seam,
            plugin=self.word,
            distribution=self.distribution,
        )

    def __call__(self, *values: object, **options: object) -> object:
        """What it makes, for code: `plugin("kinds", "shelf")("tea", size=3)`."""
        # In code options are objects of any kind, so those that are given are handed on as they are where they fit.
        return self.make(object, *values, options=options)

    def __str__(self) -> str:
        return f"the plug-in {self.word!r} ({self.seam}) of {self.distribution}"

    def __repr__(self) -> str:
        return f"<{self.seam} {self.word!r} of {self.distribution}>"

    def _by_name(self, positional: tuple[object, ...]) -> dict[str, object]:
        names = list(self.table.options)
        if len(positional) > len(names):
            problem = f"it has {len(names)} options, and was given {len(positional)} values"
            raise self._invalid([((), problem)])
        return dict(zip(names, positional, strict=False))

    def _invalid(self, problems: list[DataProblem]) -> PluginOptionsInvalid:
        lines: list[str] = []
        for path, problem in problems:
            place = ".".join(map(str, path))
            lines.append(f"{place}: {problem}" if place else problem)
        listed = "; ".join(lines)
        error = PluginOptionsInvalid(
            f"{self}: {listed}",
            seam=self.seam,
            plugin=self.word,
            distribution=self.distribution,
        )
        error.problems = tuple(problems)
        return error
