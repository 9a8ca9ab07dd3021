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
    """A call whose pieces are coming.

    Attributes:
        index: the index of its events.
        id: its id as the server gave it, or "".
        name: its name, or "" while it has not come.
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

    def may_go_on(self, id: str, name: str) -> bool:
        """Whether a piece under the number of this call can be its own. An id alone may have been made up for the piece."""
        if not name or not self.name:
            return True
        return name == self.name and (not id or self.id in ("", id))

    @property
    def is_whole(self) -> bool:
        """Whether its arguments are a whole object, so that no piece can follow."""
        text = self.arguments.rstrip()
        if not text.endswith("}"):  # parsed only when it may be: a name may come with every piece
            return False
        try:
            arguments = from_json(text)
        except ValueError:
            return False
        return isinstance(arguments, dict)


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
        call = self._call_of(number, id, name)
        if call is not None and name and arguments.strip() and call.is_whole:
            if _is_repeated(call, id, arguments):
                return []
            # Nothing can follow a whole call: another one begins, under a number that was used before.
            call = None
        if call is None:
            return self._begin(number, id, name, arguments)
        self.by_number[number] = call
        call.pieces.append(arguments)
        new_name = ""
        if not call.name:
            new_name = call.name = name
        return [CallDelta(call.index, name=new_name, arguments=arguments)]

    def _call_of(self, number: int, id: str, name: str) -> OpenCall | None:
        """The call that a piece continues; None if it begins one."""
        if id in self.by_id:
            return self.by_id[id]
        call = self.by_number.get(number)
        if call is None:  # a number that nothing began under
            begins = id or name or not self.calls
            return None if begins else self.calls[-1]
        return call if call.may_go_on(id, name) else None

    def _begin(self, number: int, id: str, name: str, arguments: str) -> list[ModelEvent]:
        is_own_id = bool(id) and id not in self.by_id  # an id that another call has is none
        call = OpenCall(
            index=self._free_index(number),
            id=id if is_own_id else "",
            name=name,
            pieces=[arguments],
        )
        self.calls.append(call)
        self.by_number[number] = call
        if is_own_id:
            self.by_id[id] = call
            return [CallDelta(call.index, id, name, arguments)]
        made_id = token_hex(5)[:9]
        begin = CallDelta(call.index, made_id, name, arguments)
        return [begin, Kept("call", call.index, {"made_id": True})]

    def _free_index(self, number: int) -> int:
        """The number itself, if no call has it as its index; else the one behind the last."""
        indices = [call.index for call in self.calls]
        if number not in indices:
            return number
        return 1 + max(indices)


def _is_repeated(call: OpenCall, id: str, arguments: str) -> bool:
    """Whether a piece is the whole of this call once more."""
    if not id or id != call.id:
        return False
    return call.arguments.strip() == arguments.strip()
