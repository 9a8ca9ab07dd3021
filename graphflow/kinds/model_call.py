"""Asking a model from inside a walk: the one way in which every node does it.

Every question is a step of the walk's accounts: charged before, counted after, told while it goes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

from graphflow.concurrency import let_timers_stop
from graphflow.declaration.context import Context
from graphflow.errors import ContentFiltered, LimitExceeded, ModelError, Refused
from graphflow.events import (
    CostUnknown,
    ModelDelta,
    ModelFailed,
    ModelFinished,
    ModelPartial,
    ModelRetried,
    ModelStarted,
    ModelSwitched,
)
from graphflow.journal.detail import NO_DETAIL, Detail
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


async def ask(
    model: Model,
    request: Request,
    ctx: Context,
    *,
    partial: bool = False,
    names: WireNames | None = None,
    offered: tuple[ToolSpec, ...] | None = None,
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

    Raises:
        ModelError: the model did not answer, or declined to.
    """
    # A deadline that is over by now stops the walk before anything is paid for.
    await let_timers_stop()
    frame, name = ctx.frame, ctx.node.name
    detail = NO_DETAIL
    if frame.is_recorded:
        detail = _detail_of(request, ctx)
        known = _known_reply(detail.place, ctx)
        if known is not None:
            return known
    # Refused here, before anything is sent, if a limit is reached.
    number = frame.charge_model_call()
    started = frame.clock()
    frame.tell(ModelStarted(*ctx.stamp, name, model.name, number), detail)
    listen = Teller(ctx, number, partial=partial) if frame.observed else None
    builder = ReplyBuilder()
    try:
        request = _offering(offered, request)
        sent = request if names is None else names.sent(request)
        reply = await gather(model.stream(sent), listen, _noter(ctx), builder)
    except BaseException as error:
        spent = not builder.empty
        if spent:  # before it broke off, or was stopped
            _count(builder.whole(), model, started, number, ctx)
        if isinstance(error, Exception):
            frame.tell(
                ModelFailed(*ctx.stamp, name, model.name, error, started, number, spent), detail
            )
        if names is not None and isinstance(error, ModelError) and isinstance(error.partial, Reply):
            names.read(error.partial)  # who catches it sees the names that the user wrote
        raise
    if names is not None:
        names.read(reply)
    unpriced = _count(reply, model, started, number, ctx, detail)
    if unpriced is not None:
        raise unpriced
    if detail is not NO_DETAIL:
        await frame.keep_record()  # it has cost money
    return reply


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


def _detail_of(request: Request, ctx: Context) -> Detail:
    """Where a question to a model stands."""
    place = ctx.asking.ask("model", digest_of(request), lasting=False)
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
        error = Refused(f"{who}: {reason}", code=code, provider=provider, status=200)
    else:
        reason = code or "no reason given"
        text = f"{who}: a content filter stopped it ({reason})"
        error = ContentFiltered(text, code=code, provider=provider, status=200)
    error.partial = reply
    error.request_id = reply.response_id
    return error


def _count(
    reply: Reply,
    model: Model,
    started: float,
    number: int,
    ctx: Context,
    detail: Detail = NO_DETAIL,
) -> LimitExceeded | None:
    """Charges an answer, and tells of it; the error that ends the walk, if its cost is not known and that is to end it."""
    frame = ctx.frame
    frame.add_model_call(reply)
    finished = ModelFinished(
        *ctx.stamp,
        node=ctx.node.name,
        model=model.name,
        text=reply.text,
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
        thinking=reply.thinking,
        question=number,
        sources=reply.sources,
    )
    if detail is not NO_DETAIL:
        detail = Detail(detail.place, reply=reply)
    frame.tell(finished, detail)
    return _unpriced(model.name, ctx) if reply.usd is None else None


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
