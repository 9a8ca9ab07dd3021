"""One turn of a model: what it is offered, and how the calls it asks for are carried out.

Rules:
1. Calls run at once, at most so many; a call of something that is not safe to run beside others waits for those before
   it, and those after it wait for it. Results go back in the order of the calls.
2. A call that fails, is unknown, or is refused is an error result of that very call. A limit of the agent's own frame is
   the end of the agent.
3. A hand-over comes last: first the other calls of the turn are carried out, then the walk moves on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from pydantic_core import from_json

from graphflow.declaration.handoffs import Handoff, Handover
from graphflow.declaration.node import AnyNode, Context
from graphflow.errors import LimitExceeded, NotReachable
from graphflow.events import HandedOver
from graphflow.kinds.tool import OUTPUT_LIMIT, cut, read_for, result_text, spec_of
from graphflow.messages.media import Media, media_in, without_media
from graphflow.messages.message import error_text
from graphflow.model.reply import Reply
from graphflow.model.seam import ToolSpec
from graphflow.model.turns import AssistantTurn, ToolCall, ToolResult, ToolTurn, Turn
from graphflow.redaction import scrub

_BROKEN_OFF = {
    "length": "the call was cut off at the token limit (write less)",
    "content_filter": "the call was cut off by a content filter",
}
"""What is said of a call that is not whole, by how its answer broke off."""


class Offer:
    """What a model may call in one turn.

    Attributes:
        nodes: what the agent can reach.
        handoffs: whom it can hand over to, by the name of the tool that does it.
        specs: all of these as the model sees them.
    """

    __slots__ = ("handoffs", "hidden", "nodes", "specs")

    def __init__(self, agent: AnyNode, nodes: Sequence[AnyNode], pairs: Sequence[Any], ctx: Context) -> None:
        self.nodes = nodes
        self.handoffs: dict[str, tuple[Handoff, AnyNode]] = {pair[0].tool: pair for pair in pairs}
        self.specs = (*(self._spec(node, ctx) for node in nodes), *(_spec_of_handoff(*pair) for pair in pairs))
        self.hidden = {callee if isinstance(callee, str) else callee.name for callee in agent.calls}
        """Names there is an edge to, whether they are offered now or not: the walk itself refuses those."""

    def _spec(self, node: AnyNode, ctx: Context) -> ToolSpec:
        """The node as the model sees it; one that calls others for it tells which it can call here."""
        within = getattr(node, "spec_within", None)
        if within is None:
            return spec_of(node)
        spec: ToolSpec = within(ctx.frame.reachable(node, ctx))
        return spec

    def find(self, name: str) -> AnyNode | None:
        """The node of that name."""
        return next((node for node in self.nodes if node.name == name), None)


def _spec_of_handoff(handoff: Handoff, target: AnyNode) -> ToolSpec:
    spec = spec_of(target)
    about = handoff.description or target.description
    return ToolSpec(
        handoff.tool, f"Hand over to {handoff.name}, for good." + (f" {about}" if about else ""), spec.parameters
    )


async def carry_out(
    reply: Reply, offer: Offer, ctx: Context, said: Sequence[Turn], max_parallel_calls: int
) -> tuple[ToolResult, ...] | Handover:
    """The results of one turn's calls in their order, or the hand-over that one of them is."""
    calls = reply.calls
    done = _cut_off(reply, ctx)
    turn_is_whole = not done
    handing = [n for n, call in enumerate(calls) if call.name in offer.handoffs and n not in done]
    others = [n for n, call in enumerate(calls) if call.name not in offer.handoffs and n not in done]
    done |= zip(others, await _results([calls[n] for n in others], offer, ctx, max_parallel_calls), strict=True)
    if len(handing) == 1 and turn_is_whole:
        handed = _hand_over(reply, handing[0], offer, ctx, said, done)
        if handed is not None:
            return handed
    elif handing:
        why = "you can hand over to one only" if turn_is_whole else "another call of this turn was cut off"
        for n in handing:
            done[n] = ToolResult(calls[n].id, calls[n].name, f"{why}; nothing was handed over", ok=False)
    return tuple(done[n] for n in range(len(calls)))


def _cut_off(reply: Reply, ctx: Context) -> dict[int, ToolResult]:
    """The refusals of calls that may not be whole, by their place in the turn.

    Where an answer broke off, a call without arguments is no call with the defaults: its arguments had not come yet. And
    wires whose arguments are objects show one that was cut as an empty object.
    """
    why = _BROKEN_OFF.get(reply.finish)
    if why is None:
        return {}
    text = f"{why} in an answer of agent {ctx.node.name!r}; nothing was called"
    return {
        n: ToolResult(call.id, call.name, text, ok=False)
        for n, call in enumerate(reply.calls)
        if not has_arguments(call)
    }


def has_arguments(call: ToolCall) -> bool:
    """Whether a call's arguments are a whole object with something in it."""
    try:
        data = from_json(call.arguments)
    except ValueError:
        return False
    return isinstance(data, dict) and bool(data)


def _hand_over(
    reply: Reply, at: int, offer: Offer, ctx: Context, said: Sequence[Turn], done: dict[int, ToolResult]
) -> Handover | None:
    """The hand-over that the call at this place is; None if it is not possible, and `done` tells the model why."""
    call = reply.calls[at]
    handoff, target = offer.handoffs[call.name]
    try:
        message = read_for(target, _spelled(call))
        ctx.frame.permit(ctx, target, message)
    except Exception as error:
        done[at] = _failed(call, error)
        return None
    ctx.frame.record(HandedOver, ctx.activation, node=ctx.node.name, target=target.name)
    return Handover(target.name, message, _so_far(reply, done, said) if handoff.conversation else ())


def _so_far(reply: Reply, done: dict[int, ToolResult], said: Sequence[Turn]) -> tuple[Turn, ...]:
    """The conversation that travels: without the call that hands it over, which nobody answers."""
    if not done:
        return (*said, *([AssistantTurn(reply.text)] if reply.text else []))
    answered = sorted(done)
    turn = AssistantTurn(reply.text, tuple(reply.calls[n] for n in answered))
    return (*said, turn, ToolTurn(tuple(done[n] for n in answered)))


async def _results(
    calls: Sequence[ToolCall], offer: Offer, ctx: Context, max_parallel_calls: int
) -> tuple[ToolResult, ...]:
    if len(calls) == 1:
        return (await _one(calls[0], offer, ctx),)
    results: list[ToolResult] = []
    for group in _groups(calls, offer):
        results += await _together([lambda call=call: _one(call, offer, ctx) for call in group], max_parallel_calls)  # type: ignore[misc]  # mypy cannot type a lambda's default
    return tuple(results)


def _groups(calls: Sequence[ToolCall], offer: Offer) -> list[list[ToolCall]]:
    """The calls in order, cut around each that must not run beside others."""
    groups: list[list[ToolCall]] = []
    joining = False
    for call in calls:
        node = offer.find(call.name)
        safe = node is None or node.concurrency_safe
        if safe and joining:
            groups[-1].append(call)
        else:
            groups.append([call])
        joining = safe
    return groups


async def _together(jobs: Sequence[Callable[[], Any]], max_parallel_calls: int) -> list[ToolResult]:
    if len(jobs) == 1:
        return [await jobs[0]()]
    gate = asyncio.Semaphore(max_parallel_calls)

    async def work(job: Callable[[], Any]) -> ToolResult:
        async with gate:
            result: ToolResult = await job()
            return result

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work(job)) for job in jobs]
    except BaseExceptionGroup as several:
        raise _first(several) from None
    return [task.result() for task in tasks]


async def _one(call: ToolCall, offer: Offer, ctx: Context) -> ToolResult:
    node = offer.find(call.name)
    limit = getattr(node, "output_limit", OUTPUT_LIMIT)
    try:
        if node is None and call.name not in offer.hidden:
            have = ", ".join([*(n.name for n in offer.nodes), *offer.handoffs]) or "nothing"
            raise NotReachable(f"there is no tool named {call.name!r}; you can call: {have}")
        spelled = _spelled(call)
        answer: Any = await ctx.frame.call(ctx, call.name, spelled, read_for)
        return ToolResult(call.id, call.name, _shown(call.name, answer, limit))
    except LimitExceeded as error:
        if ctx.frame.ends(error):
            raise
        return _failed(call, error, limit)
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise  # we are to stop; else the tool awaited something that somebody else has cancelled
        return ToolResult(call.id, call.name, f"the tool was cancelled: {error}", ok=False)
    except Exception as error:
        return _failed(call, error, limit)


def _spelled(call: ToolCall) -> str:
    return "{}" if call.arguments.strip() in ("", "null") else call.arguments


def _failed(call: ToolCall, error: BaseException, limit: int = OUTPUT_LIMIT) -> ToolResult:
    return ToolResult(call.id, call.name, cut(scrub(f"{type(error).__name__}: {error_text(error)}"), limit), ok=False)


def _shown(node: str, answer: Any, limit: int) -> str | tuple[str | Media, ...]:
    """What a model reads of a node's answer, and what it looks at."""
    media = () if type(answer) is str else _media(answer)
    if not media:
        return result_text(node, answer, limit)
    if isinstance(answer, list) and all(isinstance(part, (str, Media)) for part in answer):
        return tuple(part if isinstance(part, Media) else result_text(node, part, limit) for part in answer)
    return media if isinstance(answer, Media) else (result_text(node, without_media(answer), limit), *media)


def _media(answer: Any) -> tuple[Media, ...]:
    try:
        return tuple(media_in(answer))
    except RecursionError:  # it holds itself; what cannot be written is told by `result_text`
        return ()


def _first(several: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = several.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
