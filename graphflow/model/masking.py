"""What a model is asked and answers, without secrets: before anything is read from it.

Rules:
1. Each channel of a stream (text, each stretch of reasoning, each call, a refusal) is masked for itself, across its pieces.
   Parts of one text are one channel: they are read as one.
2. What a provider has signed is never edited. Reasoning that holds a secret is dropped from what goes back to the provider,
   and so is a part of the provider's own that does.
3. Places in a text that was changed mean nothing any more: sources of it are kept, without the stretch that rests on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from copy import copy
from dataclasses import replace
from operator import is_
from typing import TypeAlias

from graphflow.messages.masking import MaskText, masked
from graphflow.model.reply import Reply, ReplyBuilder
from graphflow.model.seam import (
    CallDelta,
    Cited,
    Finished,
    Kept,
    Likely,
    LogprobsDelta,
    ModelEvent,
    RefusalDelta,
    Request,
    Restarted,
    TextDelta,
    ThinkingDelta,
)
from graphflow.model.turns import AssistantTurn, Part, TextPart, Thinking, ToolCall, Turn
from graphflow.secrets.mask import MaskedStream, SecretPlace
from graphflow.secrets.opened import OpenSecrets

Channel: TypeAlias = tuple[str, int]
"""What is said, and in which part of the answer."""
TEXT: Channel = ("text", 0)
"""The channel of all parts of the text."""
Deliver: TypeAlias = Callable[[ModelEvent], None]
"""Hands on an event."""
NoteFound: TypeAlias = Callable[[str, SecretPlace], None]
"""Is told of a secret, and where it stood."""


class MaskedReply:
    """One answer while it comes.

    Args:
        secrets: what is masked.
        note: is told of each secret: where ("text", "thinking", "arguments", ...), and what.
    """

    def __init__(self, secrets: OpenSecrets, note: NoteFound) -> None:
        self.secrets = secrets
        self.note = note
        self._begin()

    def _begin(self) -> None:
        self.tainted: set[Channel] = set()
        """Channels in which something was masked."""
        self.text = self._stream(TEXT)
        self.text_index = 0
        """The part that what is held back of the text belongs to."""
        self.streams: dict[Channel, MaskedStream] = {}
        self.likely: list[Likely] = []

    def clean(self, event: ModelEvent, deliver: Deliver) -> ModelEvent | None:
        """One event without secrets; None if there is nothing to hand on yet.

        Args:
            event: as it came.
            deliver: hands on what was held back, when nothing more comes.
        """
        # Nearly every event, and most of these hold nothing that may be a secret: they are handed on as they are.
        if type(event) is TextDelta:
            piece = event.text
            stream = self.text
            # `MaskedStream.feed` without a call: this is what masking costs each word that a model says.
            moves = stream.moves[piece]
            if moves is not None:
                stream.moves = moves
                stream.at += len(piece)
                return event
            return self._clean_text(event)
        match event:
            case ThinkingDelta():
                text = self._feed(("thinking", event.index), event.text)
                return ThinkingDelta(text, event.index)
            case CallDelta():
                arguments = self._feed(("call", event.index), event.arguments)
                return replace(event, arguments=arguments)
            case RefusalDelta():
                return RefusalDelta(self._feed(("refusal", 0), event.text))
            case Finished():
                # Nothing more comes, so nothing that is held back can become a secret.
                for rest in self._ends():
                    deliver(rest)
                return event
            case Restarted():
                self._begin()  # what was held back of the try before is void, as all of it is
                return event
            case _:
                return self._clean_rare(event)

    def _clean_text(self, event: TextDelta) -> TextDelta | None:
        """A piece of the text that may have to do with a secret."""
        text = self.text.feed_doubtful(event.text)
        if text is event.text:
            return event
        self.text_index = event.index
        if not text:  # all of it is held back
            return None
        return TextDelta(text, event.index)

    def _clean_rare(self, event: ModelEvent) -> ModelEvent | None:
        match event:
            case Kept():
                return self._clean_kept(event)
            case Cited():
                clean = masked(event, self._masker("source"))
                if TEXT in self.tainted:
                    clean = replace(clean, start=None, end=None, index=None)
                return clean
            case LogprobsDelta():
                # They spell the text once more, and it is not known yet whether that holds a secret.
                self.likely += event.tokens
                return None
            case _:
                return event

    def _clean_kept(self, event: Kept) -> Kept | None:
        """What a provider wants back, if there is no secret in it or in what it belongs to."""
        clean = masked(event.keep, self._masker(f"{event.part} of the provider's own"))
        channel = _channel_of(event.part, event.index)
        if clean is not event.keep:
            self.tainted.add(channel)
        return None if channel in self.tainted else event

    def _masker(self, where: str) -> MaskText:
        def mask(text: str, path: str) -> str:
            return self.secrets.mask(text, lambda found: self.note(where, found))

        return mask

    def _feed(self, channel: Channel, piece: str) -> str:
        stream = self.streams.get(channel)
        if stream is None:
            stream = self.streams[channel] = self._stream(channel)
        return stream.feed(piece)

    def _stream(self, channel: Channel) -> MaskedStream:
        kind, _ = channel

        def note(found: SecretPlace) -> None:
            self.tainted.add(channel)
            self.note(kind, found)

        return self.secrets.stream(note)

    def _ends(self) -> Iterator[ModelEvent]:
        """What was held back of each channel, now that it has ended."""
        text = self.text.end()
        if text:
            yield TextDelta(text, self.text_index)
        for channel, stream in self.streams.items():
            rest = stream.end()
            if rest:
                yield _piece(channel, rest)
        # What could have stood there is as telling as what does.
        tokens = "".join(place.token for place in self.likely)
        others = "".join(token for place in self.likely for token, _ in place.top)
        if self.likely and not self.secrets.spans(tokens) and not self.secrets.spans(others):
            yield LogprobsDelta(tuple(self.likely))

    def finish(self, reply: Reply, builder: ReplyBuilder) -> None:
        """Drops what must not go back to the provider from a whole answer."""
        kept: list[Part] = []
        for (kind, index), part in zip(builder.growing, reply.parts, strict=True):
            if _channel_of(kind, index) in self.tainted:
                kept += _without_keep(part)
            else:
                kept.append(part)
        reply.parts = tuple(kept)
        reply.calls = tuple(part for part in kept if isinstance(part, ToolCall))

    def broken_off(self, builder: ReplyBuilder) -> Reply:
        """What has come of an answer that broke off, without what must not go back to the provider."""
        reply = copy(builder.whole())  # the builder makes its own anew each time that it is asked
        self.finish(reply, builder)
        return reply


def _channel_of(kind: str, index: int) -> Channel:
    """The channel of a part: all parts of a text are one."""
    return kind, 0 if kind == "text" else index


def _piece(channel: Channel, text: str) -> ModelEvent:
    kind, index = channel
    match kind:
        case "thinking":
            return ThinkingDelta(text, index)
        case "call":
            return CallDelta(index, arguments=text)
        case _:
            return RefusalDelta(text)


def _without_keep(part: Part) -> Iterable[Part]:
    """A part that was changed, without what its provider has signed; what is nothing without that is dropped."""
    match part:
        case TextPart() | ToolCall():
            return [replace(part, keep={})]
        case _:
            return []


# -- turns and requests ----------------------------------------------------------------------------
def masked_turns(turns: Iterable[Turn], secrets: OpenSecrets, note: NoteFound) -> tuple[Turn, ...]:
    """Turns without secrets; those are the same in which there are none."""

    def mask(text: str, _: str) -> str:
        return secrets.mask(text, lambda found: note("turns", found))

    return tuple([_masked_turn(turn, mask) for turn in turns])


def masked_request(request: Request, secrets: OpenSecrets, note: NoteFound) -> Request:
    """A request without secrets; the same one if there are none in it."""

    def mask_in(where: str) -> MaskText:
        return lambda text, _: secrets.mask(text, lambda found: note(where, found))

    turns = masked_turns(request.turns, secrets, note)
    system = masked(request.system, mask_in("instructions"))
    tools = masked(request.tools, mask_in("tools"))
    schema = masked(request.output_schema, mask_in("schema"))
    before = (*request.turns, request.system, request.tools, request.output_schema)
    after = (*turns, system, tools, schema)
    if all(map(is_, before, after)):
        return request
    return replace(request, turns=turns, system=system, tools=tools, output_schema=schema)


def _masked_turn(turn: Turn, mask: MaskText) -> Turn:
    clean = masked(turn, mask)
    if clean is turn or not isinstance(clean, AssistantTurn) or not isinstance(turn, AssistantTurn):
        return clean
    # Part by part, for some are signed and others are not.
    parts: list[Part] = []
    for before, after in zip(turn.parts, clean.parts, strict=True):
        if before is after or not (before.keep or isinstance(before, Thinking)):
            parts.append(after)
        else:
            parts += _without_keep(after)
    return replace(clean, parts=tuple(parts))
