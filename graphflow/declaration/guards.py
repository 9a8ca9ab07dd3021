"""Guards of nodes: what judges the messages that a node is given, and those that it answers.

Rules:
1. A guard judges and changes nothing. It answers why it rejects a message, or None.
2. One that raises has rejected: whoever cannot judge must not let through.
3. What it says is read by models, stands in records and travels on edges, so it never quotes what it has rejected.
4. Of an answer that is still being said, nothing is told that its guards have not let pass. A guard that needs the whole
   answer holds all of it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    from graphflow.declaration.context import Context
    from graphflow.messages.types import Type

GuardStage = Literal["before", "after"]
"""Whether a guard judges what a node is given or what it answers."""


class StreamJudge:
    """What judges one text while it is being said.

    Attributes:
        safe: characters from the beginning that may be told, whatever comes after them.
    """

    # A judge belongs to one text: guards are values and keep nothing, so each text gets a judge of its own.
    __slots__ = ("safe",)

    def __init__(self) -> None:
        self.safe = 0

    def take(self, piece: str) -> str | None:
        """Takes the next piece; why the text is rejected by now, or None."""
        raise NotImplementedError

    def end(self) -> str | None:
        """The text is whole: why it is rejected, or None."""
        return None


class Guard:
    """One check. Those of graphflow are in `graphflow.security`; one of your own is a function, or a subclass.

    Attributes:
        name: what it looks at, in a word or two: pictures and errors show it.
        asks: whether it asks others (a model) before it judges: then its questions have a place of their own in the record.
        checks_content: whether who passes it can be acted upon, though it was made of untrusted content. A guard that looks at
            lengths or languages says nothing of that.
        max_model_calls: how many questions to models one judgement asks at most.
    """

    # What it is called is not part of its value: two that judge alike are equal whatever they are called.
    name: str
    asks: ClassVar[bool] = False
    checks_content: ClassVar[bool] = True
    max_model_calls: ClassVar[int] = 0

    async def check(self, message: object, ctx: Context) -> str | None:
        """Why a message is rejected, in words that quote nothing of it; None = it passes."""
        raise NotImplementedError

    def prove(self, kinds: Sequence[Type], deps: Type | None) -> list[str]:
        """What is wrong with it for messages of these types, found when a graph is built."""
        return []

    def stream(self) -> StreamJudge | None:
        """What judges a text while a model says it; None = only whole answers can be judged."""
        return None


Guards = tuple[Guard, ...]
