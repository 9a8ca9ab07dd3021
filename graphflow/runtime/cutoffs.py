"""Cutoffs: up to which exchange somebody has had a conversation compacted. They stand in its header, and no row is touched.

    cutoffs   [9, 19]     agents are shown what stands behind exchange 19, and of the rest what their context policies keep

Rules:
1. A cutoff belongs to what was said: who withdraws the exchange that it lies at, or copies less than that, has it no more, and
   the one before counts again.
2. A run keeps the cutoff that it has begun with, in its own header: who goes on with it shows what it has shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphflow.journal.stored import Json

CUTOFFS = "cutoffs"
"""Under which name the header of a conversation tells them."""


def newest_cutoff(about: Mapping[str, Json]) -> int:
    """The number of the last exchange that is not shown as it is; 0: all are."""
    cutoffs = _cutoffs_in(about)
    return max(cutoffs, default=0)


def with_cutoff(about: Mapping[str, Json], cutoff: int) -> dict[str, Json]:
    """What is kept about a conversation that was cut behind an exchange."""
    cutoffs = _cutoffs_in(about)
    cutoffs.append(cutoff)
    kept = dict(about)
    kept[CUTOFFS] = list[Json](cutoffs)
    return kept


def with_cutoffs_up_to(about: Mapping[str, Json], head: int) -> dict[str, Json]:
    """What is kept about a conversation that ends with an exchange: without cuts that lie beyond it."""
    kept = dict(about)
    known = _cutoffs_in(about)
    kept.pop(CUTOFFS, None)
    cutoffs = [cutoff for cutoff in known if cutoff <= head]
    if cutoffs:
        kept[CUTOFFS] = list[Json](cutoffs)
    return kept


def _cutoffs_in(about: Mapping[str, Json]) -> list[int]:
    known: Any = about.get(CUTOFFS)
    if not known:
        return []
    return list(known)
