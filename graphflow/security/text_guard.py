"""Guards of texts: of every text that stands in a message, however deep, and of the words of models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from graphflow.concurrency import in_thread
from graphflow.declaration.context import Context
from graphflow.declaration.guards import Guard
from graphflow.plain import is_huge, leaves_of

LARGE = 50_000
"""Characters from which on texts are judged in a thread, so that the event loop goes on."""


class TextGuard(Guard):
    """A guard that looks at nothing but texts."""

    def judge(self, texts: Sequence[str]) -> str | None:
        """Why these texts of one message are rejected; None = they pass. It may be asked in a thread."""
        raise NotImplementedError

    async def check(self, message: object, ctx: Context) -> str | None:
        texts = list(texts_in(message))
        size = sum(map(len, texts))
        if size > LARGE:
            return await in_thread(self.judge, texts)
        return self.judge(texts)


def texts_in(message: object) -> Iterator[str]:
    """Every text of a message: in fields, lists and mappings, names of keys included. Numbers are read as texts, too."""
    for leaf in leaves_of(message):
        if isinstance(leaf, str):
            yield leaf
        # A number of a card is one, whether it is written as a text or as an integer.
        elif isinstance(leaf, int) and not isinstance(leaf, bool) and not is_huge(leaf):
            yield str(leaf)
