"""What a store keeps of a conversation: a header with its head, and an exchange for each message that was answered.

    conversation   graph, key, head, version, last, run, until      one, changed by compare-and-set of its version
    exchanges      1  2  3 ...                                      only ever added at the end, or withdrawn there

Rules:
1. Every change of a conversation counts its version up, and names the version that it was made of. So of two who change the
   same one only the first does.
2. An exchange is added in the transaction that adds the last rows of its run, or not at all.
3. Exchanges belong to the conversation, and not to their runs: a run that is removed takes none away.

What the body of an exchange means is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple
from zlib import crc32

from graphflow.errors import ConversationMoved
from graphflow.journal.stored import Json

EXCHANGE_FORMAT = 1
"""The version of what exchanges hold."""


class ConversationName(NamedTuple):
    """Which conversation.

    Attributes:
        graph: the name of its graph.
        key: what its users call it.
    """

    graph: str
    key: str

    def __str__(self) -> str:
        return f"conversation {self.key!r} of {self.graph!r}"


@dataclass(frozen=True, slots=True)
class ConversationHeader:
    """What is known of a conversation without reading its exchanges.

    Attributes:
        name: which one.
        head: the number of its last exchange; 0: there is none.
        version: counts up with every change.
        last: the run of its last exchange; "": there is none.
        run: the run that has it at the moment, or had it last; "": none has.
        until: until when that run has it even if nobody has begun it, in seconds since 1970 by the store's clock.
        began: when it was first held, in seconds since 1970.
        changed: when it has changed last, in seconds since 1970.
        about: what else is kept of it.
    """

    name: ConversationName
    head: int = 0
    version: int = 0
    last: str = ""
    run: str = ""
    until: float = 0.0
    began: float = 0.0
    changed: float = 0.0
    about: Mapping[str, Json] = field(default_factory=dict)

    def next(self, now: float, **changes: object) -> ConversationHeader:
        """The same one version later."""
        later = replace(self, version=self.version + 1, changed=now)
        return replace(later, **changes)  # type: ignore[arg-type]  # fields of this very class


@dataclass(frozen=True, slots=True)
class StoredExchange:
    """One exchange, as it is kept.

    Attributes:
        number: its position in the conversation, from 1.
        run: the run that it came of.
        at: when its run ended, in seconds since 1970.
        body: JSON.
        checksum: CRC-32 of the four above.
    """

    number: int
    run: str
    at: float
    body: str
    checksum: int

    @staticmethod
    def of(number: int, run: str, at: float, body: str) -> StoredExchange:
        """An exchange with the checksum that fits it."""
        return StoredExchange(number, run, at, body, _checksum(number, run, at, body))

    @property
    def is_sound(self) -> bool:
        """Whether it is as it was written."""
        return self.checksum == _checksum(self.number, self.run, self.at, self.body)


def _checksum(number: int, run: str, at: float, body: str) -> int:
    text = f"{number}\n{run}\n{at!r}\n{body}"
    return crc32(text.encode(errors="surrogatepass"))


@dataclass(frozen=True, slots=True)
class ConversationChange:
    """A change of a conversation, by compare-and-set.

    Attributes:
        name: which one.
        expected: the version that it has to have; 0: there is none of that name yet.
        header: what it is from now on; None: it is removed, with all of its exchanges.
        added: exchanges that come to it.
    """

    name: ConversationName
    expected: int
    header: ConversationHeader | None
    added: Sequence[StoredExchange] = ()


def moved(name: ConversationName) -> ConversationMoved:
    """The error of whoever would add to a conversation that has gone on without them."""
    return ConversationMoved(
        f"{name} has gone on since this run began, so what it answers is not an answer any more; "
        "say it again, with another id"
    )
