"""What is installed: entry points of other packages, found when a name is asked for that is not built in.

Rules:
1. Nothing is looked for, and no plug-in is loaded, before somebody asks for a name that is not built in.
2. What is built in stays what it is: a plug-in of the same name is refused. So are two of the same name.
3. One that cannot be loaded is told with its package, and stops no other.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Literal, TypeAlias

from graphflow.errors import PluginBroken, PluginError, PluginRefused, PluginUnknown
from graphflow.plugins.choice import refusal_of
from graphflow.redaction import scrub

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from graphflow.plugins.factory import PluginFactory

PluginState: TypeAlias = Literal["ready", "off", "refused", "broken"]
MAX_REASON = 500
"""Characters of what a plug-in has raised that are shown."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """One plug-in that is installed.

    Attributes:
        name: its word in files and addresses.
        seam: what it extends.
        distribution, version: of the package that brings it.
        state: "ready"; "off": it is not allowed; "refused": its name is taken; "broken": it cannot be loaded.
        error: why it cannot be used; "" if it can.
    """

    name: str
    seam: str
    distribution: str
    version: str
    state: PluginState
    error: str = ""


RESCAN_S = 1.0
"""Seconds for which a name that nobody has is not looked for again: a file may have it ten thousand times."""


@dataclass(frozen=True, slots=True)
class PointScan:
    """The entry points of a group, and when they were looked for."""

    points: tuple[EntryPoint, ...]
    at: float


_scans: dict[tuple[str, tuple[str, ...]], PointScan] = {}
"""By the group, and by where packages were looked for."""
_factories: dict[tuple[str, str, str, str], PluginFactory] = {}
"""What was loaded, by its group, package, name and place."""


def _installed(group: str, within_s: float = float("inf")) -> tuple[EntryPoint, ...]:
    """The entry points of a group.

    Args:
        group: which.
        within_s: seconds that may have passed since they were looked for.
    """
    key = (group, tuple(sys.path))
    known = _scans.get(key)
    if known is not None and monotonic() - known.at < within_s:
        return known.points
    from importlib.metadata import entry_points  # costs a start that asks for none too much

    points = tuple(entry_points(group=group))
    _scans[key] = PointScan(points, monotonic())
    return points


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an unknown package"


def _version(point: EntryPoint) -> str:
    return point.dist.version if point.dist is not None else ""


@dataclass(frozen=True, slots=True)
class Seam:
    """Something that other packages can extend.

    Attributes:
        name: what it is called: its group of entry points is `graphflow.NAME`.
        what: one of it, in words.
        built_in: the names that are taken.
        leading: how many values come before the options of what makes one.
    """

    name: str
    what: str
    built_in: tuple[str, ...]
    leading: int = 0

    @property
    def group(self) -> str:
        """Its group of entry points."""
        return f"graphflow.{self.name}"

    def has(self, word: object) -> bool:
        """Whether a plug-in has that name; it is not loaded."""
        return isinstance(word, str) and word not in self.built_in and bool(self._named(word))

    def names(self) -> list[str]:
        """All names: those that are built in, and those of plug-ins that may be used."""
        names = dict.fromkeys(self.built_in)
        for point in _installed(self.group):
            if not refusal_of(_package(point)):
                names[point.name] = None
        return list(names)

    def plugged(self) -> list[str]:
        """The names that plug-ins have brought, and that may be used."""
        return [name for name in self.names() if name not in self.built_in]

    def find(self, word: str) -> PluginFactory | None:
        """What the plug-in of that name brings; None: the name is built in, or nobody has it.

        Raises:
            PluginRefused: it may not be used, or two have the name.
            PluginBroken: it cannot be loaded.
        """
        points = () if word in self.built_in else self._named(word)
        if not points:
            return None
        allowed = [point for point in points if not refusal_of(_package(point))]
        # It is there, so the name is not unknown: whoever asks is told why it is not used.
        if not allowed:
            raise self._refused(points[0], refusal_of(_package(points[0])))
        if len(allowed) > 1:
            raise self._refused(allowed[0], _ambiguity(allowed))
        return self._factory(allowed[0])

    def get(self, word: str) -> PluginFactory:
        """The same, where there has to be one.

        Raises:
            PluginUnknown: there is none; the text names near ones.
            PluginRefused, PluginBroken: as for `find`.
        """
        if word in self.built_in:
            raise PluginRefused(
                f"{word!r} is {self.what} that is built in, and no plug-in may take its place; "
                "import it from graphflow, or ask for another name",
                seam=self.name,
                plugin=word,
            )
        found = self.find(word)
        if found is None:
            raise PluginUnknown(
                f"no plug-in for {self.name} is named {word!r}{self._near(word)}",
                seam=self.name,
                plugin=word,
            )
        return found

    def plugins(self) -> list[Plugin]:
        """Every plug-in that is installed, each loaded to see whether it can be used."""
        points = _installed(self.group, 0.0)
        return [self._seen(point, points) for point in points]

    def _named(self, word: str) -> tuple[EntryPoint, ...]:
        for within_s in (float("inf"), RESCAN_S):
            # Somebody may have installed it since.
            points = _installed(self.group, within_s)
            named = tuple(point for point in points if point.name == word)
            if named:
                return named
        return ()

    def _near(self, word: str) -> str:
        names = self.plugged()
        near = difflib.get_close_matches(word, names, n=1)
        if near:
            return f"; did you mean {near[0]!r}?"
        listed = ", ".join(names) or "none"
        return f"; there is: {listed}"

    def _seen(self, point: EntryPoint, points: tuple[EntryPoint, ...]) -> Plugin:
        state: PluginState = "ready"
        error = refusal_of(_package(point))
        if error:
            return self._listed(point, "off", error)
        try:
            self._check_name(point, points)
            self._factory(point)
        except PluginRefused as refused:
            state, error = "refused", str(refused)
        except PluginError as broken:
            state, error = "broken", str(broken)
        return self._listed(point, state, error)

    def _listed(self, point: EntryPoint, state: PluginState, error: str) -> Plugin:
        return Plugin(point.name, self.name, _package(point), _version(point), state, error)

    def _check_name(self, point: EntryPoint, points: tuple[EntryPoint, ...]) -> None:
        if point.name in self.built_in:
            raise self._refused(point, f"{point.name!r} is built in, and stays what it is")
        namesakes = [
            each for each in points if each.name == point.name and not refusal_of(_package(each))
        ]
        if len(namesakes) > 1:
            raise self._refused(point, _ambiguity(namesakes))

    def _factory(self, point: EntryPoint) -> PluginFactory:
        package = _package(point)
        # One model string may be opened for each of ten thousand runs.
        key = (self.group, package, point.name, point.value)
        known = _factories.get(key)
        if known is None:
            from graphflow.plugins.factory import PluginFactory  # as above

            function = self._loaded(point)
            known = PluginFactory(self.name, point.name, package, function, self.leading)
            _factories[key] = known
        return known

    def _loaded(self, point: EntryPoint) -> Callable[..., object]:
        try:
            value: object = point.load()
        # Whatever its code raises, `sys.exit()` too.
        except (Exception, SystemExit) as error:
            reason = f"{type(error).__name__}: {error}"
            raise self._broken(point, f"cannot be loaded: {scrub(reason)[:MAX_REASON]}") from error
        if not callable(value):
            kind = type(value).__name__
            raise self._broken(point, f"is of type {kind}, which makes nothing")
        return value

    def _refused(self, point: EntryPoint, why: str) -> PluginRefused:
        package = _package(point)
        return PluginRefused(
            f"the plug-in {point.name!r} ({self.name}) of {package} is not used: {why}",
            seam=self.name,
            plugin=point.name,
            distribution=package,
        )

    def _broken(self, point: EntryPoint, problem: str) -> PluginBroken:
        package = _package(point)
        return PluginBroken(
            f"the plug-in {point.name!r} ({self.name}) of {package} {_version(point)} {problem}; "
            f"mend or remove the package, or leave it out: [plugins] deny = [{package!r}]",
            seam=self.name,
            plugin=point.name,
            distribution=package,
        )


def _ambiguity(points: list[EntryPoint]) -> str:
    packages = " and ".join(sorted(map(_package, points)))
    return f"{packages} both have this name; deny one of them"
