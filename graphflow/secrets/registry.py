"""The secrets that somebody has now: what leaves the process is looked through for them, whoever writes it.

It stands apart from what finds secrets, so that a process without any never loads that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from graphflow.secrets.opened import OpenSecrets

NamedTexts: TypeAlias = tuple[tuple[str, str], ...]
"""Names with what they stand for: a value, or a pattern."""
SecretsKey: TypeAlias = tuple[NamedTexts, NamedTexts]
"""The values and the patterns of a set: equal ones are one object."""
known_sets: WeakValueDictionary[SecretsKey, OpenSecrets] = WeakValueDictionary()
"""All sets that somebody has; who drops the last reference to one takes it out."""


def living() -> list[OpenSecrets]:
    """All of them; nearly always there are none."""
    if not known_sets:
        return []
    return list(known_sets.values())
