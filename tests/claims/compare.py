"""The explorer against brute force, by hand: `python -m tests.claims.compare GRAPHS CLAIMS_EACH [MOST_TRACES] [FIRST_SEED]`."""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import Any

from graphflow.claims.claim_proofs import ClaimProofs
from graphflow.claims.explorer import Explorer
from graphflow.claims.monitor import Monitor
from graphflow.claims.targets import Cast, targets_of
from graphflow.declaration.claims import Claim
from tests.claims.brute_force import Model, TooMany, verdicts
from tests.claims.random_graphs import random_graph
from tests.claims.seeded_claims import seeded_claims

SIZES = range(3)


def explored(graph: Any, claim: Claim, *, reduced: bool, shortest: bool = False) -> Explorer:
    """One claim, explored."""
    cast = Cast(claim, targets_of(graph))
    explorer = Explorer(
        graph,
        Monitor(cast),
        frames=None,
        sizes=SIZES,
        budget=1_000_000,
        reduced=reduced,
        shortest=shortest,
    )
    return explorer.run()


def compare(seed: int, count: int, most: int, tally: Counter[str]) -> list[str]:
    """What is told differently of one graph's claims.

    Raises:
        TooMany: it has more traces than that.
    """
    graph = random_graph(seed)
    claims = seeded_claims(graph, seed, count)
    truth = verdicts(Model(graph, SIZES), claims, most)
    proofs = ClaimProofs(graph)
    proofs.prove_linearly(claims)
    wrong: list[str] = []
    for claim in claims:
        tally["claims"] += 1
        tally["true" if truth[claim] else "false"] += 1
        for reduced in (False, True):
            began = time.process_time()
            explorer = explored(graph, claim, reduced=reduced)
            way = "reduced" if reduced else "full"
            tally[f"{way} ms"] += int((time.process_time() - began) * 1000)
            tally[f"{way} states"] += explorer.states
            if (explorer.broken is None) != truth[claim]:
                wrong.append(f"seed {seed}, {way}: {claim} is {truth[claim]}")
        linear = proofs._linear[claim]
        if linear is not None:
            tally["linear"] += 1
            if not truth[claim]:
                wrong.append(f"seed {seed}, linear: {claim} is {truth[claim]}")
    return wrong


def main(graphs: int, count: int, most: int, seed: int) -> None:
    tally: Counter[str] = Counter()
    while tally["graphs"] < graphs:
        try:
            for problem in compare(seed, count, most, tally):
                print(problem, flush=True)
                tally["wrong"] += 1
            tally["graphs"] += 1
        except TooMany:
            tally["too large"] += 1
        seed += 1
    print(dict(tally))


if __name__ == "__main__":
    given = [int(text) for text in sys.argv[1:]]
    defaults = [300, 18, 1000, 0]
    main(*given, *defaults[len(given) :])
