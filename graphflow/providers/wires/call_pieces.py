"""Which call a piece belongs to, in chat completions: by id, by number, or by what the calls so far look like.

OpenAI numbers the pieces and gives id and name with a call's first one. Servers that speak the same format leave the number
out, number all calls 0, go on under another number than they began with, repeat id and name in every piece, make up an id
for each piece, tell the name late, give no ids at all, or tell a whole call twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from secrets import token_hex

from pydantic_core import from_json

from graphflow.model.seam import CallDelta, Kept, ModelEvent


@dataclass(slots=True)
class OpenCall:
    """A call that has begun.

    Attributes:
        index: the index of its events.
        id: its id as the server gave it, or "".
        name: its name, or "" while it was not told.
        pieces: its arguments so far.
    """

    index: int
    id: str
    name: str
    pieces: list[str] = field(default_factory=list)

    @property
    def arguments(self) -> str:
        """Its arguments so far."""
        return "".join(self.pieces)

    @property
    def is_whole(self) -> bool:
        """Whether its arguments are a whole object, so that no piece can follow."""
        told = self.arguments.rstrip()
        if not told.endswith("}"):  # parsed only when it may be: a name may come with every piece
            return False
        try:
            return isinstance(from_json(told), dict)
        except ValueError:
            return False


class CallPieces:
    """The calls of one reply, while their pieces come."""

    def __init__(self) -> None:
        self.calls: list[OpenCall] = []
        self.by_id: dict[str, OpenCall] = {}
        self.by_number: dict[int, OpenCall] = {}

    def take(self, number: int, id: str, name: str, arguments: str) -> list[ModelEvent]:
        """The events of one piece.

        Args:
            number: its number, or its place in the chunk where it has none.
            id: the call's id, if the piece has one.
            name: the tool's name, if the piece has one.
            arguments: the piece of the arguments itself.
        """
        call = self._of(number, id, name)
        if call is not None and name and arguments.strip() and call.is_whole:
            if id and call.id == id and call.arguments.strip() == arguments.strip():
                return []  # the same call, told again
            call = None
        if call is None:
            return self._begin(number, id, name, arguments)
        self.by_number[number] = call
        call.pieces.append(arguments)
        late = name if not call.name else ""
        call.name = call.name or late
        return [CallDelta(call.index, name=late, arguments=arguments)]

    def _of(self, number: int, id: str, name: str) -> OpenCall | None:
        """The call that a piece continues; None if it begins one."""
        if id in self.by_id:
            return self.by_id[id]
        call = self.by_number.get(number)
        if call is None:  # a number that nothing began under
            return None if id or name or not self.calls else self.calls[-1]
        if not name or not call.name:
            return call  # an id alone may have been made up for this piece
        another_id = id and call.id not in ("", id)
        return None if another_id or name != call.name else call

    def _begin(self, number: int, id: str, name: str, arguments: str) -> list[ModelEvent]:
        taken = {call.index for call in self.calls}
        index = number if number not in taken else 1 + max(taken)
        given = id if id not in self.by_id else ""  # an id that another call has is none
        call = OpenCall(index, given, name, [arguments])
        self.calls.append(call)
        self.by_number[number] = call
        if given:
            self.by_id[given] = call
            return [CallDelta(index, given, name, arguments)]
        return [CallDelta(index, token_hex(5)[:9], name, arguments), Kept("call", index, {"made_id": True})]
