"""What is installed, by the metadata of packages; nothing is imported to find out."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

DISTRIBUTION = "graphflow-agents"
"""What graphflow is called where packages are installed from."""
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_LEAST = re.compile(r">=\s*([0-9.]+)")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")


@dataclass(frozen=True, slots=True)
class NeededPackage:
    """A package that something needs.

    Attributes:
        name: as it is installed.
        least: the oldest version that will do; "" for any.
        extra: which extra needs it; "": graphflow itself.
    """

    name: str
    least: str
    extra: str


@cache
def _all_needed() -> tuple[NeededPackage, ...] | None:
    try:
        stated = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    return tuple(map(_read, stated))


def _read(requirement: str) -> NeededPackage:
    """A line of the metadata: `asyncpg>=0.30; extra == 'postgres'`."""
    package, _, condition = requirement.partition(";")
    name = _NAME.match(package)
    least = _LEAST.search(package)
    extra = _EXTRA.search(condition)
    return NeededPackage(
        name[0] if name else package,
        least[1] if least else "",
        extra[1] if extra else "",
    )


def needed_by(extra: str) -> Sequence[NeededPackage] | None:
    """What an extra needs, or with "" graphflow itself; None: graphflow is not installed, so nobody knows."""
    needed = _all_needed()
    if needed is None:
        return None
    return [each for each in needed if each.extra == extra]


def missing_of(needed: Sequence[NeededPackage]) -> list[str]:
    """Those that are not installed, or too old."""
    missing: list[str] = []
    for each in needed:
        version = version_of(each.name)
        if version is None:
            missing.append(each.name)
        elif _is_older(version, each.least):
            missing.append(f"{each.name} {version} (needs {each.least})")
    return missing


def version_of(name: str) -> str | None:
    """The version of a package; None: it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _is_older(version: str, least: str) -> bool:
    """Whether a version is older than another one, as far as both are plain numbers."""
    return bool(least) and _numbers(version) < _numbers(least)


def _numbers(version: str) -> list[int]:
    found: list[int] = []
    for part in version.split("."):
        digits = re.match(r"\d+", part)
        if digits is None:
            break
        found.append(int(digits[0]))
    # 1.40 and 1.40.0 are the same.
    while found and found[-1] == 0:
        found.pop()
    return found
