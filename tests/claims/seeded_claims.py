"""Claims about a random graph, from its seed."""

from __future__ import annotations

import random
from typing import Any

from graphflow.claims.targets import targets_of
from graphflow.declaration.claims import Apart, AtLeast, AtMost, Before, Claim, Exactly, Never


def seeded_claims(graph: Any, seed: int, count: int) -> list[Claim]:
    """Different claims, some of them for each branch of a fork."""
    rolls = random.Random(seed)
    names = [target.name for target in targets_of(graph).all]
    arms = {name: "[A]" for name in names if name.split(" > ")[-1].startswith(("r", "e"))}
    forks = [slot.name for slot in graph.program.slots[:-2] if slot.forks]
    claims: dict[Claim, None] = {}
    for _ in range(count):
        one, other = rolls.choice(names), rolls.choice(names)
        arm = arms.get(one, "") if rolls.random() < 0.5 else ""
        per = rolls.choice(forks) if forks and rolls.random() < 0.25 else None
        kind = rolls.randrange(6)
        claim: Claim
        if kind == 0:
            claim = Before(one + arm, other, per)
        elif kind == 1:
            claim = Never(other, after=one + arm, per=per)
        elif kind == 2:
            claim = AtMost(one, rolls.choice([1, 1, 2]), per)
        elif kind == 3:
            claim = Exactly(one, 1, per)
        elif kind == 4:
            claim = AtLeast(one + arm, rolls.choice([1, 1, 2]), per)
        elif one != other:
            claim = Apart(one, other, per)
        else:
            continue
        claims[claim] = None
    return list(claims)
