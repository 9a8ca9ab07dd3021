"""What the body of an exchange means: what was said, what was answered and by whom, and the turns of the agents that took part.

    said     the message, by the type that the graph takes          turn     the same as a model is shown it
    answer   the answer, by the type that the graph answers with    text     the same as a model is shown it
    by       the place of the node that answered                    arm      the class of the answer, of a union
    left_out {place: {...}}, what a context policy leaves out of what an agent is shown from then on; missing if nothing
    states   {name: {...}}, what is new in the states that live as long as the conversation; missing if nothing is
    units    [[place, turns], ...]: of each activation of an agent its own turns, from its question to its answer

A place is the names of graphs, nodes and callers on the way to a node, without numbers: "desk > boss > clerk".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from graphflow.compaction.omission import NOTHING_LEFT_OUT, LeftOut
from graphflow.errors import ConversationUnreadable, StoreError, Unreadable
from graphflow.journal.codec.coding import EXTRA, PRIVATE, UNSET
from graphflow.journal.codec.replies import decode_turns, encode_turns
from graphflow.journal.codec.secrets import hide, reveal
from graphflow.journal.codec.value_codec import codec_of
from graphflow.journal.exchanges import EXCHANGE_FORMAT, ConversationName, StoredExchange
from graphflow.journal.kept_states import StateChanges
from graphflow.journal.stored import Json
from graphflow.messages.types import Type
from graphflow.model.conversation import Remembers
from graphflow.model.turns import AssistantTurn, ToolTurn, Turn, UserTurn

Unit: TypeAlias = tuple[str, tuple[Turn, ...]]
"""A place, and what an agent has said there in one activation: from the question to the answer."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One message and its answer.

    Attributes:
        number: its position in the conversation, from 1.
        run: the id of the run that it came of.
        at: when it was answered, in seconds since 1970.
        message: what was said.
        answer: what was answered; plain data where it does not fit the type that the graph answers with now.
        turn: what was said, as a model is shown it.
        text: what was answered, as a model is shown it.
        by: the place of the node that answered: names of graphs, nodes and callers.
        arm: the name of the answer's class, where the graph may answer with several.
        units: what each agent has said, by its place, in the order in which they ended.
        left_out: by the place of an agent, what its context policy leaves out of what it is shown from then on.
        states: what is new in the states that live as long as the conversation, by their names (`kept_states.py`).
    """

    number: int
    run: str
    at: float
    message: Any
    answer: Any
    turn: UserTurn
    text: str
    by: str = ""
    arm: str = ""
    units: tuple[Unit, ...] = ()
    left_out: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    states: StateChanges = field(default_factory=dict)

    def said_at(self, place: str) -> tuple[Turn, ...]:
        """What the agents at a place have said."""
        turns: list[Turn] = []
        for where, unit in self.units:
            if where == place:
                turns += unit
        return tuple(turns)


def encode_exchange(exchange: Exchange, taken: Type, answered: Type) -> StoredExchange:
    """An exchange as a store keeps it.

    Args:
        exchange: the exchange.
        taken: the type that the graph takes.
        answered: the type that it answers with.

    Raises:
        Unstorable: something in it would not come back as it is.
    """
    units = [[place, encode_turns(turns)] for place, turns in exchange.units]
    data: dict[str, Json] = {
        "format": EXCHANGE_FORMAT,
        "said": codec_of(taken).encode(exchange.message),
        "turn": encode_turns([exchange.turn]),
        "answer": codec_of(answered).encode(exchange.answer),
        "text": exchange.text,
        "by": exchange.by,
        "arm": exchange.arm,
        "units": units,
    }
    if exchange.left_out:
        data["left_out"] = {place: dict(each) for place, each in exchange.left_out.items()}
    if exchange.states:
        data["states"] = dict(exchange.states)
    body = hide(json.dumps(data, separators=(",", ":")))
    return StoredExchange.of(exchange.number, exchange.run, exchange.at, body)


def decode_exchange(
    name: ConversationName, stored: StoredExchange, taken: Type, answered: Type
) -> Exchange:
    """The exchange that a store keeps.

    Raises:
        ConversationUnreadable: it is not as it was written, or was written by a newer version.
    """
    which = f"exchange {stored.number} of {name}"
    if not stored.is_sound:
        raise ConversationUnreadable(f"{which} is not as it was written; it stays where it is")
    try:
        data = json.loads(reveal(stored.body))
    except ValueError as error:
        raise ConversationUnreadable(f"{which} cannot be read: {error}") from None
    # Before anything else of it is looked at: nobody knows what else is new.
    if data["format"] > EXCHANGE_FORMAT:
        raise ConversationUnreadable(
            f"{which} has format {data['format']}, written by a newer version of graphflow; "
            f"this one reads up to {EXCHANGE_FORMAT}: update graphflow"
        )
    try:
        (turn,) = decode_turns(data["turn"])
        units = [(place, decode_turns(turns)) for place, turns in data["units"]]
    except (StoreError, TypeError, ValueError) as error:
        raise ConversationUnreadable(f"{which} cannot be read: {error}") from None
    assert isinstance(turn, UserTurn)
    return Exchange(
        number=stored.number,
        run=stored.run,
        at=stored.at,
        message=_value(data["said"], taken),
        answer=_value(data["answer"], answered),
        turn=turn,
        text=data["text"],
        by=data["by"],
        arm=data["arm"],
        units=tuple(units),
        left_out=data.get("left_out", {}),
        states=data.get("states", {}),
    )


def _value(data: Json, kind: Type) -> Any:
    """A value by its type; as plain data where the graph has another type by now."""
    try:
        return codec_of(kind).decode(data)
    except Unreadable:
        return _plain(data)


def _plain(data: Json) -> Json:
    """Data without what only the codec means by it.

    {"name": "A", "_extra": {"city": "B"}, "_private": {"_seen": 1}, "_unset": ["name"]}  >  {"name": "A", "city": "B"}
    """
    if isinstance(data, list):
        return [_plain(item) for item in data]
    if not isinstance(data, dict):
        return data
    notes = _notes_in(data)
    plain = {name: _plain(item) for name, item in data.items() if name not in notes}
    # What a model lets in besides stands beside its fields for whoever looks at it.
    beside = data[EXTRA] if EXTRA in notes else {}
    if isinstance(beside, dict):
        plain |= {name: _plain(item) for name, item in beside.items()}
    return plain


def _notes_in(data: Mapping[str, Json]) -> set[str]:
    """Which names of an object the codec has written: a mapping of somebody's own may have the same ones."""
    notes: set[str] = set()
    names = set(data)
    extra = data.get(EXTRA)
    if isinstance(extra, dict) and not extra.keys() & (names - {EXTRA}):
        names |= extra.keys()
        notes.add(EXTRA)
    private = data.get(PRIVATE)
    # Pydantic's private attributes begin so, all of them.
    if isinstance(private, dict) and all(name.startswith("_") for name in private):
        notes.add(PRIVATE)
    unset = data.get(UNSET)
    if isinstance(unset, list) and names.issuperset(map(str, unset)):
        notes.add(UNSET)
    return notes


def _shown(exchange: Exchange, place: str) -> Sequence[Turn]:
    own = exchange.said_at(place) if exchange.by == place else ()
    return own or (exchange.turn, AssistantTurn(exchange.text))


def names_artifact(exchange: Exchange, digest: str) -> bool:
    """Whether an artifact of that digest is named in a result of a tool."""
    for _, turns in exchange.units:
        for turn in turns:
            if isinstance(turn, ToolTurn) and _names_in(turn, digest):
                return True
    return False


def _names_in(turn: ToolTurn, digest: str) -> bool:
    """Whether a result names a digest: an error may only repeat what somebody has asked for."""
    return any(result.ok and digest in result.text for result in turn.results)


def left_out_of(exchanges: Sequence[Exchange], cutoff: int, place: str, way: Remembers) -> LeftOut:
    """What is left out of some exchanges for an agent at a place.

    Args:
        exchanges: the exchanges.
        cutoff: the number of the last one that is not shown as it is, since somebody wanted that; 0: there is none.
        place: where the agent stands.
        way: which turns of them it is shown.
    """
    # Who is shown none of them may have left out something else: of what it had joined, of its own laps.
    if way not in ("talk", "own"):
        return NOTHING_LEFT_OUT
    count = 0
    if cutoff:
        former = [exchange for exchange in exchanges if exchange.number <= cutoff]
        count = len(turns_of(former, place, way))
    for index in reversed(range(len(exchanges))):
        known = exchanges[index].left_out.get(place)
        if known is None:
            continue
        # Its own turns of that run stood before it, too: those of earlier laps.
        end = index + 1 if way == "own" else index
        before = turns_of(exchanges[:end], place, way)
        clipped = _up_to(known, len(before))
        return LeftOut(clipped, count)
    return LeftOut({}, count)


def _up_to(known: Mapping[str, int | str], most: int) -> Mapping[str, int | str]:
    """What was left out of so many turns at most: behind them stood what is not shown again, as what was handed over."""
    place = known.get("exchanges", 0)
    if int(place) <= most:
        return known
    clipped = {name: value for name, value in known.items() if name != "brief"}
    clipped["exchanges"] = most
    return clipped


def turns_of(exchanges: Sequence[Exchange], place: str, way: Remembers) -> list[Turn]:
    """What an agent at a place is shown of some exchanges.

    Args:
        exchanges: the exchanges.
        place: where it stands.
        way: "talk": each exchange once, with the agent's own turns if it has answered; "own": its own turns; else nothing.
    """
    turns: list[Turn] = []
    for exchange in exchanges:
        if way == "talk":
            turns += _shown(exchange, place)
        elif way == "own":
            turns += exchange.said_at(place)
    return turns
