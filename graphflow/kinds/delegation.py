"""What a model may do with its background calls: one tool, offered to agents that have background sub-agents."""

from __future__ import annotations

from typing import Any, Literal

from graphflow.declaration.background import Background
from graphflow.declaration.context import Context
from graphflow.errors import ToolError
from graphflow.kinds.tool import tool
from graphflow.messages.message import Message, error_text, to_json_value


class Standing(Message):
    """How a background call stands.

    Attributes:
        handle: its name.
        status: running, completed, failed, limited or cancelled.
        answer: what it answered, if it has.
        error: why it has no answer, if it has ended without.
    """

    handle: str
    status: str
    answer: Any = None
    error: str = ""


@tool(effects=[])
async def background(
    handle: str,
    action: Literal["await", "poll", "cancel"],
    ctx: Context,
    seconds: float | None = None,
) -> Standing:
    """Await, look at, or cancel something you have called that goes on in the background.

    Args:
        handle: the handle that the call gave you.
        action: "await" waits for the answer, "poll" tells at once how it stands, "cancel" stops it.
        seconds: how long to wait at most with "await"; it may still be running then.
    """
    found = ctx.frame.background(ctx.caller, handle)
    if found is None:
        raise ToolError(
            f"there is no background call {handle!r}; use the handle that the call gave you"
        )
    if action == "cancel":
        found.cancel()
    if action != "poll":  # "cancel", too: it is over when what it had begun has ended
        await found.wait(seconds)
    return standing(found)


def standing(found: Background) -> Standing:
    """A background call as a model is told of it.

    Raises:
        ToolError: it has failed: that is a failure for the caller, too.
    """
    handle = found.handle
    status = found.status
    error = found.error
    text = "" if error is None else error_text(error)
    if status in ("failed", "limited"):
        kind = type(error).__name__
        raise ToolError(f"background call {handle!r} {status}: {kind}: {text}")
    answer = found.answer
    if answer is not None:
        # As the model will read it: a message behind `Any` could not be kept.
        answer = to_json_value(answer)
    return Standing(handle=handle, status=status, answer=answer, error=text)
