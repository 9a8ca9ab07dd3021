"""Asking a model from inside a walk: the one way in which every node does it.

Every question is a step of the walk's accounts: charged before, counted after, told while it goes.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from time import perf_counter
from typing import Any, Literal

from graphflow.compaction.tokens import least_tokens
from graphflow.concurrency import let_timers_stop
from graphflow.contexts import within
from graphflow.declaration.context import Context
from graphflow.errors import ContentFiltered, LimitExceeded, ModelError, Refused
from graphflow.events import (
    CostUnknown,
    FirstToken,
    ModelDelta,
    ModelFailed,
    ModelFinished,
    ModelPartial,
    ModelRetried,
    ModelStarted,
    ModelSwitched,
)
from graphflow.journal.detail import NO_DETAIL, Detail
from graphflow.kinds.model_hooks import changed_reply, changed_request
from graphflow.kinds.stream_gate import StreamGate
from graphflow.kinds.wire_names import NO_NAMES, WireNames
from graphflow.model.digest import digest_of
from graphflow.model.reply import Reply, ReplyBuilder, gather, join_surrogates
from graphflow.model.seam import (
    CallDelta,
    Finished,
    Model,
    ModelEvent,
    Notice,
    Request,
    Restarted,
    Retried,
    TextDelta,
    ThinkingDelta,
    ToolSpec,
)
from graphflow.model.turns import ToolTurn
from graphflow.redaction import scrub
from graphflow.trace_context import context_of

SHOWN_LENGTH = 16
"""Digits of the digest that events have of what a model was shown."""


async def ask(
    model: Model,
    request: Request,
    ctx: Context,
    *,
    partial: bool = False,
    names: WireNames | None = None,
    offered: tuple[ToolSpec, ...] | None = None,
    quiet: bool = False,
) -> Reply:
    """One question to a model.

    Args:
        model: who is asked.
        request: the question.
        ctx: the node that asks.
        partial: whether the answer is an object that is shown to listeners while it grows.
        names: of what it may call; the request has them as the user wrote them, and so has the reply.
        offered: those of its tools that are offered now; None = all. The question is known by all of them: what others
            have done meanwhile does not make it another one.
        quiet: whether listeners are not told the pieces of the answer, since it is none of the node's.

    Raises:
        ModelError: the model did not answer, or declined to.
    """
    request = _without_secrets(request, ctx)
    # A deadline that is over by now stops the walk before anything is paid for.
    await let_timers_stop()
    frame, name = ctx.frame, ctx.node.name
    detail = NO_DETAIL
    shown = ""
    if frame.is_recorded:
        shown = digest_of(request)
        detail = _detail_of(shown, ctx)
        known = _known_reply(detail.place, ctx)
        if known is not None:
            return known
    if ctx.node.hooks.before_model:
        request, shown = await _changed(request, shown, ctx)
    # Refused here, before anything is sent, if a limit is reached, or would be for certain.
    _check_length(request, ctx)
    number = frame.charge_model_call(ctx.node)
    budgets = frame.budgets
    hold = None if budgets is None else await budgets.hold(model, least_tokens(request), ctx)
    started = frame.clock()
    turns = len(request.turns)
    started_event = ModelStarted(*ctx.stamp, name, model.name, number, turns, shown[:SHOWN_LENGTH])
    frame.tell(started_event, detail)
    listen = _listener(ctx, number, partial=partial, quiet=quiet)
    gate = listen if isinstance(listen, StreamGate) else None
    builder = _builder_for(model, started, number, ctx)
    try:
        request = _offering(offered, request)
        sent = request if names is None else names.sent(request)
        # What it is asked by, and whoever asks something on its behalf, belong to the span of this question.
        work = _reply_of(model.stream(sent), ctx, listen, builder)
        reply = await within(context_of("model", 0, number), work)
        if names is not None:
            names.read(reply)
        reply = await changed_reply(reply, ctx)
    except BaseException as error:
        part = _count_failed(error, builder, model, started, number, ctx, detail, gate)
        _read_names(names, error)
        if hold is not None:
            await hold.break_off(error, part)
        raise
    unpriced = _count(builder, model, started, number, ctx, detail, gate, reply)
    if hold is not None:
        await hold.settle(reply, ctx)
    if unpriced is not None:
        raise unpriced
    if detail is not NO_DETAIL:
        await frame.keep_record()  # it has cost money
    return reply


async def _changed(request: Request, shown: str, ctx: Context) -> tuple[Request, str]:
    """What the hooks of a node have made of a request, and its digest, where one is kept."""
    changed = await changed_request(request, ctx)
    request = _without_secrets(changed, ctx)
    if shown:
        shown = digest_of(request)
    return request, shown


def _check_length(request: Request, ctx: Context) -> None:
    """Refuses a question that is longer for certain than what is left of the tokens that models may read."""
    ledger = ctx.frame.ledger
    # Nobody counts what nobody limits.
    if ledger.metered("input_tokens"):
        least = least_tokens(request)
        ledger.check_input(least)


def _without_secrets(request: Request, ctx: Context) -> Request:
    """A request as the model may see it: prompts are made of more than messages (of `deps`, of what was shown before)."""
    mask = ctx.frame.mask
    if mask is None:
        return request
    from graphflow.model.masking import masked_request  # who has no secrets never loads it

    note = mask.noting(ctx.stamp, ctx.node.name)
    return masked_request(request, mask.secrets, note)


async def _reply_of(
    stream: AsyncIterator[ModelEvent],
    ctx: Context,
    listen: Callable[[ModelEvent], None] | None,
    builder: ReplyBuilder,
) -> Reply:
    """The reply, of which neither listeners nor the record see a secret."""
    mask = ctx.frame.mask
    if mask is None:
        return await gather(stream, listen, _noter(ctx), builder)
    from graphflow.model.masking import MaskedReply

    note = mask.noting(ctx.stamp, ctx.node.name)
    answer = MaskedReply(mask.secrets, note)
    try:
        reply = await gather(stream, listen, _noter(ctx), builder, answer)
    except Exception as error:
        if isinstance(error, ModelError) and error.partial is builder.reply:
            error.partial = answer.broken_off(builder)
        # It is told before its node has failed with it, and a provider may quote what it was sent.
        clean = mask.error(error, ctx.stamp, ctx.node.name)
        if clean is error:
            raise
        problem = clean
    else:
        answer.finish(reply, builder)
        mask.note_clean(reply.text)
        return reply
    raise problem


def _listener(
    ctx: Context, number: int, *, partial: bool, quiet: bool
) -> Teller | StreamGate | None:
    """What hears the words of a model: whoever listens to the run, behind the guards of the node."""
    # What is changed afterwards is not heard before.
    if quiet or ctx.node.hooks.after_model:
        return None
    teller = None
    if ctx.frame.observed and not ctx.aside:
        teller = Teller(ctx, number, partial=partial)
    if not ctx.node.after:
        return teller
    return StreamGate(ctx, teller, holds=partial)


def _offering(offered: tuple[ToolSpec, ...] | None, request: Request) -> Request:
    """A request that offers these of its tools, and forces none that is not among them."""
    if offered is None or offered is request.tools:
        return request
    settings = request.settings
    choice = settings.tool_choice
    if choice is not None and not _can_be_chosen(choice, offered):
        settings = replace(settings, tool_choice=None)
    # Anthropic and Bedrock refuse a conversation with calls in it that defines no tools at all. So if none were left, all are
    # offered: who calls one reads what must come first.
    if not offered and any(isinstance(turn, ToolTurn) for turn in request.turns):
        offered = request.tools
    return replace(request, tools=offered, settings=settings)


def _can_be_chosen(choice: str, offered: tuple[ToolSpec, ...]) -> bool:
    if choice == "required":
        return bool(offered)
    return choice in NO_NAMES or any(spec.name == choice for spec in offered)


def _detail_of(digest: str, ctx: Context) -> Detail:
    """Where a question to a model stands."""
    place = ctx.asking.ask("model", digest, lasting=False)
    return Detail(place.name)


def _known_reply(place: str, ctx: Context) -> Reply | None:
    """What an earlier sitting of the run has got at a place.

    Raises:
        ModelError: the model did not answer then.
    """
    known = ctx.frame.known_reply(place)
    if isinstance(known, BaseException):
        raise known
    return known


def refusal_in(reply: Reply, model: Model, ctx: Context) -> ModelError | None:
    """The error of a reply in which the model, or a filter, declined to answer."""
    is_refused = bool(reply.refusal) or reply.finish == "refusal"
    # Calls that were whole before the filter are made.
    is_filtered = reply.finish == "content_filter" and not reply.calls
    if not is_refused and not is_filtered:
        return None
    who = f"model {model.name!r} refused to answer {ctx.node.name!r}"
    provider, _, _ = model.name.partition(":")
    code = reply.finish_raw
    error: ModelError
    if is_refused:
        words = reply.refusal or reply.text
        reason = words[:500] or "it gave no reason"
        error = Refused(f"{who}: {reason}", provider_code=code, provider=provider, status=200)
    else:
        reason = code or "no reason given"
        text = f"{who}: a content filter stopped it ({reason})"
        error = ContentFiltered(text, provider_code=code, provider=provider, status=200)
    error.partial = reply
    error.request_id = reply.response_id
    return error


def _builder_for(model: Model, started: float, number: int, ctx: Context) -> ReplyBuilder:
    """What gathers an answer; a live listener is told when its first piece comes."""
    builder = ReplyBuilder()
    frame = ctx.frame

    def tell() -> None:
        frame.tell(FirstToken(*ctx.stamp, ctx.node.name, model.name, started, number))

    if frame.observed:
        builder.hear_first = tell
    return builder


def _count(
    builder: ReplyBuilder,
    model: Model,
    started: float,
    number: int,
    ctx: Context,
    detail: Detail = NO_DETAIL,
    gate: StreamGate | None = None,
    reply: Reply | None = None,
) -> LimitExceeded | None:
    """Charges an answer, and tells of it; the error that ends the walk, if its cost is not known and that is to end it."""
    frame = ctx.frame
    if reply is None:
        reply = builder.whole()
    first_at = builder.first_at
    if first_at is not None:  # by the clock of the run
        first_at += frame.clock() - perf_counter()
    frame.add_model_call(reply, ctx.node)
    is_told = gate is None or gate.is_open
    finished = ModelFinished(
        *ctx.stamp,
        node=ctx.node.name,
        model=model.name,
        text=reply.text if is_told else "",
        calls=len(reply.calls),
        input_tokens=reply.input_tokens,
        output_tokens=reply.output_tokens,
        usd=reply.usd,
        finish=reply.finish,
        started=started,
        cache_read_tokens=reply.cache_read_tokens,
        cache_write_tokens=reply.cache_write_tokens,
        reasoning_tokens=reply.reasoning_tokens,
        answered_by=reply.model,
        thinking=reply.thinking if gate is None else "",
        question=number,
        sources=reply.sources,
        first_at=first_at,
    )
    if detail is not NO_DETAIL:
        detail = Detail(detail.place, reply=reply)
    frame.tell(finished, detail)
    return _unpriced(model.name, ctx) if reply.usd is None else None


def _read_names(names: WireNames | None, error: BaseException) -> None:
    """Has whoever catches an error see the names that the user wrote."""
    if names is None:
        return
    if isinstance(error, ModelError) and isinstance(error.partial, Reply):
        names.read(error.partial)


def _count_failed(
    error: BaseException,
    builder: ReplyBuilder,
    model: Model,
    started: float,
    number: int,
    ctx: Context,
    detail: Detail,
    gate: StreamGate | None,
) -> Reply | None:
    """Charges what was answered before a question broke off, or was stopped, and tells of it; that part, if there is any."""
    part: Reply | None = None
    if not builder.empty:
        part = builder.whole()
        _count(builder, model, started, number, ctx, gate=gate, reply=part)
    if isinstance(error, Exception):
        spent = part is not None
        failed = ModelFailed(*ctx.stamp, ctx.node.name, model.name, error, started, number, spent)
        ctx.frame.tell(failed, detail)
    return part


def _unpriced(model: str, ctx: Context) -> LimitExceeded | None:
    """Tells that an answer counts nothing although dollars are limited; the error, if that is to be the end."""
    books = ctx.frame.ledger.limiting("usd")
    if not books:
        return None
    innermost = books[-1]
    if innermost.first_time(f"the cost of {model}"):
        event = CostUnknown(*ctx.stamp, ctx.node.name, model)
        ctx.frame.tell(event)
    ending = [book for book in books if book.limits.unpriced == "end"]
    if not ending:
        return None
    # The innermost of those that end: what stands around it may go on, or has its own.
    why = f"nobody knows what an answer of {model!r} costs"
    return ending[-1].exceeded("usd", why)


def _noter(ctx: Context) -> Callable[[Notice], None]:
    """Notes retries and switches: facts, whether anybody listens or not."""

    def note(event: Notice) -> None:
        name = ctx.node.name
        kind = type(event.error).__name__
        why = scrub(f"{kind}: {event.error}")  # a model of the user's may quote a key
        fact: ModelRetried | ModelSwitched
        if isinstance(event, Retried):
            fact = ModelRetried(*ctx.stamp, name, event.attempt, event.wait_s, why)
        else:
            fact = ModelSwitched(*ctx.stamp, name, event.source, event.target, why)
        ctx.frame.tell(fact)

    return note


class Teller:
    """Tells a live listener what a model says while it says it."""

    __slots__ = ("ctx", "due", "half", "number", "partial", "shown", "text")

    def __init__(self, ctx: Context, number: int, *, partial: bool) -> None:
        self.ctx = ctx
        self.number = number
        self.partial = partial
        self.text = ""
        self.half = ""
        self.due = 0
        self.shown: Any = None

    def __call__(self, event: ModelEvent) -> None:
        """One event of the model's stream."""
        match event:
            case TextDelta():
                self._tell("text", event.text)
                if self.partial:
                    self._grow(event.text)
            case ThinkingDelta():
                self._tell("thinking", event.text)
            case CallDelta():
                self._tell("arguments", event.arguments)
            case Finished() if self.partial:
                self._show()
            case Restarted():
                self.text, self.half, self.shown, self.due = "", "", None, 0
                self._tell("restart", "")
            case _:
                pass

    def _tell(
        self, channel: Literal["text", "thinking", "arguments", "restart"], text: str
    ) -> None:
        if self.half or not text.isascii():
            text = self._whole(text)
        ctx, frame = self.ctx, self.ctx.frame
        who = ctx.activation, ctx.node.name
        frame.tell(ModelDelta(frame.clock(), frame.number, *who, channel, text, self.number))

    def _whole(self, text: str) -> str:
        """The text without half a character at its end, which waits for its other half."""
        text, self.half = self.half + text, ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self.half = text[:-1], text[-1]
        return join_surrogates(text)

    def _grow(self, piece: str) -> None:
        """Shows the object when it has grown by a quarter: each look reads and hands on all of it again.

        So all looks together are at most five times as long as the answer, however small the pieces are.
        """
        self.text += piece
        if len(self.text) >= self.due:
            self.due = len(self.text) + max(16, len(self.text) // 4)
            self._show()

    def _show(self) -> None:
        value = partial_object(self.text)
        if value is not None and value != self.shown:
            self.shown = value
            ctx, frame = self.ctx, self.ctx.frame
            who = ctx.activation, ctx.node.name
            frame.tell(ModelPartial(frame.clock(), frame.number, *who, value, self.number))


def partial_object(text: str) -> Any:
    """What can be read already of a JSON object or list that is still being written; None while there is nothing."""
    from pydantic_core import from_json

    opening = re.search(r"[{\[]", text)
    if opening is None:
        return None
    try:
        value = from_json(text[opening.start() :], allow_partial="trailing-strings")
    except ValueError:
        return None
    return None if value in ({}, []) else value
