"""A process that spends: it runs a graph again and again until a budget refuses it, and says what its runs have used.

python -m tests.runtime.spender STORE RUNS_AT_A_TIME | hang
"""

from __future__ import annotations

import asyncio
import sys

from graphflow import END, START, Agent, Budget, Graph, Store
from graphflow.errors import BudgetExceeded
from graphflow.testing import ComputedModel, says

TOKENS = (100, 20)
"""What each answer is said to have cost."""
LIMIT = 3_000


def spending_graph(wait_s: float = 0.0) -> Graph[str, str]:
    """A graph of one agent, whose model takes a while to answer."""
    model = ComputedModel(lambda request: says("spent", wait_s=wait_s), tokens=TOKENS, usd=0.01)
    agent = Agent("writer", input=str, output=str, prompt="{{ text }}")
    return Graph("spending", START >> agent >> END, model=model)


async def main(address: str, at_a_time: int) -> None:
    """Spends until nothing is left."""
    graph = spending_graph(wait_s=0.002)
    budget = Budget(per="day", tokens=LIMIT)
    used = 0

    async def spend() -> None:
        nonlocal used
        while True:
            try:
                run = await graph.run("hi", store=store, budgets=[budget])
            except BudgetExceeded:
                return
            used += run.usage.tokens

    async with Store.open(address) as store:
        await asyncio.gather(*(spend() for _ in range(at_a_time)))
    print(used)


async def hang(address: str) -> None:
    """Asks a question that is never answered."""
    graph = spending_graph(wait_s=3_600)
    async with Store.open(address) as store:
        budgets = [Budget(per="day", tokens=LIMIT)]
        await graph.run("long " * 100, store=store, id="hung", budgets=budgets, lease_s=1.0)


if __name__ == "__main__":
    if sys.argv[2] == "hang":
        asyncio.run(hang(sys.argv[1]))
    else:
        asyncio.run(main(sys.argv[1], int(sys.argv[2])))
