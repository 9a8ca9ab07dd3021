"""The gate between a model that speaks and those who listen, at nodes with guards after them.

    model:      The number is 4111 1111 1111 1111, please ...
    judged:     ------------------------------------x          here the guard rejects, and the model is stopped
    told:       The number is                                  what no guard can object to any more

Rules:
1. What is told has been let pass by every guard, whatever comes after it: a judge says how far that reaches.
2. Where one guard needs the whole answer, or the answer is data (whose texts are only known once it is read), nothing of it is
   told before it is whole and judged: it is then in the answer of the node.
3. What a model thinks is not told: nobody judges it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from graphflow.declaration.context import Context
from graphflow.declaration.guards import StreamJudge
from graphflow.errors import GuardRejected
from graphflow.events import MessageRejected
from graphflow.model.seam import Finished, ModelEvent, Restarted, TextDelta, ThinkingDelta

Listener: TypeAlias = Callable[[ModelEvent], None]


class StreamGate:
    """Lets pass what a model says, as far as the guards of its node have judged it.

    Attributes:
        is_open: whether the whole text may be told, now that it has come.
    """

    __slots__ = ("_ctx", "_heard", "_judges", "_listener", "_text", "is_open")

    def __init__(self, ctx: Context, listener: Listener | None, *, holds: bool) -> None:
        self._ctx = ctx
        self._listener = listener
        self._judges: list[tuple[str, StreamJudge]] | None = None
        self.is_open = False
        if not holds:
            self._judges = _judges_of(ctx)
        self._text = ""
        """What has been said and is not told yet."""
        self._heard = 0

    def __call__(self, event: ModelEvent) -> None:
        """One event of the model's stream.

        Raises:
            GuardRejected: a guard rejects the answer; the model is stopped.
        """
        match event:
            case TextDelta():
                self._take(event.text)
                return
            case ThinkingDelta():
                return
            case Restarted():
                self._judges = None if self._judges is None else _judges_of(self._ctx)
                self._text, self._heard = "", 0
            case Finished():
                self._end()
            case _:
                pass
        if self._listener is not None:
            self._listener(event)

    def _take(self, piece: str) -> None:
        if not self._judges:
            return
        for name, judge in self._judges:
            self._refuse(name, judge.take(piece))
        self._text += piece
        self._tell(min(judge.safe for _, judge in self._judges))

    def _end(self) -> None:
        if not self._judges:
            return
        for name, judge in self._judges:
            self._refuse(name, judge.end())
        self._tell(self._heard + len(self._text))
        self.is_open = True

    def _tell(self, safe: int) -> None:
        """Tells the text as far as it is safe."""
        count = safe - self._heard
        if count <= 0:
            return
        piece, self._text = self._text[:count], self._text[count:]
        self._heard = safe
        if self._listener is not None:
            self._listener(TextDelta(piece))

    def _refuse(self, guard: str, why: str | None) -> None:
        if why is None:
            return
        ctx = self._ctx
        ctx.frame.tell(MessageRejected(*ctx.stamp, ctx.node.name, "after", guard, why))
        raise GuardRejected(ctx.node.name, "after", guard, why)


def _judges_of(ctx: Context) -> list[tuple[str, StreamJudge]] | None:
    """A judge for each guard, by its name; None if one of them cannot judge before the end."""
    judges: list[tuple[str, StreamJudge]] = []
    for guard in ctx.node.after:
        judge = guard.stream()
        if judge is None:
            return None
        judges.append((guard.name, judge))
    return judges
