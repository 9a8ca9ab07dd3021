"""Standing instructions that a function writes: `Agent(..., system=house_rules)`.

Rules:
1. It is given what it names: `message`, `deps`, `ctx` (or whatever is annotated `Context`), and nothing else. What it wants is
   read where the agent is declared, and its types are proven where the graph is built.
2. It is asked once for each activation, and what it wrote is kept: a run that goes on asks its model the same.
3. What is untrusted in a message reaches it between fences already, so it cannot write it without them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, get_type_hints

from pydantic import BaseModel

from graphflow.declaration.context import Context
from graphflow.display import Displayed
from graphflow.errors import DeclarationError, PromptError
from graphflow.kinds.prompts import to_be_fenced
from graphflow.messages.fences import UntrustedText, fenced_text
from graphflow.messages.state import AnyState
from graphflow.messages.types import Type, accepts, type_name

WriteSystem: TypeAlias = Callable[..., str]
"""Writes standing instructions. Any parameters: which ones there may be is said above, and read where it is declared."""
PromptInput = Literal["message", "deps", "ctx"]
_GIVEN: Mapping[str, PromptInput] = {"message": "message", "deps": "deps", "ctx": "ctx"}


class PromptFunction(Displayed):
    """A function that writes standing instructions. Immutable; equal if the function is the same.

    Args:
        function: the function.
        whose: the agent, for errors.

    Raises:
        DeclarationError: it is async, or asks for something that it cannot be given.
    """

    __slots__ = ("_types", "_wants", "function", "where")

    def __init__(self, function: WriteSystem, whose: str) -> None:
        self.function = function
        name = getattr(function, "__name__", repr(function))
        self.where = f"{whose}: system={name}"
        is_async = inspect.iscoroutinefunction(function)
        is_class = inspect.isclass(function)
        if is_async or is_class:
            raise DeclarationError(
                f"{self.where} must be a plain function that returns a text; what has to be awaited belongs into a node in front"
            )
        types = _types_of(function)
        self._wants = self._read_wants(types)
        self._types: dict[PromptInput, Type] = {}
        for parameter, given in self._wants.items():
            if parameter in types:
                self._types[given] = types[parameter]
        answer = types.get("return", str)
        if answer not in (str, Any):
            kind = type_name(answer)
            raise DeclarationError(
                f"{self.where} returns {kind}, and instructions are a text; return a str"
            )

    def _read_wants(self, types: Mapping[str, Type]) -> dict[str, PromptInput]:
        """What each parameter is given."""
        wants: dict[str, PromptInput] = {}
        signature = inspect.signature(self.function)
        for name, parameter in signature.parameters.items():
            kind = parameter.kind
            # Whatever it is given, it is given by name.
            by_name = kind in (kind.POSITIONAL_OR_KEYWORD, kind.KEYWORD_ONLY)
            is_context = types.get(name) is Context
            has_default = parameter.default is not parameter.empty
            if by_name and is_context:
                wants[name] = "ctx"
            elif by_name and name in _GIVEN:
                given = _GIVEN[name]
                wants[name] = given
            elif not has_default:
                raise DeclarationError(
                    f"{self.where} has a parameter {name!r}; it can be given message, deps and ctx, under these names"
                )
        return wants

    def render(self, message: Any, ctx: Context) -> str:
        """The text for one message.

        Raises:
            PromptError: it returned something else.
        """
        frame = ctx.frame
        asking = ctx.asking
        place = asking.ask("system", "", lasting=False)
        known = frame.known_value(place.name)
        if known:
            (text,) = known
            return str(text)
        fenced = _fenced(message, ctx)
        values = {"message": fenced, "deps": ctx.deps, "ctx": ctx}
        given: dict[str, object] = {}
        for name, want in self._wants.items():
            given[name] = values[want]
        text = self.function(**given)
        if not isinstance(text, str):
            kind = type(text).__name__
            raise PromptError(f"{self.where} returned {kind}; return a str")
        if frame.mask is not None:
            text = frame.mask.value(text, "prompt", ctx.stamp, ctx.node.name)
        # Without a store nothing is carried out again that would have to be asked the same.
        if frame.is_recorded:
            frame.keep_value(ctx, place.name, "system", text)
        return text

    def prove(
        self, kinds: Sequence[Type], deps: Type | None, reads: Sequence[AnyState] = ()
    ) -> list[str]:
        """What it takes that messages of these types, and the declared dependencies, are not."""
        problems: list[str] = []
        if deps is not None:
            problems += self._problem("deps", deps)
        each_once = dict.fromkeys(kinds)
        for kind in each_once:
            problems += self._problem("message", kind)
        return problems

    def _problem(self, given: PromptInput, kind: Type) -> list[str]:
        wanted = self._types.get(given, Any)
        if wanted is Any or kind is Any:
            return []
        if accepts(wanted, kind):
            return []
        found, expected = type_name(kind), type_name(wanted)
        return [f"{self.where} takes {given}: {expected}, and would be given {found}"]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PromptFunction):
            return False
        return other.function is self.function

    def __hash__(self) -> int:
        return hash(self.function)

    def __repr__(self) -> str:
        return f"<prompt function {self.where!r}>"


def _types_of(function: WriteSystem) -> dict[str, Type]:
    """The annotations of a function, as far as they can be read: what cannot is not proven."""
    try:
        return get_type_hints(function)
    except (NameError, TypeError, AttributeError):
        return {}


def _fenced(message: Any, ctx: Context) -> Any:
    """A message in which untrusted texts stand between fences, whoever writes them."""
    whole = ctx.node.takes_untrusted
    marked = to_be_fenced(message, whole=whole)
    if isinstance(marked, UntrustedText):
        return fenced_text(marked)
    if marked is message or not isinstance(marked, BaseModel):
        return message
    changed: dict[str, object] = {}
    for name, value in marked:
        if isinstance(value, UntrustedText):
            changed[name] = fenced_text(value)
    return marked.model_copy(update=changed)
