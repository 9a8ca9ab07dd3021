"""Arrows that mypy accepts, with the types it infers. Checked by mypy, never run."""

from typing import Literal, assert_type

from pydantic import BaseModel

from graphflow import END, START, Agent, Context, Failure, Graph, Router, Run, node
from graphflow.declaration.arrows import Path
from graphflow.kinds.step import FunctionNode


class Question(BaseModel):
    text: str


class Finding(BaseModel):
    claim: str


class Draft(BaseModel):
    text: str


class Approved(BaseModel):
    text: str


class Rejected(BaseModel):
    why: str


@node
async def plan(q: Question) -> list[Question]:
    return [q]


@node
async def research(q: Question) -> Finding:
    return Finding(claim=q.text)


@node
def merge(findings: list[Finding]) -> Draft:
    return Draft(text="")


@node(timeout_s=5)
async def critic(d: Draft) -> Approved | Rejected:
    return Approved(text=d.text)


@node
async def write(r: Rejected) -> Draft:
    return Draft(text=r.why)


@node
async def pair(f: Finding, d: Draft) -> str:
    return f.claim + d.text


@node
async def sort(d: Draft) -> Literal["short"] | Approved:
    return "short"


writer = Agent("writer", input=Rejected, output=Draft, prompt="{{ why }}")
chat = Agent("chat", prompt="{{ text }}")
judge: Agent[Draft, Approved | Rejected] = Agent("judge", input=Draft, output=Approved | Rejected, prompt="{{ text }}")
lengths: Router[Draft, Draft] = Router("lengths", labels=["short", "long"])

assert_type(plan, FunctionNode[Question, list[Question]])
assert_type(critic, FunctionNode[Draft, Approved | Rejected])
assert_type(writer, Agent[Rejected, Draft])
assert_type(plan.each >> research, Path[Question, Finding])
assert_type(plan.each >> research >> merge >> critic, Path[Question, Approved | Rejected])
assert_type(critic[Rejected].limit(3) >> writer >> critic, Path[Draft, Approved | Rejected])
assert_type(START >> plan, Path[Question, list[Question]])

desk = Graph("desk", START >> plan >> END)
assert_type(desk, Graph[Question, list[Question]])


async def run() -> None:
    done = await desk.run(Question(text="x"))
    assert_type(done, Run[list[Question]])
    assert_type(done.output, list[Question])
    await desk.run({"text": "x"})  # plain data becomes a message
    assert_type(await desk.live().run(Question(text="x")), Run[list[Question]])
    await Graph("all", START >> merge >> END).run([{"claim": "x"}])


fan = START >> research >> merge.named("m")
whole = Graph("whole", START >> plan, plan.each >> research >> merge >> critic, critic[Rejected] >> write >> critic, critic[Approved] >> END)
critic[Failure] >> END
critic[Approved | Rejected] >> END
sort["short"] >> END
sort[Approved] >> END
lengths["short"] >> critic
judge[Rejected] >> write
nested = Graph("nested", START >> desk >> END)
(research, merge) >> pair


async def alone() -> None:
    counted = Agent("counted", input=Question, output=Draft)
    assert_type(await counted.run(Question(text="")), Run[Draft])
    assert_type(Agent("words").run_sync(""), Run[str])


@node
async def typed(q: Question, ctx: Context[Draft]) -> str:
    assert_type(ctx.deps, Draft)
    return ctx.deps.text


@node
async def untyped(q: Question, ctx: Context) -> str:
    return str(ctx.deps.anything)


assert_type(Graph("typed", START >> typed >> END), Graph[Question, str])
