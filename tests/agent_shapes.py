"""Random graphs of agents: tools of all kinds, sub-agents in all isolations, calls in the background, hand-overs, retries.

A number makes a graph, and what its models say is made of what they are asked and of nothing else. So every run of a graph
with the same message must come to the same, however it went on its way.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any

from graphflow import END, START, Agent, Context, Failure, Graph, Human, Retry, SubAgent, node, tool
from graphflow.events import NodeRetried
from graphflow.messages.message import to_json_value
from graphflow.model.seam import Request
from graphflow.model.turns import AssistantTurn, ToolTurn, UserTurn
from graphflow.policy import allow
from graphflow.testing import ComputedModel, both, calls, gives
from tests.conftest import A, Msg
from tests.shapes import digest

Call = tuple[str, dict[str, Any]]
NO_WAIT = Retry(attempts=3, wait_s=0.0, jitter=0.0)


class Weak(ValueError):
    """What a tool of a random graph raises on purpose."""


def attempts_of(ctx: Context, node: str, activation: tuple[int, int] | None = None) -> int:
    """How often a node was tried again, as its run knows."""
    frame: Any = ctx.frame
    where = activation or (frame.number, ctx.activation)
    told = [event for event in frame.shared.run.journal if isinstance(event, NodeRetried)]
    return sum(event.node == node and (event.frame, event.activation) == where for event in told)


# -- tools -----------------------------------------------------------------------------------------
@tool(effects=["writes"])
async def charge(n: int, ctx: Context) -> str:
    """Charges an amount."""
    ctx.emit("charged", n)
    return f"charged {n} under {ctx.new_id()}"


@tool(effects=["reads"])
async def look(n: int) -> Msg:
    """Looks something up."""
    return Msg(n=n * 7 % 100)


@tool(effects=[])
async def double(n: int) -> int:
    """Doubles a number."""
    return n * 2


@tool
async def weak(n: int) -> int:
    """Fails for some numbers."""
    if n % 3 == 0:
        raise Weak(f"no {n}")
    return n + 1


@tool(retry=NO_WAIT)
async def flaky(n: int, ctx: Context) -> int:
    """Fails at first, and for good for some numbers."""
    tries = attempts_of(ctx, "flaky")
    await ctx.once("note", lambda: n)
    if tries < 1 or n % 5 == 0:
        raise Weak(f"not yet {n}")
    return n + 2


@tool(effects=["reads"], cache=True)
async def known(n: int) -> int:
    """Knows the answer, and keeps it."""
    return n * n % 97


@tool(calls=[charge, look])
async def deep(n: int, ctx: Context) -> str:
    """Calls others, and keeps something."""
    looked = await ctx.call(look, {"n": n})
    ctx.keep("note.txt", f"looked {looked.n}")
    value = await ctx.once("value", lambda: n + 1)
    charged = await ctx.call(charge, {"n": value})
    ctx.now()
    return f"{looked.n} {charged} {ctx.random().random():.6f}"


@tool(approval=True, effects=["writes"])
async def refund(n: int) -> int:
    """Gives money back, if somebody agrees."""
    return n - 1


TOOLS = (charge, look, double, weak, known, deep, refund)


# -- models ----------------------------------------------------------------------------------------
def text_of(request: Request) -> str:
    """What a model is shown, without the numbers that follow the order of arrival."""
    parts: list[str] = [str(request.system)]
    for turn in request.turns:
        match turn:
            case UserTurn():
                parts.append(turn.text)
            case AssistantTurn():
                parts.append(turn.text + "".join(call.name + call.arguments for call in turn.calls))
            case ToolTurn():
                parts += [f"{result.name} {result.ok} {result.text}" for result in turn.results]
    return re.sub(r"(bg\d+)-\d+", r"\1", "|".join(parts))


def rounds_of(request: Request) -> int:
    """How many rounds of calls an agent has made since it was asked."""
    count = 0
    for turn in request.turns:
        if isinstance(turn, UserTurn):
            count = 0
        elif isinstance(turn, ToolTurn):
            count += 1
    return count


def handles_in(request: Request) -> list[str]:
    """The calls in the background that are under way."""
    last = request.turns[-1]
    if not isinstance(last, ToolTurn):
        return []
    found: list[str] = []
    for result in last.results:
        if result.name == "background":
            return []
        found += re.findall(r'"handle":\s*"(bg\d+-\d+)"', result.text)
    return found


def model_of(plan: list[list[str]], hands: str = "") -> ComputedModel:
    """A model that makes these rounds of calls, then hands over, or answers with what it makes of all that it was shown."""

    def reply(request: Request) -> object:
        number = rounds_of(request)
        shown = text_of(request)
        handles = handles_in(request)
        offered = {spec.name for spec in request.tools}
        if handles and "background" in offered:
            return both(*(calls("background", handle=handle, action="await") for handle in handles))
        last = request.turns[-1]
        if isinstance(last, ToolTurn) and last.results[0].name == "background":
            number = len(plan)
        if number < len(plan):
            made = []
            for place, name in enumerate(plan[number]):
                if name in offered:
                    made.append(calls(name, n=digest(shown, place if place % 2 else 0) % 9))
            if made:
                return both(*made)
        if hands and hands in offered:
            return calls(hands, n=digest(shown) % 50)
        return gives(Msg(n=digest(shown) % 1000))

    return ComputedModel(reply, tokens=(7, 3), usd=0.125)


# -- graphs ----------------------------------------------------------------------------------------
class Shapes:
    """Makes one random graph."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.count = 0
        self.left = self.rng.randint(1, 6)
        """Agents that may still be made: each calls others, so runs grow fast."""
        self.beside = 0
        """Forks around."""

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind}{self.count}"

    def agent(self, depth: int = 0, hands: Any = None) -> Agent[Msg, Msg]:
        """An agent with tools, sub-agents and a plan to use them."""
        rng = self.rng
        self.left -= 1
        tools: list[Any] = rng.sample(TOOLS, rng.randint(0, 3))
        if rng.random() < 0.2:
            tools.append(flaky)
        subs: list[Any] = []
        while self.left > 0 and depth < 3 and len(subs) < 3 and rng.random() < 0.6:
            subs.append(self.sub_agent(depth + 1))
        names = [each.name for each in (*tools, *subs)]
        plan: list[list[str]] = []
        if names:
            for _ in range(rng.randint(1, 2)):
                picked = [rng.choice(names) for _ in range(rng.randint(1, 3))]
                talking = [each.name for each in subs if each.isolation != "isolated"]
                # What they hear must not be a matter of time.
                if any(name in talking for name in picked):
                    picked = [name for name in picked if name in talking][:1] * rng.randint(1, 2)
                plan.append(
                    [
                        name
                        for at, name in enumerate(picked)
                        if name != "flaky" or name not in picked[:at]
                    ]
                )
        model = model_of(plan, "" if hands is None else f"transfer_to_{hands.name}")
        return Agent(
            self.name("agent"),
            input=Msg,
            output=Msg,
            tools=tools,
            sub_agents=subs,
            handoffs=[] if hands is None else [hands],
            model=model,
            max_parallel_calls=rng.choice([1, 10]),
        )

    def sub_agent(self, depth: int) -> SubAgent[Msg, Msg]:
        """A sub-agent, or a graph of some, in one of the isolations."""
        rng = self.rng
        target: Any = self.agent(depth)
        if rng.random() < 0.3 and self.left > 0:
            other = self.agent(depth)
            target = Graph(self.name("sub"), START >> target >> other >> END)
        # The numbers of handles follow the order of arrival.
        if rng.random() < 0.25 and not self.beside:
            isolation: Any = rng.choice(["isolated", "forked"])
            return SubAgent(target, isolation=isolation, background=True, name=self.name("bg"))
        return SubAgent(target, isolation=rng.choice(["isolated", "shared", "shared", "forked"]))

    def piece(self, source: Any, depth: int) -> tuple[list[Any], Any]:
        """Arrows from a source, and what they lead to; all of it takes and gives a `Msg`."""
        rng = self.rng
        kinds: list[Callable[[Any, int], tuple[list[Any], Any]]] = [
            self.one,
            self.one,
            self.step,
            self.human,
        ]
        if self.left <= 0:
            kinds = [self.step, self.human]
        if depth < 2 and self.count < 12:
            kinds += [
                self.chain,
                self.fan,
                self.each,
                self.loop,
                self.nested,
                self.mended,
                self.handed,
            ]
        return rng.choice(kinds)(source, depth)

    def one(self, source: Any, depth: int) -> tuple[list[Any], Any]:
        agent = self.agent()
        return [source >> agent], agent

    def step(self, source: Any, depth: int) -> tuple[list[Any], Any]:
        name = self.name("step")
        quiet = self.rng.random() < 0.5

        @node(name=name, retry=NO_WAIT, effects=[] if quiet else ["writes"], calls=[charge, known])
        async def body(m: Msg, ctx: Context) -> Msg:
            tries = attempts_of(ctx, name)
            told = await ctx.call(known, {"n": m.n % 9})
            ctx.keep("same", b"\xff same")
            if m.n % 2:
                await ctx.call(charge, {"n": m.n % 9})
            once = await ctx.once("once", lambda: m.n + 1)
            if tries < m.n % 3:
                raise Weak(name)
            return Msg(n=(once + told + int(ctx.random().random() * 10)) % 1000)

        return [source >> body], body

    def human(self, source: Any, depth: int) -> tuple[list[Any], Any]:
        person: Any = Human(self.name("human"), input=Msg, output=A)

        async def read(a: A) -> Msg:
            return Msg(n=a.n + 1)

        after = node(name=self.name("read"))(read)
        return [source >> person >> after], after

    def chain(self, source: Any, depth: int) -> tuple[list[Any], Any]:
        paths: list[Any] = []
        for _ in range(self.rng.randint(1, 3)):
            more, source = self.piece(source, depth + 1)
            paths += more
        return paths, source

    def collected(self) -> Any:
        async def collect(ms: list[Msg]) -> Msg:
            return Msg(n=digest([m.n for m in ms]) % 1000)

        return node(name=self.name("collect"), effects=[])(collect)

    def fan(self, source: Any, depth: int) -> tuple[list[Any], Any]:
        async def same(m: Msg) -> Msg:
            return m

        fork, join = node(name=self.name("fork"), effects=[])(same), self.collected()
        paths: list[Any] = [source >> fork]
        self.beside += 1
        for _ in range(2):
            more, tail = self.piece(fork, depth + 1)
            paths += [*more, tail >> join]
        self.beside -= 1
        return paths, join

    def each(self, source: Any, depth: int) -> tuple[list[Any], Any]:
        async def split(m: Msg) -> list[Msg]:
            return [Msg(n=m.n // 2), Msg(n=m.n // 2), Msg(n=m.n + 1)]

        fork, join = node(name=self.name("split"), effects=[])(split), self.collected()
        self.beside += 1
        more, tail = self.piece(
            fork.each.fork("isolate") if self.rng.random() < 0.5 else fork.each, depth + 1
        )
        self.beside -= 1
        return [source >> fork, *more, tail >> join], join

    def loop(self, source: Any, depth: int) -> tuple[list[Any], Any]:
        same_again = self.rng.random() < 0.5

        async def enter(m: Msg) -> Msg:
            return Msg(n=5) if same_again else m

        async def judge(m: Msg) -> Msg | A:
            return m if m.n % 3 else A(n=m.n)

        async def leave(m: Any) -> Msg:
            return Msg(n=m.message.n if hasattr(m, "message") else m.n)

        from graphflow import LimitReached

        head, verdict = (
            node(name=self.name("enter"))(enter),
            node(name=self.name("judge"), effects=[])(judge),
        )
        out = node(name=self.name("leave"))(leave)
        more, tail = self.piece(head, depth + 1)
        paths = [source >> head, *more, tail >> verdict, verdict[Msg].limit(2) >> head]
        return [*paths, verdict[A] >> out, verdict[LimitReached] >> out], out

    def nested(self, source: Any, depth: int) -> tuple[list[Any], Any]:
        """A graph inside, which may fail at first and is tried again as a whole."""
        name = self.name("graph")
        more, tail = self.piece(START, depth + 1)
        fails = self.rng.random() < 0.6

        @node(name=self.name("last"))
        async def last(m: Msg, ctx: Context) -> Msg:
            frame: Any = ctx.frame
            origin = frame.origin
            around = (origin.frame.number, origin.activation)
            if fails and attempts_of(ctx, name, around) < 1:
                raise Weak("from the top")
            return m

        inner = Graph(name, *more, tail >> last >> END, input=Msg, retry=NO_WAIT)
        return [source >> inner], inner

    def mended(self, source: Any, depth: int) -> tuple[list[Any], Any]:
        async def fragile(m: Msg) -> Msg:
            if m.n % 2:
                raise Weak(f"odd {m.n}")
            return m

        async def mend(f: Failure) -> Msg:
            return Msg(n=f.input.n + 1)

        async def merge(m: Msg) -> Msg:
            return m

        thin, fix = node(name=self.name("fragile"))(fragile), node(name=self.name("mend"))(mend)
        end = node(name=self.name("merge"))(merge)
        return [source >> thin, thin[Failure] >> fix, (thin, fix) >> end], end

    def handed(self, source: Any, depth: int) -> tuple[list[Any], Any]:
        second = self.agent()
        first = self.agent(hands=second)

        async def merge(m: Msg) -> Msg:
            return m

        end = node(name=self.name("merge"))(merge)
        return [source >> first, (first, second) >> end], end


def agent_graph(seed: int) -> Graph[Any, Any]:
    """The graph of this number."""
    shapes = Shapes(seed)
    paths, tail = shapes.piece(START, 0)
    return Graph("agents", *paths, tail >> END, input=Msg)


def answer(question: Any) -> Any:
    """What people say: yes to every call, and a number to everything else."""
    if question.about == "approval":
        return allow
    return {"n": digest(json.dumps(to_json_value(question.message), sort_keys=True)) % 100}
