"""What a conversation with a model is made of: the turns of its two sides, and the parts of a turn.

Rules:
1. A turn is a value, made once and never changed: a wire format keeps its encoding beside it (`encoded`), so that the
   cost of asking does not grow with the history.
2. All calls of one turn stay in one `AssistantTurn`, and all their results in one `ToolTurn`.
3. What a provider wants back unchanged (signatures, ids, its own blocks) travels in `keep`, unread by anybody else, and
   goes back to the wire format that it came from (`AssistantTurn.wire`) and to no other; where it is known which model
   has said it (`AssistantTurn.model`), to that one and to no other: signatures hold for one model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from graphflow._faces import renamed

if TYPE_CHECKING:
    from graphflow.messages.media import Media

# One for all parts that keep nothing, which are nearly all of them. Nobody writes into a `keep`.
NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True, repr=False)
class CacheMark:
    """In a system prompt or a user's turn: everything before it is worth keeping in the provider's prompt cache.

    Attributes:
        ttl: how long it shall be kept ("5m", "1h"); None = the provider's default. Keep the longer before the shorter.
    """

    ttl: Literal["5m", "1h"] | None = None

    def __repr__(self) -> str:
        return f"CacheMark({self.ttl!r})" if self.ttl else "CACHE"


CACHE = CacheMark()


def _text_of(content: str | tuple[object, ...]) -> str:
    """The text of a content, without what else is in it."""
    if isinstance(content, str):
        return content
    texts = [part for part in content if type(part) is str]
    return "\n".join(texts)


@dataclass(frozen=True, slots=True)
class UserTurn:
    """What a person (or the graph in their place) said: text, or several parts in order."""

    content: str | tuple[str | Media | CacheMark, ...]
    encoded: dict[str, bytes] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def text(self) -> str:
        """Its text, without what else is in it."""
        return _text_of(self.content)

    @property
    def parts(self) -> tuple[str | Media | CacheMark, ...]:
        """Its parts, in order."""
        if isinstance(self.content, str):
            return (self.content,)
        return self.content


@dataclass(frozen=True, slots=True)
class TextPart:
    """A piece of text of the model's."""

    text: str
    keep: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Thinking:
    """A piece of the reasoning that precedes an answer, as far as the provider shows it."""

    text: str = ""
    keep: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Block:
    """A part of the provider's own (a hosted tool at work, its result); only ever sent back.

    `keep["item"]` is the part as it came, `keep["name"]` the hosted tool's name where one was called.
    """

    keep: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The hosted tool's name, if it is one."""
        return str(self.keep.get("name") or "")


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call that a model asks for."""

    id: str
    name: str
    arguments: str
    """JSON text, as the model wrote it; empty means no arguments."""
    keep: Mapping[str, Any] = field(default_factory=dict)
    cache: CacheMark | None = None
    """A mark for the provider's prompt cache: everything up to this call is worth keeping."""


Part = TextPart | Thinking | ToolCall | Block


@dataclass(frozen=True, slots=True)
class AssistantTurn:
    """What the model said.

    Attributes:
        text: its text, all pieces joined.
        calls: its calls, all parallel ones of the turn.
        parts: everything it said in order, where more is to be kept than text and calls; else empty.
        wire: the wire format that `keep` in the parts belongs to.
        model: who has said it, "provider:model", where something of it is to go back to that model alone; or empty.
    """

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    parts: tuple[Part, ...] = ()
    wire: str = ""
    model: str = ""
    encoded: dict[str, bytes] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def in_order(self) -> tuple[Part, ...]:
        """Its parts in order; without any of its own, the text and then the calls."""
        if self.parts:
            return self.parts
        text = (TextPart(self.text),) if self.text else ()
        return text + self.calls


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What came of one call."""

    id: str
    name: str
    content: str | tuple[str | Media, ...]
    ok: bool = True
    cache: CacheMark | None = None
    """A mark for the provider's prompt cache: everything up to this result is worth keeping."""

    @property
    def text(self) -> str:
        """Its text, without what else is in it."""
        return _text_of(self.content)

    @property
    def media(self) -> tuple[Media, ...]:
        """Its pictures and files."""
        if isinstance(self.content, str):
            return ()
        parts = [part for part in self.content if not isinstance(part, str)]
        return tuple(parts)


@dataclass(frozen=True, slots=True)
class ToolTurn:
    """The results of all calls of the turn before, in the order of the calls."""

    results: tuple[ToolResult, ...]
    encoded: dict[str, bytes] = field(default_factory=dict, init=False, repr=False, compare=False)


Turn = UserTurn | AssistantTurn | ToolTurn

__getattr__ = renamed(__name__, {"Said": "TextPart"})
