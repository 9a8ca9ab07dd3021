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
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

from pydantic_core import from_json

from graphflow.declaration.background import Background
from graphflow.declaration.context import Context
from graphflow.declaration.handoffs import Handoff, Handover
from graphflow.declaration.node import AnyNode
from graphflow.errors import LimitExceeded, NotReachable
from graphflow.events import HandedOver
from graphflow.kinds.tool import OUTPUT_LIMIT, read_for, result_text, spec_of, truncate
from graphflow.messages.fences import fenced_text
from graphflow.messages.media import Media, media_in, without_media
from graphflow.messages.message import error_text
from graphflow.model.reply import Reply
from graphflow.model.seam import ToolSpec
from graphflow.model.turns import AssistantTurn, ToolCall, ToolResult, ToolTurn, Turn
from graphflow.redaction import scrub

Readable: TypeAlias = str | tuple[str | Media, ...]
"""What a model reads of an answer, and looks at."""
CallJob: TypeAlias = Callable[[], Awaitable[ToolResult]]

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

    __slots__ = ("_open", "handoffs", "hidden", "nodes", "specs")

    def __init__(
        self, agent: AnyNode, nodes: Sequence[AnyNode], pairs: Sequence[Any], ctx: Context
    ) -> None:
        self.nodes = nodes
        self.handoffs: dict[str, tuple[Handoff, AnyNode]] = {}
        self.hidden: set[str] = set()
        """Names there is an edge to, whether they are offered now or not: the walk itself refuses those."""
        specs = [self._spec(node, ctx) for node in nodes]
        for handoff, target in pairs:
            self.handoffs[handoff.tool] = (handoff, target)
            specs.append(_spec_of_handoff(handoff, target))
        self.specs = tuple(specs)
        self._open: dict[frozenset[str], tuple[ToolSpec, ...]] = {}
        """What is left of them without those of these names."""
        for callee in agent.calls:
            name = callee if isinstance(callee, str) else callee.name
            self.hidden.add(name)
        self.hidden -= getattr(agent, "unoffered", frozenset())  # an edge that is not its model's

    def _spec(self, node: AnyNode, ctx: Context) -> ToolSpec:
        """The node as the model sees it; one that calls others for it tells which it can call here."""
        within = getattr(node, "spec_within", None)
        if within is None:
            return spec_of(node)
        reachable = ctx.frame.reachable(node, ctx)
        spec: ToolSpec = within(reachable)
        return spec

    def open(self, ctx: Context) -> tuple[ToolSpec, ...]:
        """What is offered now: all but the tools that a claim forbids, which are known all the same."""
        closed = ctx.frame.closed(ctx, self.nodes, self.handoffs.values())
        if not closed:
            return self.specs
        known = self._open.get(closed)
        if known is None:
            known = tuple([spec for spec in self.specs if spec.name not in closed])
            self._open[closed] = known
        return known

    def find(self, name: str) -> AnyNode | None:
        """The node of that name."""
        for node in self.nodes:
            if node.name == name:
                return node
        return None

    def check(self, name: str) -> None:
        """Refuses a name that the agent has no edge to.

        Raises:
            NotReachable: there is none; the text lists those there are.
        """
        if name in self.hidden:
            return
        names = [node.name for node in self.nodes]
        names += self.handoffs
        have = ", ".join(names) or "nothing"
        raise NotReachable(f"there is no tool named {name!r}; you can call: {have}")


def _spec_of_handoff(handoff: Handoff, target: AnyNode) -> ToolSpec:
    about = f"Hand over to {handoff.name}, for good."
    description = handoff.description or target.description
    if description:
        about += f" {description}"
    parameters = spec_of(target).parameters
    return ToolSpec(handoff.tool, about, parameters)


async def carry_out(
    reply: Reply, offer: Offer, ctx: Context, earlier: Sequence[Turn], max_parallel_calls: int
) -> tuple[ToolResult, ...] | Handover:
    """The results of one turn's calls in their order, or the hand-over that one of them is.

    `earlier` is what was said before this turn, for whom the walk is handed over to.
    """
    calls = reply.calls
    if not offer.handoffs and reply.finish not in _BROKEN_OFF:  # nearly every turn
        return await _results(calls, offer, ctx, max_parallel_calls)
    results = _cut_off(reply, ctx)
    # Of a turn that was cut nobody knows what else it would have called.
    turn_is_whole = not results
    handing: list[int] = []
    others: list[int] = []
    for place, call in enumerate(calls):
        if place in results:
            continue
        if call.name in offer.handoffs:
            handing.append(place)
        else:
            others.append(place)
    wanted = [calls[place] for place in others]
    answers = await _results(wanted, offer, ctx, max_parallel_calls)
    results |= zip(others, answers, strict=True)
    if len(handing) == 1 and turn_is_whole:
        handover = _hand_over(reply, handing[0], offer, ctx, earlier, results)
        if handover is not None:
            return handover
    elif handing:
        why = "another call of this turn was cut off"
        if turn_is_whole:
            why = "you can hand over to one only"
        for place in handing:
            results[place] = _refusal(calls[place], f"{why}; nothing was handed over")
    in_order = [results[place] for place in range(len(calls))]
    return tuple(in_order)


def _refusal(call: ToolCall, text: str) -> ToolResult:
    return ToolResult(call.id, call.name, text, ok=False)


def _cut_off(reply: Reply, ctx: Context) -> dict[int, ToolResult]:
    """The refusals of calls that may not be whole, by their place in the turn.

    Where an answer broke off, a call without arguments is not one with the defaults: its arguments had not come yet. And
    wires whose arguments are objects show one that was cut as an empty object.
    """
    why = _BROKEN_OFF.get(reply.finish)
    if why is None:
        return {}
    text = f"{why} in an answer of agent {ctx.node.name!r}; nothing was called"
    refusals: dict[int, ToolResult] = {}
    for place, call in enumerate(reply.calls):
        if not has_arguments(call):
            refusals[place] = _refusal(call, text)
    return refusals


def has_arguments(call: ToolCall) -> bool:
    """Whether a call's arguments are a whole object with something in it."""
    try:
        data = from_json(call.arguments)
    except ValueError:
        return False
    if not isinstance(data, dict):
        return False
    return bool(data)


def _hand_over(
    reply: Reply,
    place: int,
    offer: Offer,
    ctx: Context,
    earlier: Sequence[Turn],
    results: dict[int, ToolResult],
) -> Handover | None:
    """The hand-over that the call at this place is; None if it is not possible, and `results` tell the model why."""
    call = reply.calls[place]
    handoff, target = offer.handoffs[call.name]
    try:
        message = read_for(target, _arguments(call))
        ctx.frame.permit(ctx, target, message)  # a hand-over is judged like a call
    except Exception as error:
        results[place] = _failure(call, error)
        return None
    event = HandedOver(*ctx.stamp, ctx.node.name, target.name)
    ctx.frame.tell_once(ctx, event, "hand over", target.name)
    turns: tuple[Turn, ...] = ()
    if handoff.conversation:
        turns = _conversation(reply, results, earlier)
    return Handover(target.name, message, turns)


def _conversation(
    reply: Reply, results: dict[int, ToolResult], earlier: Sequence[Turn]
) -> tuple[Turn, ...]:
    """The conversation that travels: without the call that hands it over, which nobody answers."""
    places = sorted(results)
    calls = tuple([reply.calls[place] for place in places])
    answers = tuple([results[place] for place in places])
    turn = AssistantTurn(reply.text, calls)
    if calls:
        return (*earlier, turn, ToolTurn(answers))
    if reply.text:
        return (*earlier, turn)
    return tuple(earlier)


async def _results(
    calls: Sequence[ToolCall], offer: Offer, ctx: Context, max_parallel_calls: int
) -> tuple[ToolResult, ...]:
    if len(calls) == 1:  # the usual turn: no task, no gate
        return (await _call(calls[0], offer, ctx),)
    if ctx.states is None:
        return await _results_of_several(calls, offer, ctx, max_parallel_calls)
    with ctx.states.turn():
        return await _results_of_several(calls, offer, ctx, max_parallel_calls)


async def _results_of_several(
    calls: Sequence[ToolCall], offer: Offer, ctx: Context, max_parallel_calls: int
) -> tuple[ToolResult, ...]:
    results: list[ToolResult] = []
    for group in _groups(calls, offer):
        jobs = [partial(_call, call, offer, ctx) for call in group]
        results += await _together(jobs, max_parallel_calls)
    return tuple(results)


def _groups(calls: Sequence[ToolCall], offer: Offer) -> list[list[ToolCall]]:
    """The calls in order, cut around each that must not run beside others."""
    groups: list[list[ToolCall]] = []
    joining = False
    for call in calls:
        node = offer.find(call.name)
        safe = node is None or node.concurrency_safe  # an unknown name only makes an error
        if safe and joining:
            groups[-1].append(call)
        else:
            groups.append([call])
        joining = safe
    return groups


async def _together(jobs: Sequence[CallJob], max_parallel_calls: int) -> list[ToolResult]:
    if len(jobs) == 1:
        return [await jobs[0]()]
    gate = asyncio.Semaphore(max_parallel_calls)

    async def work(job: CallJob) -> ToolResult:
        async with gate:
            return await job()

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work(job)) for job in jobs]
    except BaseExceptionGroup as several:
        # Results are errors of calls; what is raised is the end of the agent.
        raise _first(several) from None
    return [task.result() for task in tasks]


async def _call(call: ToolCall, offer: Offer, ctx: Context) -> ToolResult:
    """The result of one call; a failure is a result, too.

    Raises:
        LimitExceeded: the agent's own frame has reached a limit.
    """
    node = offer.find(call.name)
    limit = getattr(node, "output_limit", OUTPUT_LIMIT)
    try:
        if node is None:
            offer.check(call.name)
        answer = await ctx.frame.call(ctx, call.name, _arguments(call), read_for)
        readable = _readable(call.name, answer, limit)
        shown = _between_fences(node, readable)
        return ToolResult(call.id, call.name, shown)
    except LimitExceeded as error:
        if ctx.frame.ends(error):
            raise
        return _failure(call, error, limit)
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            # We are to stop; else the tool awaited something that somebody else has cancelled.
            raise
        return _refusal(call, f"the tool was cancelled: {error}")
    except Exception as error:
        return _failure(call, error, limit)


def _arguments(call: ToolCall) -> str:
    text = call.arguments.strip()
    if text in ("", "null"):
        return "{}"
    return call.arguments


def _failure(call: ToolCall, error: BaseException, limit: int = OUTPUT_LIMIT) -> ToolResult:
    kind = type(error).__name__
    # The text goes to the model and into its history: a key that an error quotes must not.
    text = scrub(f"{kind}: {error_text(error)}")
    return _refusal(call, truncate(text, limit))


def _readable(node: str, answer: Any, limit: int) -> str | tuple[str | Media, ...]:
    """What a model reads of a node's answer, and what it looks at."""
    if isinstance(answer, Background):
        # As it stands when it has just begun: after a crash the model has to be shown the same, and it may have ended by then.
        answer = {"handle": answer.handle, "node": answer.node, "status": "running"}
    media = () if type(answer) is str else _media(answer)
    if not media:
        return result_text(node, answer, limit)
    if isinstance(answer, Media):
        return media
    if not _is_parts(answer):
        rest = without_media(answer)
        text = result_text(node, rest, limit)
        return (text, *media)
    parts: list[str | Media] = []
    for part in answer:
        if isinstance(part, str):
            part = result_text(node, part, limit)
        parts.append(part)
    return tuple(parts)


def _between_fences(node: AnyNode | None, readable: Readable) -> Readable:
    """What a model reads of an answer: if it is from outside, its texts between fences that they cannot close."""
    if node is None or not node.untrusted:
        return readable
    if isinstance(readable, str):
        return fenced_text(readable)
    parts: list[str | Media] = []
    for part in readable:
        if isinstance(part, str):
            part = fenced_text(part)
        parts.append(part)
    return tuple(parts)


def _is_parts(answer: object) -> bool:
    """Whether an answer is texts and media in the order in which a model shall read them."""
    if not isinstance(answer, list):
        return False
    return all(isinstance(part, (str, Media)) for part in answer)


def _media(answer: Any) -> tuple[Media, ...]:
    try:
        return tuple(media_in(answer))
    except RecursionError:  # it holds itself; what cannot be written is told by `result_text`
        return ()


def _first(several: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = several.exceptions[0]
    if isinstance(inner, BaseExceptionGroup):
        return _first(inner)
    return inner
