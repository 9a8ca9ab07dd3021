"""A crowd: a graph with every door by which something can begin, and models that try all of them at random.

What has happened in a run is told by its events alone, and judged by the sentences of `brute_force.py`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

from graphflow import (
    END,
    START,
    Agent,
    Apart,
    AtMost,
    Before,
    Context,
    Exactly,
    Failure,
    Graph,
    Limits,
    Never,
    SubAgent,
    ToolError,
    node,
    tool,
)
from graphflow.declaration.claims import Claim
from graphflow.errors import ClaimBroken, ClaimRefused
from graphflow.events import (
    BackgroundFinished,
    CallFailed,
    CallFinished,
    CallStarted,
    Event,
    FrameEntered,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeStarted,
    Scope,
)
from graphflow.model import Request
from graphflow.model.turns import ToolTurn
from graphflow.testing import ComputedModel, both, calls, says
from tests.claims.brute_force import Happening, Trace, branches_of, holds

CLAIMS: Sequence[Claim] = (
    Before("approve", "refund"),
    AtMost("refund", 2),
    AtMost("pay", 1),
    Never("mail", after="leak"),
    Never("office", after="mail"),
    Apart("mail", "refund"),
    Before("look", "helper"),
    AtMost("look", 3, per="split"),
    Apart("aside", "office"),
    Exactly("twin", 1),
    AtMost("support", 1),
    Before("look", "pay", per="split"),
    AtMost("front > refund", 1, per="split"),
)
ORDERS = ("approve", "refund", "mail", "look", "leak")
AGENTS = ("helper", "twin", "talker", "aside", "office", "transfer_to_support")


@tool
async def approve(order: int) -> int:
    """Approves."""
    return order


@tool
async def refund(order: int) -> int:
    """Pays back."""
    await asyncio.sleep(0)
    return order


@tool
async def mail(order: int) -> int:
    """Writes."""
    await asyncio.sleep(0)
    return order


@tool(cache=True)
async def look(order: int) -> int:
    """Looks."""
    return order


@tool
async def leak(order: int) -> int:
    """Fails for some orders."""
    if order == 0:
        raise ToolError("it leaks")
    return order


@tool(calls=[refund, look])
async def errand(order: int, ctx: Context) -> int:
    """Calls others from code, two of them at the same time."""
    await ctx.call(look, {"order": order})
    paid = await asyncio.gather(
        *(ctx.call(refund, {"order": number}) for number in (order, order + 1)),
        return_exceptions=True,
    )
    return sum(isinstance(each, int) for each in paid)


def crowded(claims: Sequence[Claim] = CLAIMS) -> Graph[Any, Any]:
    """The graph."""
    orders = [approve, refund, mail, look, leak]

    @node
    async def pay(text: str) -> str:
        return text

    @node
    async def unpaid(failure: Failure) -> str:
        return failure.kind

    clerk = Agent("clerk", input=str, tools=[refund, mail])
    office = Graph("office", START >> pay >> clerk >> END, pay[Failure] >> unpaid >> END)
    helper = Agent("helper", input=str, tools=orders)
    twin = Agent("twin", input=str, tools=[refund, errand])
    talker = Agent("talker", input=str, tools=[approve, mail])
    aside = Agent("aside", input=str, tools=[look, refund])
    support = Agent("support", input=str, tools=[refund, mail, look])
    front = Agent(
        "front",
        input=str,
        tools=[*orders, errand],
        sub_agents=[
            helper,
            SubAgent(twin, isolation="forked"),
            SubAgent(talker, isolation="shared"),
            SubAgent(aside, background=True),
            office,
        ],
        handoffs=[support],
    )

    @node
    async def split(text: str) -> list[str]:
        return [f"{text} {number}" for number in range(2)]

    @node
    async def gather(texts: list[str]) -> int:
        return len(texts)

    return Graph(
        "crowd",
        START >> split,
        split.each >> front >> gather,
        support >> gather >> END,
        claims=claims,
    )


def random_model(seed: int) -> ComputedModel:
    """A model that calls anything at any time, whatever it is offered; what it says is made of what it is shown."""

    def reply(request: Request) -> object:
        shown = [str(turn) for turn in request.turns]
        rolls = random.Random(f"{seed} {len(shown)} {shown[0]} {len(request.tools)}")
        rounds = sum(isinstance(turn, ToolTurn) for turn in request.turns)
        if rounds > 5 or rolls.random() < 0.15:
            return says("end")
        wanted = []
        for _ in range(rolls.randrange(1, 4)):
            name = rolls.choice((*ORDERS, *ORDERS, *AGENTS, "errand"))
            if name in AGENTS:
                wanted.append(calls(name, input=str(rolls.randrange(100))))
            else:
                wanted.append(calls(name, order=rolls.randrange(3)))
        return both(*wanted)

    return ComputedModel(reply)


class Witness:
    """Reads the events of a run as what began and ended, with names and branches."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = events
        self.trace: Trace = []
        self._paths: dict[int, tuple[str, ...]] = {0: ()}
        """Names from the outermost frame to each."""
        self._scopes: dict[int, Scope] = {}
        """Of the activations of the outermost frame."""
        self._above: dict[int, int] = {}
        """The activation of the outermost frame that each frame within belongs to."""
        self._calls: dict[int, Happening] = {}
        self._backgrounds: dict[tuple[int, str], list[Happening]] = {}
        refused: set[tuple[str, int, int]] = set()
        for event in events:
            if isinstance(event, CallFailed) and _is_refusal(event.error, event.node):
                refused.add(("call", event.call, 0))
            elif isinstance(event, NodeFailed) and _is_refusal(event.error, event.node):
                refused.add(("node", event.frame, event.activation))
        self._refused = refused
        for event in events:
            self._read(event)

    def _read(self, event: Event) -> None:
        match event:
            case FrameEntered():
                above = event.activation if event.parent == 0 else self._above[event.parent]
                self._above[event.frame] = above
                self._paths[event.frame] = (*self._paths[event.parent], event.path[-1])
            case NodeStarted():
                if event.frame == 0:
                    self._scopes[event.activation] = event.scope
                self._activation("begin", event)
            case NodeFinished():
                self._activation("answer", event)
            case NodeFailed():
                self._activation("fail", event)
            case NodeCancelled():
                self._activation("cancel", event)
            case CallStarted() if ("call", event.call, 0) not in self._refused:
                around = self._paths[event.frame]
                by = () if around and around[-1] == event.caller else (event.caller,)
                path = (*around, *by, event.node)
                begun = Happening("begin", path, (1, event.call), None, self._scope(event))
                self._calls[event.call] = begun
                self.trace.append(begun)
            case CallFinished():
                begun = self._calls[event.call]
                if event.node == "aside":
                    backgrounds = self._backgrounds.setdefault(
                        (event.frame, event.output.handle), []
                    )
                    backgrounds.append(begun)
                else:
                    self._end("answer", begun)
            case CallFailed() if event.call in self._calls:
                self._end("fail", self._calls[event.call])
            case BackgroundFinished():
                what = "answer" if event.status == "completed" else "fail"
                for begun in self._backgrounds.pop((event.frame, event.handle), []):
                    self._end(what, begun)

    def _activation(self, what: str, event: Any) -> None:
        around = self._paths[event.frame]
        is_alone = bool(around) and around[-1] == event.node
        if is_alone or ("node", event.frame, event.activation) in self._refused:
            return
        act = (0, event.frame, event.activation)
        path = (*around, event.node)
        self.trace.append(Happening(what, path, act, None, self._scope(event)))

    def _end(self, what: str, begun: Happening) -> None:
        self.trace.append(Happening(what, begun.path, begun.act, None, begun.scope))

    def _scope(self, event: Any) -> Scope:
        above = event.activation if event.frame == 0 else self._above[event.frame]
        return self._scopes.get(above, ())


def _is_refusal(error: BaseException, name: str) -> bool:
    return isinstance(error, ClaimRefused | ClaimBroken) and getattr(error, "node", "") == name


async def broken_claims(graph: Graph[Any, Any], seed: int) -> set[Claim]:
    """The claims that a run with the model of this number has broken, by what it told while it went on."""
    run = graph.start("hi", model=random_model(seed), limits=Limits(steps=400, depth=3))
    # In the order in which it was told: a record tells of a beginning when it was due.
    told = [event async for event in run]
    await run.settled()
    trace = Witness(told).trace
    slots = {slot.name: slot.index for slot in graph.program.slots}
    broken: set[Claim] = set()
    for claim in CLAIMS:
        parts = [trace]
        if claim.per is not None:
            inside = branches_of(trace, claim.per, slots[claim.per])
            inside.pop(())
            parts = list(inside.values())
        if not all(holds(claim, part, str(run.status)) for part in parts):
            broken.add(claim)
    return broken
