"""Graphs within graphs that are tried again, with tools on their arrows and behind calls: cut off after each row."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from graphflow import END, START, Context, Failure, Graph, Retry, State, node, tool
from graphflow.merges import extend
from graphflow.testing import check_crash_safety

NOTES = State("notes", list[str], start=[], merge=extend)


class Builder:
    """Builds graphs at random: acts, steps, calls, forks, failures, and graphs within that may be tried again."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._count = 0

    def graph(self, depth: int = 0) -> Graph[Any, Any]:
        paths: list[Any] = []
        end: Any = START
        for _ in range(self._random.randint(1, 3)):
            end = self._part(paths, end, depth)
        is_within = depth > 0
        if is_within and self._random.random() < 0.6:
            failing = self._failing()
            paths.append(end >> failing)
            end = failing
        paths.append(end >> END)
        options: dict[str, Any] = {"state": [NOTES]}
        if is_within:
            attempts = self._random.randint(1, 3)
            options = {"uses": [NOTES], "retry": Retry(attempts, wait_s=0)}
        return Graph(self._name("graph"), *paths, **options)

    def _part(self, paths: list[Any], end: Any, depth: int) -> Any:
        kinds = ["act", "step", "call", "fork", "failure"]
        if depth < 2:
            kinds += ["graph"] * 3
        kind = self._random.choice(kinds)
        if kind == "fork":
            return self._fork(paths, end)
        if kind in ("graph", "failure"):
            risky = self.graph(depth + 1) if kind == "graph" else self._failing()
            behind = self._act()
            paths += [end >> risky >> behind, risky[Failure] >> self._mending() >> behind]
            return behind
        made = {"act": self._act, "step": self._step, "call": self._calling}[kind]()
        paths.append(end >> made)
        return made

    def _fork(self, paths: list[Any], end: Any) -> Any:
        if end is START:
            end = self._step()
            paths.append(START >> end)
        branches = (self._act(), self._random.choice([self._act, self._step])())

        @node(name=self._name("join"), effects=[])
        async def join(parts: list[str]) -> str:
            return "+".join(parts)[:40]

        paths.append(end >> branches >> join)
        return join

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{kind}_{self._count}"

    def _act(self) -> Any:
        name = self._name("act")

        @tool(name=name, effects=["writes"], adds=[NOTES])
        async def act(text: str, ctx: Context) -> str:
            """Acts."""
            await asyncio.sleep(0)
            ctx.add(NOTES, [name])
            return text

        return act

    def _step(self) -> Any:
        @node(name=self._name("step"), effects=[])
        async def step(text: str) -> str:
            await asyncio.sleep(0)
            return text

        return step

    def _calling(self) -> Any:
        tools = [self._act() for _ in range(self._random.randint(1, 2))]

        @node(name=self._name("calling"), calls=tools, effects=[])
        async def calling(text: str, ctx: Context) -> str:
            for each in tools:
                await ctx.call(each, {"text": text})
            return text

        return calling

    def _failing(self) -> Any:
        @node(name=self._name("failing"), effects=[])
        async def failing(text: str) -> str:
            await asyncio.sleep(0)
            raise ValueError("as ever")

        return failing

    def _mending(self) -> Any:
        @node(name=self._name("mending"), effects=[])
        async def mending(failure: Failure) -> str:
            return "mended"

        return mending


@pytest.mark.parametrize("seed", range(8))
def test_nothing_is_done_twice_wherever_the_process_dies(seed: int) -> None:
    graph = Builder(seed).graph()
    report = asyncio.run(check_crash_safety(graph, "x", seeds=(seed,), most=12))
    assert report.cuts
