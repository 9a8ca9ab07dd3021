"""What reads a result of a tool again that a context policy has left out: one tool, offered once something was.

    [left out to save room: 12345 characters; handle 3f2a9c01b7de]     read_result("3f2a9c01b7de", offset=4000)

Rules:
1. A handle says what a result holds, so it is the same in every run of a conversation. Artifacts go by their digests.
2. An agent reads what it was shown itself: its own results, and artifacts that are named in one.
3. What it reads is bounded, and told piece by piece. Secrets are masked before anything is cut: half of one is found by nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from pydantic import Field

from graphflow.compaction.masks import handle_of
from graphflow.compaction.policies import Window
from graphflow.declaration.context import Context
from graphflow.declaration.node import AnyNode, Callee, Node
from graphflow.errors import ToolError
from graphflow.kinds.tool import Tool, tool
from graphflow.messages.fences import fenced_text, has_fence, part_of
from graphflow.messages.media import Media
from graphflow.model.turns import ToolResult, ToolTurn, Turn

MOST = 8_000
"""Characters of a piece at most."""
USUAL = 4_000
DIGEST_LENGTH = 64

Handle = Annotated[str, Field(min_length=1, max_length=100)]
Offset = Annotated[int, Field(ge=0)]
Limit = Annotated[int, Field(ge=1, le=MOST)]


@tool(effects=[], output_limit=MOST + 2_000)
async def read_result(
    handle: Handle, ctx: Context, offset: Offset = 0, limit: Limit = USUAL
) -> str | list[str | Media]:
    """Reads a result of a tool that was left out to save room, or an artifact.

    Args:
        handle: the handle of the result, or the digest of the artifact.
        offset: how many characters to pass over.
        limit: how many to read at most.
    """
    turns = _turns_of(ctx)
    results = list(_results_in(turns))
    for result in results:
        if handle_of(result) == handle:
            return _seen_again(result, offset, limit)
    # Digests are no secrets: what nobody has named to this agent may be somebody else's.
    # What has failed may only repeat what was asked for.
    naming = [result.text for result in results if result.ok and handle in result.text]
    if len(handle) != DIGEST_LENGTH or not naming:
        raise ToolError(
            f"there is no result of the handle {handle!r}; handles stand where something was left out"
        )
    text = await _artifact_text(handle, ctx)
    head, first, end = _extent(text, offset, limit)
    piece = text[first:end]
    if any(map(has_fence, naming)):
        piece = fenced_text(piece)
    return f"{head}\n{piece}"


async def _artifact_text(handle: str, ctx: Context) -> str:
    """The text of an artifact.

    Raises:
        ToolError: it is gone, or is not text.
    """
    content = await ctx.frame.artifact(handle)
    if content is None:
        raise ToolError(f"the artifact {handle!r} is gone: the run that kept it was removed")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise ToolError(
            f"the artifact {handle!r} is not text: it has {len(content):,} bytes"
        ) from None
    # The run that has kept it may not have known of a secret what this one knows.
    mask = ctx.frame.mask
    if mask is None:
        return text
    return mask.value(text, "artifact", ctx.stamp, ctx.node.name)


def _turns_of(ctx: Context) -> Sequence[Turn]:
    """What its caller was shown and has said."""
    return () if ctx.conversation is None else ctx.conversation.all_turns()


def _results_in(turns: Iterable[Turn]) -> Iterable[ToolResult]:
    for turn in turns:
        if isinstance(turn, ToolTurn):
            yield from turn.results


def _seen_again(result: ToolResult, offset: int, limit: int) -> str | list[str | Media]:
    """A piece of a result; with the first one what a model looks at beside it."""
    text = result.text
    head, first, end = _extent(text, offset, limit)
    part = part_of(text, first, end)
    piece = f"{head}\n{part}"
    if offset or not result.media:
        return piece
    if not text:
        return [*result.media]
    return [piece, *result.media]


def _extent(text: str, offset: int, limit: int) -> tuple[str, int, int]:
    """What is told of a piece, and from where to where it goes.

    Raises:
        ToolError: the text ends before it.
    """
    count = len(text)
    if offset > count:
        raise ToolError(f"offset={offset} is past the end: there are {count} characters")
    end = min(count, offset + limit)
    line = f"characters {offset} to {end} of {count}"
    if end < count:
        line += f"; offset={end} goes on"
    return f"[{line}]", offset, end


def fetchers_for(context: object, tools: Sequence[Callee]) -> list[Tool[Any, Any]]:
    """What an agent with a context policy and with tools needs, to read their results again."""
    if not isinstance(context, Window) or not tools:
        return []
    # What is not a node is refused with the other options.
    names = [callee.name if isinstance(callee, Node) else callee for callee in tools]
    # Somebody's own tool of that name goes first.
    if read_result.name in names:
        return []
    return [read_result]


def has_read(turns: Iterable[Turn]) -> bool:
    """Whether results were read again: no provider takes such a call where the tool is not offered."""
    for turn in turns:
        if isinstance(turn, ToolTurn):
            names = [result.name for result in turn.results]
            if read_result.name in names:
                return True
    return False


def offered_of(
    nodes: Sequence[AnyNode], unoffered: frozenset[str], *, has_masks: bool
) -> Sequence[AnyNode]:
    """The nodes that a model is offered, of those that its agent can reach.

    Args:
        nodes: what it can reach.
        unoffered: the names of those that are only recalled from.
        has_masks: whether something was left out of results, so that there is something to read again.
    """
    if has_masks and not unoffered:
        return nodes
    offered = [node for node in nodes if node.name not in unoffered]
    if not has_masks:
        offered = [node for node in offered if node is not read_result]
    return nodes if len(offered) == len(nodes) else tuple(offered)
