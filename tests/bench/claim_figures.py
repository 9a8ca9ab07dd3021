"""What claims cost a call: 0, 1 and 10 of them on a graph whose only node calls tools, in one process, in turn.

    python -m tests.bench.claim_figures [ROUNDS]

Printed is the time of a call without claims, and of each kind the median over all rounds of what it costs beside the
round without claims that ran just before or after it.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from graphflow import (
    END,
    START,
    Apart,
    AtLeast,
    AtMost,
    Before,
    Context,
    Exactly,
    Graph,
    Limits,
    node,
    tool,
)
from graphflow.declaration.claims import Claim

NAMES = ("a", "b", "c")
CALLS = 600
ONE: Sequence[Claim] = (AtMost("a", 10**6),)
TEN: Sequence[Claim] = (
    Before("a", "b"),
    Before("b", "c"),
    AtMost("a", 10**6),
    AtMost("b", 10**6),
    Exactly("c", CALLS // 3 + 1),
    AtLeast("a", 1),
    Apart("a", "b"),
    Apart("b", "c"),
    Apart("a", "c"),
    AtLeast("b", 2),
)


def tool_of(name: str) -> Any:
    async def body(number: int) -> int:
        return number

    body.__doc__ = f"The tool {name}."
    return tool(name=name)(body)


def busy(claims: Sequence[Claim], spent: list[float]) -> Graph[int, int]:
    """A graph whose only node makes calls, and notes how long they take."""

    @node(name="busy", calls=[tool_of(name) for name in NAMES])
    async def make_calls(number: int, ctx: Context) -> int:
        for name in NAMES:
            await ctx.call(name, {"number": 0})
        began = time.thread_time()
        for place in range(CALLS):
            await ctx.call(NAMES[place % 3], {"number": place})
        spent.append(time.thread_time() - began)
        return number

    limits = Limits(steps=10**6)
    return Graph("g", START >> make_calls >> END, claims=claims, limits=limits)


async def measured(kinds: Mapping[str, Sequence[Claim]], rounds: int) -> dict[str, list[float]]:
    """The seconds of all calls of a round, by kind; the kinds take turns, in an order that turns, too."""
    spent: dict[str, list[float]] = {kind: [] for kind in kinds}
    graphs = {kind: busy(claims, spent[kind]) for kind, claims in kinds.items()}
    order = list(graphs)
    for graph in graphs.values():
        await graph.run(1)
    for times in spent.values():
        times.clear()
    for _ in range(rounds):
        gc.collect()
        gc.disable()
        for kind in order:
            await graphs[kind].run(1)
        gc.enable()
        order.append(order.pop(0))
    return spent


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    kinds = {"none": (), "none again": (), "one": ONE, "ten": TEN}
    spent = asyncio.run(measured(kinds, rounds))
    bare = spent["none"]
    print(f"a call without claims: {median(bare) / CALLS * 1e6:.2f} us ({rounds} rounds)")
    for kind, times in spent.items():
        ratios = [time / beside for time, beside in zip(times, bare, strict=True)]
        fastest = min(times) / min(bare)
        more = (median(times) - median(bare)) / CALLS * 1e6
        print(f"{kind:12} median {median(ratios):.3f}  fastest {fastest:.3f}  {more:+.2f} us")


if __name__ == "__main__":
    main()
