"""A guard that asks a model what a message is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from graphflow.declaration.context import Context
from graphflow.declaration.guards import Guard
from graphflow.errors import DeclarationError
from graphflow.keywords import strict_keywords
from graphflow.kinds.decision import ATTEMPTS, by_model
from graphflow.messages.message import to_text
from graphflow.model.resolve import check_model
from graphflow.model.seam import Embedder, Model

YES = "on topic"
NO = "off topic"
LONGEST = 8_000
"""Characters of a message that a model is shown: a longer one is rejected, as its end could be about anything."""


@dataclass(slots=True)
class _Choice:
    """What a model chooses from, as a router without examples would have it."""

    labels: Mapping[str, str]
    examples: Mapping[str, tuple[str, ...]]
    embedder: Embedder | str = ""
    probabilities: bool = False
    explain: bool = False
    may_abstain: bool = True
    threshold: float | None = None


@strict_keywords
@dataclass(frozen=True)
class Topic(Guard):
    """Rejects messages that a model does not find to be about something. What it cannot decide is rejected.

    Attributes:
        about: what messages are to be about, in words for the model: "orders, prices and delivery of a shop".
        instead: what the others are about; says more than "anything else" where that is known.
        model: who is asked: "provider:model" or a `Model`; default: the node's, then the graph's, then the run's.
        most: characters of a message at most; a longer one is rejected unread.
    """

    about: str
    instead: str = "anything else"
    model: Model | str | None = None
    most: int = LONGEST
    name = "topic"
    asks: ClassVar[bool] = True
    max_model_calls: ClassVar[int] = ATTEMPTS

    def __post_init__(self) -> None:
        if not isinstance(self.about, str) or not self.about.strip():
            raise DeclarationError(f"Topic({self.about!r}): say in words what messages are about")
        check_model(self.model, "Topic")

    async def check(self, message: object, ctx: Context) -> str | None:
        text = to_text(message)
        if len(text) > self.most:
            return f"it is longer than {self.most:,} characters, so it was not read"
        model = ctx.frame.model(ctx.node, self.model)
        choice = _Choice({YES: self.about, NO: self.instead}, {})
        decision = await by_model(choice, model, text, ctx)
        if decision.choice == YES:
            return None
        if decision.choice == NO:
            return f"it is not about {self.about}"
        return f"model {model.name} could not tell what it is about"
