"""A guard by an expression, in the language of prompts: `Expression("price < 100 and currency in ['EUR', 'USD']")`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from graphflow.declaration.context import Context
from graphflow.declaration.guards import Guard
from graphflow.errors import DeclarationError
from graphflow.kinds.prompts import Prompt
from graphflow.messages.types import Type

HOLDS = "yes"


@dataclass(frozen=True, slots=True)
class Expression(Guard):
    """Rejects messages for which an expression does not hold.

    It sees what a prompt sees (`message`, its fields by name, `text` of a plain text, `deps`, `ctx`), in the same sandbox,
    within the same bounds; what it names is proven when the graph is built.

    Attributes:
        source: the expression.
    """

    source: str
    name: str = field(init=False, repr=False, compare=False)
    _prompt: Prompt = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        source = self.source
        # It stands within braces; one that closes them would be a template, not an expression.
        if not isinstance(source, str) or not source.strip() or "}}" in source or "%}" in source:
            raise DeclarationError(
                f'Expression({source!r}): give an expression in a text, such as "price < 100"'
            )
        prompt = Prompt(f"{{{{ '{HOLDS}' if ({source}) else '' }}}}", f"guard {source}")
        object.__setattr__(self, "_prompt", prompt)
        object.__setattr__(self, "name", f"expression {source!r}")

    async def check(self, message: object, ctx: Context) -> str | None:
        if self._prompt.render(message, ctx) == HOLDS:
            return None
        return "it does not hold"

    def prove(self, kinds: Sequence[Type], deps: Type | None) -> list[str]:
        return self._prompt.prove(kinds, deps)
