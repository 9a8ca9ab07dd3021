"""Random graphs without a plan: whatever the proofs let through has to walk the same way under every latency."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from graphflow import END, START, Failure, Graph, GraphError, LimitReached, node
from tests.blocks import Jitter
from tests.conftest import A, B, Msg


def digest(*parts: Any) -> int:
    """A number that depends on everything, and on nothing of the process."""
    total = 17
    for char in repr(parts):
        total = (total * 131 + ord(char)) % 1_000_003
    return total


class Broken(ValueError):
    """What a node of a random graph raises on purpose."""


@dataclass
class Plan:
    """One node: what it takes, what it sends, how often it fails."""

    name: str
    takes: str
    arms: int
    fails: bool

    def node(self) -> Any:
        """A node that answers with what its input and its name make of it."""
        name, arms, fails = self.name, self.arms, self.fails

        def answered(given: Any) -> Any:
            n = digest(name, given)
            if fails and n % 4 == 0:
                raise Broken(f"{name} {n}")
            return (Msg, A, B)[n // 4 % arms](n=n % 1000)

        async def one(m: Any) -> Any:
            await Jitter.wait()
            return answered(m)

        async def two(m: Any, k: Any) -> Any:
            await Jitter.wait()
            return answered((m, k))

        async def listed(m: Any) -> Any:
            await Jitter.wait()
            return [Msg(n=digest(name, m, k) % 1000) for k in range(digest(name, m) % 4)]

        body = {"one": one, "some": one, "two": two, "optional": two, "map": listed}[self.takes]
        port: Any = {"some": list[Msg | A | B]}.get(
            self.takes, Msg | A | B | Failure | LimitReached
        )
        body.__annotations__["m"] = port
        if self.takes in ("two", "optional"):
            body.__annotations__["k"] = port if self.takes == "two" else port | None
        body.__annotations__["return"] = (
            list[Msg] if self.takes == "map" else (Msg, Msg | A, Msg | A | B)[self.arms - 1]
        )
        return node(name=name)(body)


@dataclass
class Way:
    """One edge of a plan: from an arm of a node to another node (-1: END)."""

    source: int
    arm: str
    target: int
    laps: int | None = None
    policy: Any = None


def sketched(rng: random.Random) -> tuple[list[Plan], list[Way]]:
    """Nodes, and edges for every arm of every node: mostly forward, some back."""
    count = rng.randint(2, 9)
    made = [Plan(f"n{i}", "one", rng.randint(1, 3), rng.random() < 0.2) for i in range(count)]
    ways = [
        Way(-2, "", target)
        for target in rng.sample(range(min(3, count)), min(count, rng.choice([1, 1, 1, 2])))
    ]
    for number, plan in enumerate(made):
        plan.takes = "map" if rng.random() < 0.12 else "one"
        ahead = [*range(number + 1, min(count, number + 4)), -1]
        names = ["each"] if plan.takes == "map" else ["Msg", "A", "B"][: plan.arms]
        policy = rng.choice(["isolate", "finish"]) if rng.random() < 0.15 else None
        for name in names:
            arm = "" if len(names) == 1 and name != "each" else name
            for target in rng.sample(ahead, min(len(ahead), 1 if rng.random() < 0.6 else 2)):
                ways.append(Way(number, arm, target, policy=policy))
            if rng.random() < 0.15:
                ways.append(Way(number, arm, rng.randint(0, number), rng.randint(1, 3), policy))
                if rng.random() < 0.5:
                    ways.append(Way(number, "LimitReached", rng.choice(ahead)))
        if plan.fails and rng.random() < 0.6:
            ways.append(Way(number, "Failure", rng.choice(ahead)))
    return made, ways


def graph_of(seed: int) -> Graph[Any, Any] | None:
    """The graph of this number, if it is sound."""
    rng = random.Random(seed)
    made, ways = sketched(rng)
    reached = {way.target for way in ways if way.source == -2}
    for _ in made:
        reached |= {way.target for way in ways if way.source in reached}
    ways = [way for way in ways if way.source == -2 or way.source in reached]
    for number, plan in enumerate(made):
        arriving = sum(way.target == number for way in ways)
        if arriving > 1 and plan.takes == "one":
            plan.takes = rng.choice(["one", "one", "some", "some", "two", "optional"])
    nodes = [plan.node() for plan in made]
    ports = {number: ["m", "k"] for number in range(len(made))}
    edges: list[Any] = []
    for way in ways:
        source: Any = START if way.source == -2 else nodes[way.source]
        arms = {"Msg": Msg, "A": A, "B": B, "Failure": Failure, "LimitReached": LimitReached}
        origin = (
            source if not way.arm else source.each if way.arm == "each" else source[arms[way.arm]]
        )
        if way.policy is not None:
            origin = origin.fork(way.policy)
        if way.laps is not None:
            origin = origin.limit(way.laps)
        target: Any = END if way.target == -1 else nodes[way.target]
        if way.target >= 0 and made[way.target].takes in ("two", "optional"):
            free = ports[way.target]
            target = target.into(free.pop(0) if len(free) > 1 else free[0])
        edges.append(origin >> target)
    try:
        return Graph("shape", *edges, input=Msg, ends=rng.choice(["one", "all", "all"]))
    except GraphError:
        return None
