"""Hooks of models at work: they change what one is asked, and what it says."""

from __future__ import annotations

from dataclasses import replace

from graphflow.declaration.context import Context
from graphflow.declaration.hooks import Hook
from graphflow.errors import DeclarationError
from graphflow.model.reply import Reply
from graphflow.model.seam import Request
from graphflow.model.turns import Part, TextPart, ToolCall


async def changed_request(request: Request, ctx: Context) -> Request:
    """The request that the hooks of a node have made of one.

    Raises:
        DeclarationError: one has answered with something else.
    """
    for hook in ctx.node.hooks.before_model:
        changed = await hook.changed(request, ctx)
        if not isinstance(changed, Request):
            raise _wrong(hook, ctx, changed, "the Request, as replace(request, ...) makes one")
        request = changed
    return request


async def changed_reply(reply: Reply, ctx: Context) -> Reply:
    """The reply that the hooks of a node have made of one; its words and its calls are all that they may change.

    Raises:
        DeclarationError: one has answered with something else.
    """
    hooks = ctx.node.hooks.after_model
    if not hooks:
        return reply
    for hook in hooks:
        # A copy: what it changes in place must not change what was counted.
        copy = replace(reply)
        changed = await hook.changed(copy, ctx)
        if not isinstance(changed, Reply):
            raise _wrong(hook, ctx, changed, "the Reply, as replace(reply, text=...) makes one")
        reply = _with_words(reply, changed.text, changed.calls)
    mask = ctx.frame.mask
    if mask is None:
        return reply
    words = reply.text, reply.calls
    text, calls = mask.value(words, "hook", ctx.stamp, ctx.node.name)
    return _with_words(reply, text, calls)


def _with_words(reply: Reply, text: str, calls: tuple[ToolCall, ...]) -> Reply:
    """A reply that says and calls something else.

    What its provider has signed (thinking, items of its own) held for what it had said, and goes.
    """
    if (text, calls) == (reply.text, reply.calls):
        return reply
    bare = tuple([replace(call, keep={}) for call in calls])
    parts: list[Part] = []
    if text:
        parts.append(TextPart(text))
    parts += bare
    return replace(
        reply,
        text=text,
        thinking="",
        calls=bare,
        parts=tuple(parts),
    )


def _wrong(hook: Hook, ctx: Context, answer: object, wanted: str) -> DeclarationError:
    kind = type(answer).__name__
    return DeclarationError(
        f"the hook {hook.name!r} of {ctx.node.name!r} returned {kind}; return {wanted}, or None for no change"
    )
