"""A model that can read so much and no more, and counts as a provider does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from graphflow.errors import ContextOverflow
from graphflow.model.seam import ModelEvent, Request, ToolSpec
from graphflow.model.turns import AssistantTurn, ToolTurn, Turn, UserTurn
from graphflow.testing import ComputedModel

Tokens = Callable[[str], int]


def quarters(text: str) -> int:
    """As of English prose: four characters are a token."""
    return len(text) // 4


class Reader(ComputedModel):
    """A model whose window is so many tokens; a request that is longer is refused as providers do.

    Args:
        reply: makes the reply of what it is shown.
        window: tokens that it can read.
        says_so: whether it tells how large its window is.
        tokens: how it counts.
    """

    def __init__(
        self,
        reply: Callable[[Request], object],
        window: int,
        *,
        says_so: bool = True,
        tokens: Tokens = quarters,
    ) -> None:
        super().__init__(reply)
        self.name = "reader"
        self.context_window = window if says_so else None
        self.window = window
        self.tokens_of = tokens
        self.sizes: list[int] = []

    async def stream(self, request: Request) -> AsyncIterator[ModelEvent]:
        """Answers what it can read."""
        size = sum(map(self.tokens_of, texts_in(request)))
        self.sizes.append(size)
        if size > self.window:
            self.requests.append(request)
            raise ContextOverflow(f"prompt is too long: {size} tokens > {self.window} maximum")
        self.tokens = (size, 5)
        async for event in super().stream(request):
            yield event


def texts_in(request: Request) -> list[str]:
    """All that a request says."""
    texts = [request.system_text, *map(_tool_text, request.tools)]
    for turn in request.turns:
        texts += _texts_of(turn)
    return texts


def _tool_text(tool: ToolSpec) -> str:
    return f"{tool.name} {tool.description} {tool.parameters}"


def _texts_of(turn: Turn) -> list[str]:
    match turn:
        case UserTurn():
            return [turn.text]
        case AssistantTurn():
            return [turn.text, *[call.name + call.arguments for call in turn.calls]]
        case ToolTurn():
            return [result.text for result in turn.results]
