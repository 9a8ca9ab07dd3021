"""Names on their way to a model and back.

People name nodes as they like ("price clerk", "café"); model APIs take letters, digits, _ and -, at most 64 of them.

Rules:
1. A name that every API takes is sent as it is, and no other name is spelled like it.
2. Every other name gets a spelling of its own, the same as long as an activation lasts. It is read back before anybody
   looks at the reply: policies, events, errors and records know the name that the user wrote, and no other.
3. What a model has made up is spelled as well: it stands in the history, and APIs refuse a history with odd names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import sha256
from unicodedata import normalize

from graphflow.model.reply import Reply
from graphflow.model.seam import Request, ToolSpec
from graphflow.model.turns import (
    AssistantTurn,
    Part,
    ToolCall,
    ToolResult,
    ToolTurn,
    Turn,
    UserTurn,
)

LONGEST = 64
"""Characters of a name that every model API takes."""
_FITS = re.compile(rf"[A-Za-z_][A-Za-z0-9_-]{{0,{LONGEST - 1}}}")
"""What OpenAI, Anthropic and Gemini all take; Gemini alone wants a letter or _ at the beginning."""
_DIGITS = 8
"""Digits of the digest that tells two names apart which would be spelled alike."""
_ACCENTS = re.compile(r"[\u0300-\u036f]")
"""Combining marks, which NFKD puts behind their letters."""
NO_NAMES = ("auto", "none", "required")
"""What `tool_choice` can be beside the name of a tool."""


def wire_name(name: str) -> str:
    """A name in letters, digits, _ and -, at most 64; accents are dropped. Two names may come out alike."""
    parted = normalize("NFKD", name)
    bare = _ACCENTS.sub("", parted)
    fitting = re.sub(r"[^A-Za-z0-9_-]", "_", bare)
    return fitting[:LONGEST]


class WireNames:
    """The names of one activation: how each is spelled, and whose a spelling is."""

    __slots__ = ("_all_fit", "_names", "_spellings", "_twins")

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._spellings: dict[str, str] = {}
        self._names: dict[str, str] = {}
        """The names by their spellings."""
        self._all_fit = True
        """Whether every name is sent as it is, so that nothing has to be looked through."""
        self._twins: dict[int, tuple[Turn, Turn]] = {}
        """Turns that were spelled already: a wire keeps its encoding with the turn, so the turn has to stay the same."""
        self.learn(names)

    def learn(self, names: Iterable[str]) -> None:
        """Spells names that are new; those that can be sent as they are come first, as they shall be."""
        alike: dict[str, list[str]] = {}
        for name in dict.fromkeys(names):
            if name in self._spellings:
                continue
            if _FITS.fullmatch(name) and name not in self._names:
                self._give(name, name)
                continue
            stem = _stem(name)
            same_stem = alike.setdefault(stem, [])
            same_stem.append(name)
        for stem, odd in alike.items():
            self._all_fit = False
            self._spell(stem, odd)

    def _spell(self, stem: str, names: Sequence[str]) -> None:
        """Spells names that read like this stem."""
        # The digest is only there to tell names apart; where nothing is like it, a name stays readable.
        is_free = stem != "" and stem not in self._names
        if is_free and len(names) == 1:
            [name] = names
            self._give(name, stem)
            return
        for name in names:
            spelling = self._digested(stem or "tool", name)
            self._give(name, spelling)

    def _give(self, name: str, spelling: str) -> None:
        self._spellings[name] = spelling
        self._names[spelling] = name

    def _digested(self, stem: str, name: str) -> str:
        """A spelling with as much of the name's digest as makes it the only one."""
        spelt = name.encode("utf-8", "surrogatepass")
        digest = sha256(spelt).hexdigest()
        for size in range(_DIGITS, LONGEST - 1):
            end = digest[:size]
            room = LONGEST - size - 1
            spelling = f"{stem[:room]}_{end}"
            if spelling not in self._names:
                return spelling
        raise AssertionError("two names have the same digest")

    def spelling(self, name: str) -> str:
        """How a name is sent."""
        return self._spellings.get(name, name)

    def name(self, spelling: str) -> str:
        """Whose spelling this is; what nobody has is taken as it is."""
        return self._names.get(spelling, spelling)

    # -- questions and answers ---------------------------------------------------------------------
    def sent(self, request: Request) -> Request:
        """The request as it is sent."""
        if self._all_fit:
            return request
        turns = tuple(map(self._sent_turn, request.turns))
        tools = tuple(map(self._sent_spec, request.tools))
        settings = request.settings
        choice = settings.tool_choice
        if choice is not None and choice not in NO_NAMES:
            settings = replace(settings, tool_choice=self.spelling(choice))
        return replace(request, turns=turns, tools=tools, settings=settings)

    def read(self, reply: Reply) -> None:
        """Puts the names that the user wrote into a reply."""
        if not reply.calls:
            return
        unknown: list[str] = []
        for call in reply.calls:
            if call.name not in self._names:
                unknown.append(call.name)
        self.learn(unknown)
        if self._all_fit:
            return
        reply.parts = tuple(map(self._read_part, reply.parts))
        reply.calls = tuple(map(self._read_call, reply.calls))

    def _read_part(self, part: Part) -> Part:
        return self._read_call(part) if type(part) is ToolCall else part

    def _read_call(self, call: ToolCall) -> ToolCall:
        name = self.name(call.name)
        return replace(call, name=name)

    def _sent_turn(self, turn: Turn) -> Turn:
        if isinstance(turn, UserTurn):
            return turn
        key = id(turn)
        known = self._twins.get(key)  # a turn is sent again with every question
        if known is not None:
            _, twin = known
            return twin
        if isinstance(turn, AssistantTurn):
            calls = tuple(map(self._sent_call, turn.calls))
            parts = tuple(map(self._sent_part, turn.parts))
            twin = AssistantTurn(turn.text, calls, parts, turn.wire)
        else:
            results = tuple(map(self._sent_result, turn.results))
            twin = ToolTurn(results)
        self._twins[key] = (turn, twin)  # the turn is kept, so that its id stays its own
        return twin

    def _sent_part(self, part: Part) -> Part:
        return self._sent_call(part) if type(part) is ToolCall else part

    def _sent_call(self, call: ToolCall) -> ToolCall:
        spelling = self.spelling(call.name)
        return replace(call, name=spelling)

    def _sent_result(self, result: ToolResult) -> ToolResult:
        spelling = self.spelling(result.name)
        return replace(result, name=spelling)

    def _sent_spec(self, spec: ToolSpec) -> ToolSpec:
        spelling = self.spelling(spec.name)
        return replace(spec, name=spelling)


def _stem(name: str) -> str:
    """A name that every API takes and that reads like this one, or nothing where there is nothing to be read."""
    stem = wire_name(name)
    if not re.search(r"[A-Za-z0-9]", stem):
        return ""
    if _FITS.fullmatch(stem):
        return stem
    return f"_{stem}"[:LONGEST]
