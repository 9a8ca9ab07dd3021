"""Places: where in a run something was asked of the outside, and what is known to have been answered there.

    run > frame > activation > call > frame > ...

Rules:
1. A place is structural: what it lies in, who is asked, the digest of what is asked, and how many equal questions were
   asked before. No clock, no counter of the process and no order of arrival has a part in it, so a place has the same
   name in every attempt, in every process, however long anything took. Equal questions may stand for each other;
   different ones differ by their digest. Two runs of a graph have the same places, but never the same keys.
2. What counts equal questions is an attempt: `Asking`. The next one counts from zero, so that its questions meet the places of
   those before it.
3. What is known of a place belongs to the activation of the outermost walk that it lies in, and is forgotten with it:
   nobody above that could try again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from hashlib import sha256
from json import JSONEncoder, encoder
from pathlib import PurePath
from typing import Any, ParamSpec, Protocol
from uuid import UUID

from pydantic import BaseModel, SecretBytes, SecretStr

P = ParamSpec("P")

KEY_LENGTH = 32
"""Characters of a key: 128 bits, as of a UUID."""
DIGEST_LENGTH = 24
"""Characters of the digest of a question in the name of a place: 96 bits, of which only equal callees of one activation
share the room."""
_BY_THEIR_TEXT = (Decimal, UUID, PurePath, timedelta)
_BY_THEIR_DATE = (datetime, date, time)


class EffectState:
    """What is known of one question that may leave something behind in the world."""

    __slots__ = ("_waiting", "answer", "answered", "asked", "rank", "under_way", "writes")

    def __init__(self, asked: object) -> None:
        self.asked = asked
        self.answered = False
        self.answer: Any = None
        self.under_way = False
        self.writes: Any = ()
        """What was written to states with it."""
        self.rank: int | None = None
        """When it was first asked by the attempt that a crash has cut off, among all its questions; None: it has not."""
        self._waiting: asyncio.Future[None] | None = None
        """Done as soon as it is no longer under way, with or without an answer; if somebody waits for that."""

    def answers(self, question: object) -> bool:
        """Whether it was the same question: digests do not tell two secrets apart."""
        if self.asked is question or self.asked is UNKNOWN:
            return True
        if type(self.asked) is not type(question):
            return False
        try:
            return bool(self.asked == question)
        except Exception:  # whatever a comparison of the user's raises
            return False

    async def once(
        self, ask: Callable[P, Awaitable[object]], *given: P.args, **named: P.kwargs
    ) -> bool:
        """Sees to it that there is an answer: an earlier attempt's, also one still under way, or what `ask` brings.

        Returns:
            Whether the answer is an earlier attempt's.
        """
        while self.under_way:
            if self._waiting is None:
                self._waiting = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._waiting])
        if self.answered:
            return True
        await self.first(ask, *given, **named)
        return False

    async def first(
        self, ask: Callable[P, Awaitable[object]], *given: P.args, **named: P.kwargs
    ) -> object:
        """The answer that `ask` brings, where there is none and nobody else asks at the moment."""
        self.under_way = True
        try:
            answer = self.answer = await ask(*given, **named)
            self.answered = True
            return answer
        finally:
            self.under_way = False
            if self._waiting is not None:
                self._waiting.set_result(None)
                self._waiting = None


UNKNOWN = object()
"""What was asked in an earlier process: nothing but its digest is known of it."""
QuestionKey = tuple[str, str, str]
"""The name of what asks, who is asked, and what, canonically spelled."""


class KnownEffects(Protocol):
    """What earlier sittings of a run have got from the outside."""

    def effect(self, place: str) -> EffectState | None:
        """What is known of the question at the place of that name; None if it was never asked."""


class Effects:
    """What one activation of the outermost walk, and everything below it, got from the outside, by place.

    Args:
        run: the id of the run.
        earlier: what its earlier sittings have got.
    """

    __slots__ = ("consents", "earlier", "known", "run")

    def __init__(self, run: str, earlier: KnownEffects | None = None) -> None:
        self.run = run
        self.earlier = earlier
        self.known: dict[QuestionKey, list[EffectState]] = {}
        """In the order in which equal questions were first asked."""
        self.consents: dict[str, Any] = {}
        """What somebody has said of a call that needs approval, by the name of the call's place."""

    def recorded(self, around: str, whom: str, what: str) -> list[EffectState]:
        """What earlier sittings know of equal questions, in the order in which these were first asked."""
        found: list[EffectState] = []
        if self.earlier is None:
            return found
        digest = _digest(what)
        while True:
            part = _part(whom, digest, len(found))
            state = self.earlier.effect(f"{around}/{part}")
            if state is None:
                return found
            found.append(state)


class Place:
    """One place: an activation, or a call that one makes.

    Attributes:
        effects: what is known of this place and those around and in it.
        effect: what is known of this very question; None if it may be asked anew at every attempt.
    """

    __slots__ = ("_around", "_name", "_number", "_what", "_whom", "effect", "effects")

    def __init__(
        self,
        around: str,
        whom: str,
        what: str | None,
        number: int,
        effects: Effects,
        effect: EffectState | None = None,
    ) -> None:
        self._around = around
        self._whom = whom
        self._what = what
        self._number = number
        self._name: str | None = None
        self.effects = effects
        self.effect = effect

    @property
    def name(self) -> str:
        """What it is called in a record: the way to it. Made when somebody asks for it: most calls need none."""
        name = self._name
        if name is None:
            part = _escaped(self._whom)
            if self._what is not None:
                part = _part(self._whom, _digest(self._what), self._number)
            name = self._name = f"{self._around}/{part}" if part else self._around
        return name

    @property
    def key(self) -> str:
        """An idempotency key for other services: of this place in this very run."""
        return key_of(self.effects.run, self.name)


def key_of(run: str, place: str) -> str:
    """The idempotency key of a place in a run."""
    return _hash(run, place)[:KEY_LENGTH]


def _part(whom: str, digest: str, number: int) -> str:
    """What a question adds to the name of the place that it is asked at."""
    return f"{_escaped(whom)}~{digest}~{number}"


def _escaped(part: str) -> str:
    """A part of a name, in which a slash is not a separator."""
    if "/" not in part and "%" not in part:
        return part
    return part.replace("%", "%25").replace("/", "%2F")


def _digest(what: str) -> str:
    return _hash(what)[:DIGEST_LENGTH]


_NONE_LEFT: deque[int] = deque()


class Asking:
    """What one attempt has asked so far: of an activation its calls, of a frame its activations."""

    __slots__ = ("_counts", "_left", "_within")

    def __init__(self, within: Place) -> None:
        self._within = within
        self._counts: dict[QuestionKey, int] = {}
        self._left: dict[QuestionKey, deque[int]] = {}
        """Of the equal questions that earlier attempts have asked: which this one has not met yet."""

    def ask(self, whom: str, question: object, *, lasting: bool) -> Place:
        """The place of the next question to somebody.

        Args:
            whom: who is asked; in a frame, with the way to it.
            question: what is asked.
            lasting: whether it may leave something behind, so that another attempt takes over its answer.
        """
        #     one try:      add(1)  add(2)  add(1)     places  add(1) 0,  add(2) 0,  add(1) 1
        #     the next:     add(2)  add(1)             places  add(2) 0,  add(1) 0: the same, whatever came between
        within = self._within
        effects = within.effects
        around = within._name or within.name
        what = canonical(question)
        if len(what) > MAX_QUESTION:
            what = _hash(what)
        asked = (around, whom, what)
        if not lasting:
            number = self._counts.get(asked, -1) + 1
            self._counts[asked] = number
            return Place(around, whom, what, number, effects)
        known = effects.known.get(asked)
        if known is None:  # nobody has asked this before, in any attempt of this process
            known = [] if effects.earlier is None else effects.recorded(around, whom, what)
            effects.known[asked] = known
        if not known:
            first = EffectState(question)
            known.append(first)
            self._left[asked] = _NONE_LEFT
            return Place(around, whom, what, 0, effects, first)
        number = self._match(asked, known, question)
        return Place(around, whom, what, number, effects, known[number])

    def _match(self, asked: QuestionKey, known: list[EffectState], question: object) -> int:
        """Which of the equal questions this one is: one of an earlier attempt, those with answers first, or a new one."""
        left = self._left.get(asked)
        if left is None:
            left = self._left[asked] = deque(
                sorted(range(len(known)), key=lambda number: _turn_of(known[number]))
            )
        for number in left:
            if known[number].answers(question):
                left.remove(number)
                return number
        known.append(EffectState(question))
        return len(known) - 1


def _turn_of(state: EffectState) -> tuple[int, int]:
    """What equal questions are sorted by: an attempt that a crash has cut off asks again in the order in which it had asked."""
    if state.rank is not None:
        return 0, state.rank
    return (1, 0) if state.answered else (2, 0)


def outermost(run: str, earlier: KnownEffects | None = None) -> Place:
    """The place of a run, which all others lie in."""
    return Place("", "", None, 0, Effects(run, earlier))


def place_in(around: Place, name: str) -> Place:
    """A place that is the only one of its name, with a knowledge of its own."""
    effects = around.effects
    return Place(around.name, name, None, 0, Effects(effects.run, effects.earlier))


def begins_with(around: str, whom: str) -> str:
    """What the names of all places begin with at which somebody is asked."""
    return f"{around}/{_escaped(whom)}"


def place_at(around: Place, name: str) -> Place:
    """A place by its whole name."""
    effects = around.effects
    place = Place("", "", None, 0, Effects(effects.run, effects.earlier))
    place._name = name
    return place


def _hash(*parts: str) -> str:
    whole = "\0".join(parts)
    digest = sha256(whole.encode(errors="surrogatepass"))
    return digest.hexdigest()


MAX_QUESTION = 200
"""Characters of a question that are kept as they are; of a longer one its digest is."""


def canonical(value: object) -> str:
    """A value as text that only its content decides: the same in every process, whatever the order of keys and sets."""
    try:
        return _write(value)
    # Keys that are not texts, numbers of thousands of digits, a ring.
    except (TypeError, ValueError, RecursionError):
        return _Text().of(value)


def _reduced(value: Any) -> object:
    """What is not JSON by itself, as something that is."""
    if isinstance(value, BaseModel):
        extra = value.__pydantic_extra__
        return {**value.__dict__, **extra} if extra else value.__dict__
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in fields(value)]
        return {name: getattr(value, name) for name in names}
    if isinstance(value, (set, frozenset)):
        return sorted([_Text().of(item) for item in value])
    return _reduced_scalar(value)


def _reduced_scalar(value: Any) -> object:
    if isinstance(value, _BY_THEIR_DATE):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    if isinstance(value, _BY_THEIR_TEXT):
        return str(value)
    if isinstance(value, (SecretStr, SecretBytes)):
        # Keys are shown to others, and a short secret could be guessed from its digest.
        return "a secret"
    return f"a {type(value).__qualname__}"  # never its repr, which may hold an address


def _writer() -> Callable[[Any], str]:
    """What writes canonical JSON.

    `JSONEncoder.encode` makes a new encoder in C for each value, at three times the price of its work; made once here,
    where the interpreter has one. A ring is a RecursionError to it instead of a ValueError.
    """
    make = getattr(encoder, "c_make_encoder", None)
    if make is None:
        return JSONEncoder(sort_keys=True, separators=(",", ":"), default=_reduced).encode
    write = make(None, _reduced, encoder.encode_basestring_ascii, None, ":", ",", True, False, True)
    join = "".join
    return lambda value: join(write(value, 0))


_write = _writer()
MAX_PARTS = 100_000
"""Parts that are told apart in a value that JSON cannot write: a ring has no end."""
MAX_NESTING = 100
MAX_BITS = 10_000
"""Of a number that is written in digits: Python refuses to write longer ones."""


class _Text:
    """Writes a value as text, also where JSON has no way to write it."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts = 0

    def of(self, value: Any, depth: int = 0) -> str:
        self._parts += 1
        if depth > MAX_NESTING or self._parts > MAX_PARTS:
            return "..."
        inner = depth + 1
        if isinstance(value, dict):
            pairs = sorted(
                [(self.of(name, inner), self.of(item, inner)) for name, item in value.items()]
            )
            items = [f"{name}:{item}" for name, item in pairs]
            return "{" + ",".join(items) + "}"
        if isinstance(value, (list, tuple)):
            parts = [self.of(item, inner) for item in value]
            return "[" + ",".join(parts) + "]"
        if type(value) is int and value.bit_length() > MAX_BITS:
            return hex(value)
        if value is None or isinstance(value, (bool, int, float, str)):
            return _write(value)
        return self.of(_reduced(value), inner)
