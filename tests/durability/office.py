"""A run with everything in it that may be torn apart, and a worker that takes up whatever run nobody owns.

    START >> plan - each -> researcher >> gather >> critic (a loop) >> (bill, mail) >> file >> END
                              |     |
                       tools: note  expert (a sub-agent with a tool of its own)
                       and weigh

What it does to the world stands in a ledger outside of the store: a file to which each effect adds one line in one write.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from graphflow import END, START, Agent, Context, Graph, node, tool
from graphflow.errors import LeaseLost, RunOwned, StoreUnreachable
from graphflow.journal.store import Store
from graphflow.model.seam import CallDelta, Finished, ModelEvent, Request, TextDelta, UsageDelta
from graphflow.model.turns import ToolTurn, UserTurn
from graphflow.run import Run

MAX_PAUSE_S = 0.01
"""So long an effect or an answer takes at most."""


class Order(BaseModel, frozen=True):
    run: str
    parts: int = 3


class Part(BaseModel, frozen=True):
    run: str
    name: str


class Finding(BaseModel, frozen=True):
    name: str
    receipts: list[str]


class Draft(BaseModel, frozen=True):
    run: str
    text: str
    laps: int = 0


class Good(BaseModel, frozen=True):
    run: str
    text: str


# -- the ledger ------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Entry:
    """A line of the ledger.

    Attributes:
        run: which run it was done for.
        key: under which key; of a question to the model, its digest.
        what: which effect.
        process: by which process.
        sitting: in which sitting of the run.
    """

    run: str
    key: str
    what: str
    process: int
    sitting: int


class Desk:
    """What effects are done with: the dependencies of a run."""

    def __init__(self, ledger: Path) -> None:
        self.ledger = ledger

    def write(self, entry: Entry) -> None:
        """One write to a file that is only added to: no other process's line gets in between."""
        line = json.dumps(vars(entry)) + "\n"
        handle = os.open(self.ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(handle, line.encode())
        finally:
            os.close(handle)


def entries_of(ledger: Path) -> list[Entry]:
    """What stands in a ledger."""
    if not ledger.exists():
        return []
    return [Entry(**json.loads(line)) for line in ledger.read_text().splitlines()]


def sitting_of(ctx: Context) -> int:
    """The number of the sitting that a node is in."""
    frame: Any = ctx.frame
    past = frame.shared.past
    return 1 if past is None else past.sittings + 1


async def act(ctx: Context, what: str) -> str:
    """Does something to the world; the receipt says under which key."""
    frame: Any = ctx.frame
    key = ctx.key
    ctx.deps.write(Entry(frame.shared.run.id, key, what, os.getpid(), sitting_of(ctx)))
    await asyncio.sleep(random.random() * MAX_PAUSE_S)
    return f"{what}:{key}"


# -- the graph -------------------------------------------------------------------------------------
@tool(effects=["writes"])
async def note(name: str, ctx: Context) -> str:
    """Notes a part down."""
    return await act(ctx, f"note {name}")


@tool
async def weigh(name: str, ctx: Context) -> str:
    """Weighs a part; nobody has said whether that does something."""
    return await act(ctx, f"weigh {name}")


@tool(effects=[])
async def look(name: str) -> str:
    """Looks a part up, which does nothing."""
    await asyncio.sleep(0)
    return f"{name} is a part"


@node(effects=[])
async def plan(order: Order) -> list[Part]:
    return [Part(run=order.run, name=f"part{number}") for number in range(order.parts)]


expert = Agent(
    "expert", input=Part, output=str, tools=[weigh], prompt="Judge {{ name }} of {{ run }}"
)
researcher = Agent(
    "researcher",
    input=Part,
    output=Finding,
    tools=[note, look],
    sub_agents=[expert],
    prompt="Research {{ name }} of {{ run }}",
)


@node(effects=[])
async def gather(findings: list[Finding], order: Order, ctx: Context) -> Draft:
    chance = ctx.random().random()
    text = " ".join(receipt for finding in findings for receipt in finding.receipts)
    return Draft(run=order.run, text=f"{text} {chance} {ctx.new_id()}")


@node(effects=["writes"])
async def critic(draft: Draft, ctx: Context) -> Draft | Good:
    receipt = await act(ctx, f"review {draft.laps}")
    text = f"{draft.text} {receipt}"
    if draft.laps < 2:
        return Draft(run=draft.run, text=text, laps=draft.laps + 1)
    return Good(run=draft.run, text=text)


@node(effects=[])
async def better(draft: Draft) -> Draft:
    await asyncio.sleep(random.random() * MAX_PAUSE_S)
    return draft


@node(effects=["network"])
async def bill(good: Good, ctx: Context) -> str:
    async def amount() -> str:
        return await act(ctx, "amount")

    once: str = await ctx.once("amount", amount)
    return f"{once} {await act(ctx, 'bill')}"


@node
async def mail(good: Good, ctx: Context) -> Part:
    return Part(run=good.run, name=await act(ctx, "mail"))


@node(effects=[])
async def file(billed: str, mailed: Part, good: Good) -> Good:
    return Good(run=good.run, text=f"{good.text} {billed} {mailed.name}")


office = Graph(
    "office",
    START >> plan,
    plan.each >> researcher >> gather,
    START >> gather,
    gather >> critic,
    critic[Draft].limit(5) >> better >> critic,
    critic[Good] >> (bill, mail, file),
    (bill, mail) >> file >> END,
)


# -- the model -------------------------------------------------------------------------------------
class Clerk:
    """A model that plays the researcher and the expert: what it answers follows from what it is shown.

    Args:
        desk: where its questions are written down.
    """

    name = "clerk"

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    async def stream(self, request: Request) -> AsyncIterator[ModelEvent]:
        first = request.turns[0]
        assert isinstance(first, UserTurn)
        doing, name, _, run = first.text.split()[:4]
        digest = sha256(repr(request.turns).encode()).hexdigest()
        self.desk.write(Entry(run, digest, f"ask {doing} {name}", os.getpid(), 0))
        await asyncio.sleep(random.random() * MAX_PAUSE_S)
        results = [turn for turn in request.turns if isinstance(turn, ToolTurn)]
        if doing == "Judge":
            calls = [] if results else [("weigh", {"name": name})]
            text = f"judged {_texts(results)}"
        else:
            calls = self._steps(run, name)[len(results)] if len(results) < 3 else []
            text = json.dumps({"name": name, "receipts": _texts(results)})
        for index, (tool_name, arguments) in enumerate(calls):
            yield CallDelta(index, id=f"{digest[:8]}{index}", name=tool_name)
            yield CallDelta(index, arguments=json.dumps(arguments))
        if not calls:
            yield TextDelta(text)
        yield UsageDelta(10, 5, 0.001)
        yield Finished("tool_calls" if calls else "stop")

    def _steps(self, run: str, name: str) -> list[list[tuple[str, dict[str, str]]]]:
        part = {"run": run, "name": name}
        return [
            [("look", {"name": name}), ("note", {"name": name}), ("expert", part)],
            [("note", {"name": name}), ("note", {"name": f"{name}b"})],
            [("expert", part), ("note", {"name": name})],
        ]


def _texts(turns: list[ToolTurn]) -> list[str]:
    found: list[str] = []
    for turn in turns:
        for result in turn.results:
            found.append(result.text)
    return found


# -- the worker ------------------------------------------------------------------------------------
def order_of(run: str) -> Order:
    """What the run of that id is given."""
    return Order(run=run, parts=2 + len(run) % 2)


async def begin(store: Store, run: str, desk: Desk, lease_s: float) -> str:
    """Begins a run, or takes it up: how that ended."""
    options: Any = {
        "store": store,
        "id": run,
        "deps": desk,
        "model": Clerk(desk),
        "lease_s": lease_s,
    }
    return await _status(run, desk, office.run(order_of(run), **options))


async def adopt(store: Store, run: str, desk: Desk, lease_s: float) -> str:
    """Takes a run up, if nobody owns it: how that ended."""
    return await _status(
        run, desk, office.resume(run, store=store, deps=desk, model=Clerk(desk), lease_s=lease_s)
    )


async def _status(run: str, desk: Desk, running: Coroutine[Any, Any, Run[Any]]) -> str:
    try:
        ended = await running
    except RunOwned as owned:
        return type(owned).__name__
    except (LeaseLost, StoreUnreachable) as error:
        how = type(error).__name__
    else:
        how = ended.status
    desk.write(Entry(run, "", f"end {how}", os.getpid(), 0))
    return how


async def work(
    address: str, desk: Desk, *, lease_s: float, enough: Path, at_once: int = 1, seed: float = 0.0
) -> None:
    """Takes up runs that nobody owns, and begins new ones until there are enough; ends when all are done.

    Args:
        address: of the store.
        desk: what effects are done with.
        lease_s: seconds that each run is owned.
        enough: a file; when it is there, no new runs are begun.
        at_once: runs at a time.
        seed: of what is chosen at random.
    """
    choose = random.Random(seed)
    async with Store.open(address) as store:
        await asyncio.gather(
            *[_serve(store, desk, lease_s, enough, choose) for _ in range(at_once)]
        )


async def _serve(
    store: Store, desk: Desk, lease_s: float, enough: Path, choose: random.Random
) -> None:
    while True:
        begins_more = not os.path.exists(enough)  # noqa: ASYNC240  # a file that is there or not takes no time
        going_on = await store.runs(status="running")
        choose.shuffle(going_on)
        for header in going_on:
            await adopt(store, header.id, desk, lease_s)
        if begins_more:
            number = len(await store.runs())
            await begin(store, f"order{number}", desk, lease_s)
        elif not going_on:
            return
        else:
            await asyncio.sleep(lease_s / 10)


async def undisturbed(run: str, ledger: Path) -> Run[Any]:
    """The run of that id as it goes if nobody disturbs it."""
    desk = Desk(ledger)
    return await office.run(order_of(run), store="memory:", id=run, deps=desk, model=Clerk(desk))
