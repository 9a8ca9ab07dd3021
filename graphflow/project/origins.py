"""Where settings come from, by their keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from graphflow.misfits import DataPath
from graphflow.project.toml_lines import KeyNames


class SettingOrigins:
    """Where each setting that somebody has stated comes from."""

    def __init__(self) -> None:
        self._by_key: dict[KeyNames, str] = {}

    def state(self, path: KeyNames, origin: str) -> None:
        """Says where a setting comes from; what it replaces comes from nowhere any more."""
        # A table may stand in the place of a value, and the other way round.
        replaced = [known for known in self._by_key if _overlap(known, path)]
        for known in replaced:
            del self._by_key[known]
        self._by_key[path] = origin

    def add(self, path: DataPath, origin: str) -> None:
        """Says where it comes from beside what is known of it."""
        key = self.key(path)
        if key is not None:
            self._by_key[key] += f", {origin}"

    def key(self, path: DataPath) -> KeyNames | None:
        """The key that a place belongs to: of an item of a list, that of the list."""
        steps = map(str, path)
        names = tuple(steps)
        while names:
            if names in self._by_key:
                return names
            names = names[:-1]
        return None

    def of(self, path: DataPath) -> str:
        """Where a setting comes from; "" if nobody has stated it."""
        key = self.key(path)
        if key is None:
            return ""
        return self._by_key[key]

    def shown(self, path: KeyNames) -> str:
        """Where a setting, or what is in its table, comes from; "default" if nobody has stated it."""
        found: list[str] = []
        for known, origin in self._by_key.items():
            # `store` is short for `store.address`, so either may be the longer one.
            if _overlap(known, path) and origin not in found:
                found.append(origin)
        if not found:
            return "default"
        return "; ".join(found)


def _overlap(one: KeyNames, other: KeyNames) -> bool:
    shared = min(len(one), len(other))
    return one[:shared] == other[:shared]


def leaves(table: Mapping[str, object], path: KeyNames = ()) -> Iterator[KeyNames]:
    """The keys of all values in a table, from the outside in."""
    for key, value in table.items():
        below = (*path, key)
        # An empty table has nothing below that could be named.
        if value and isinstance(value, dict):
            yield from leaves(value, below)
        else:
            yield below
