"""From the bytes of a reply to events: framing, size caps, and the choice between a stream, a whole reply and a failure.

Rules:
1. Lines end at LF or CR LF and nowhere else: JSON may hold U+2028 and its kin, which `str.splitlines` cuts at.
2. The status decides first; then the first bytes tell a stream from a whole reply, not the content type, which servers
   get wrong (the HTML standard, section 9.2, gives the framing of server-sent events).
3. Whatever the size of the pieces, the events are the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic_core import from_json

from graphflow.errors import MalformedReply, ModelError
from graphflow.model.seam import (
    CallDelta,
    Cited,
    Kept,
    ModelEvent,
    Opened,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    UsageDelta,
)
from graphflow.providers.faults import CUT, fault, read_body
from graphflow.providers.wires.wire import Dialect, Parser, Wire

LARGEST_EVENT = 16 * 1024 * 1024
"""Bytes of one event at most."""
LARGEST_REPLY = 128 * 1024 * 1024
"""Bytes of a whole reply at most."""
MOST_TOKENS = 10**12
"""Tokens that no reply has."""
LARGEST_FAULT = 256 * 1024
"""Bytes of a failure's body that are read."""

KEPT_ALIVE = frozenset({b"", b"ping", b"pong", b"keepalive", b"keep-alive", b"heartbeat"})
"""What gateways send as data so that the connection stays open, in place of a comment."""

Mode = Literal["", "sse", "ndjson", "whole", "fault"]


class ReplyReader:
    """Reads one HTTP reply. `feed` it bytes as they come, then `end` it."""

    def __init__(
        self,
        wire: Wire,
        dialect: Dialect,
        provider: str,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        *,
        whole: bool = False,
        largest_event: int = LARGEST_EVENT,
        largest_reply: int = LARGEST_REPLY,
    ) -> None:
        self.wire = wire
        self.provider = provider
        self.status = status
        self.headers = headers or {}
        self.parser: Parser = wire.parser(dialect)
        self.mode: Mode = "" if 200 <= status < 300 else "fault"
        self.streaming = False
        self.asked_whole = whole
        self.data_size = 0
        self.largest_event = largest_event
        self.largest_reply = largest_reply
        self.total = 0
        self.held: list[bytes] = []
        self.held_size = 0
        self.data: list[bytes] = []
        self.name = ""
        self.failure: ModelError | None = None

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Takes note of what came before the body."""
        self.status, self.headers = status, headers
        self.mode = "" if 200 <= status < 300 else "fault"

    @property
    def complete(self) -> bool:
        """Whether the terminal event has come, so that nothing more need be read."""
        return self.parser.done

    def feed(self, piece: bytes) -> list[ModelEvent]:
        """The events that these bytes complete.

        Raises:
            ModelError: the stream says that it failed, is no stream at all, or is larger than the cap.
        """
        if self.failure is not None:
            raise self.failure
        self.total += len(piece)
        if self.total > self.largest_reply:
            raise self._malformed(f"the reply is larger than {self.largest_reply} bytes")
        if not self.streaming:
            piece = self._sniff(piece)
            if not piece:
                return []
        if self.held:
            if b"\n" not in piece:  # joined once, not at every piece: an event may come in thousands
                self._hold(piece)
                return []
            piece = b"".join((*self.held, piece))
            self.held, self.held_size = [], 0
        lines = piece.split(b"\n")
        rest = lines.pop()
        if rest:
            self._hold(rest)
        return self._sse(lines) if self.mode == "sse" else self._ndjson(lines)

    def end(self) -> list[ModelEvent]:
        """The events that only the end of the reply tells.

        Raises:
            ModelError: it was a failure, or it ended before its terminal event.
        """
        if self.failure is not None:
            raise self.failure
        body = b"".join(self.held)
        self.held = []
        try:
            if self.mode == "fault":
                raise fault(self.provider, self.status, read_body(body), self.headers)
            if self.mode in ("whole", ""):
                return self._whole(body)
            events = self._last(body)
            ended = [] if self.failure else self._ended(events)
            return [*events, *ended]
        except ModelError as error:
            raise self._placed(error) from None

    # -- framing -------------------------------------------------------------------------------------------------------
    def _sniff(self, piece: bytes) -> bytes:
        """Finds out what it is that comes; bytes to go on with, or none while they are only collected."""
        if self.mode == "fault":
            if self.held_size < LARGEST_FAULT:
                self._hold(piece)
            return b""
        if self.mode == "whole":
            self._hold(piece)
            return b""
        start = (b"".join(self.held) + piece).lstrip(b"\xef\xbb\xbf \r\n\t")
        self.held = []
        if len(start) < 6 and start[:1] not in (b"{", b"[", b"<"):
            if start:
                self.held.append(start)  # too little to tell
            return b""
        if start[:1] in (b"{", b"[", b"<") or not start.startswith(_FIELDS):
            lines = start[:1] == b"{" and self.wire.framing == "ndjson" and not self.asked_whole
            self.mode = "ndjson" if lines else "whole"
        else:
            self.mode = "sse"
        self.held, self.held_size = [], 0
        if self.mode == "whole":
            self._hold(start)
            return b""
        self.streaming = True
        return start

    def _hold(self, piece: bytes) -> None:
        self.held.append(piece)
        self.held_size += len(piece)
        if self.held_size > self.largest_event:
            raise self._malformed(f"one event is larger than {self.largest_event} bytes")

    def _sse(self, lines: list[bytes]) -> list[ModelEvent]:
        events: list[ModelEvent] = []
        for line in lines:
            if line.endswith(b"\r"):
                line = line[:-1]
            if line.startswith(b"data:"):
                self.data.append(line[5:])
                self.data_size += len(line)
                if self.data_size > self.largest_event:
                    raise self._malformed(f"one event is larger than {self.largest_event} bytes")
            elif not line:
                if self.data and not self._take(events):
                    return events
                self.name = ""
                self.data_size = 0
            elif line.startswith(b"event:"):
                self.name = line[6:].strip().decode("utf-8", "replace")
        return events

    def _take(self, events: list[ModelEvent]) -> bool:
        """Adds the events of one payload; False if it says that the reply has failed, which the next call raises."""
        data = (self.data[0] if len(self.data) == 1 else b"\n".join(self.data)).strip()
        self.data = []
        parser = self.parser
        if data == b"[DONE]":
            parser.done = True
        elif data and not parser.done and not (len(data) < 16 and data.strip(b'[]"').lower() in KEPT_ALIVE):
            try:
                told = parser.event(self._object(data), self.name)
                first = told[0] if len(told) == 1 else None
                if type(first) is TextDelta and type(first.text) is str and type(first.index) is int:
                    events.append(first)  # nearly every event of a stream
                else:
                    events += checked(told)
            except ModelError as error:
                self._fail(error, events)
                return False
            except ODD as error:
                self._fail(_odd(error, data), events)
                return False
        return True

    def _ndjson(self, lines: list[bytes]) -> list[ModelEvent]:
        events: list[ModelEvent] = []
        for line in lines:
            self.data = [line]
            if not self._take(events):
                break
        return events

    def _fail(self, error: ModelError, events: list[ModelEvent]) -> None:
        """Keeps the failure until what came before it has been handed on, the tokens spent included."""
        self.failure = self._placed(error)
        try:
            spent = self.parser.spent
            if spent is not None:
                events += checked([spent])
        except (ModelError, *ODD):
            pass

    def _ended(self, events: list[ModelEvent]) -> list[ModelEvent]:
        try:
            return checked(self.parser.end())
        except ModelError as error:
            self._fail(error, events)
        except ODD as error:
            self._fail(_odd(error, b""), events)
        return []

    def _object(self, text: bytes) -> dict[str, Any]:
        data = load(text)
        if not isinstance(data, dict):
            raise MalformedReply(f"an event is no JSON object: {_shown(text)}")
        return data

    def _last(self, line: bytes) -> list[ModelEvent]:
        """The last event, if it is whole though its line end is missing. One that was cut is not read."""
        line = line.strip()
        if self.mode == "sse":
            if line.startswith(b"data:"):
                self.data.append(line[5:])
            line = b"\n".join(self.data).strip()
        if not line:
            return []
        try:
            if line != b"[DONE]":
                load(line)
        except MalformedReply:
            return []
        return self._sse([b""]) if self.mode == "sse" else self._ndjson([line])

    def _whole(self, body: bytes) -> list[ModelEvent]:
        kind = self.headers.get("content-type", "no content type")
        if not body.strip():
            raise MalformedReply("the reply is empty")
        try:
            data = load(body)
        except MalformedReply:
            raise MalformedReply(f"the reply is neither a stream nor JSON ({kind}): {_shown(body)}") from None
        if not isinstance(data, (dict, list)) or (isinstance(data, list) and self.wire.name != "gemini"):
            raise MalformedReply(f"the reply is no JSON object ({kind}): {_shown(body)}")
        try:
            events = checked(self.parser.reply(data))
        except ModelError:
            raise
        except ODD as error:
            raise _odd(error, body) from None
        ended = self._ended(events)
        return [*events, *ended]

    def _malformed(self, text: str) -> MalformedReply:
        return MalformedReply(f"{self.provider}: {text}", provider=self.provider, status=self.status)

    def _placed(self, error: ModelError) -> ModelError:
        """The error with what only the reply as a whole knows."""
        if isinstance(error, MalformedReply) and not error.provider:
            error.args = (f"{self.provider}: {error}",)
        error.provider = self.provider
        error.status = self.status if error.status is None else error.status
        if not error.request_id:
            error.request_id = self.headers.get("x-request-id") or self.headers.get("request-id") or ""
        return error


ODD = (KeyError, TypeError, AttributeError, IndexError, ValueError, OverflowError, RecursionError)
"""What reading a field of the wrong JSON type ends in."""


def _odd(error: Exception, payload: bytes) -> MalformedReply:
    return MalformedReply(
        f"an event is not as the wire format has it ({type(error).__name__}: {error}): {_shown(payload)}"
    )


def checked(events: list[ModelEvent]) -> list[ModelEvent]:
    """The events, if each holds what it must: replies are untrusted, and what is wrong here would break far away.

    Raises:
        TypeError: a text is none, an index is none.
    """
    for event in events:
        kind = type(event)
        if kind is TextDelta or kind is ThinkingDelta or kind is RefusalDelta:
            if type(event.text) is not str:  # type: ignore[union-attr]  # these three have one
                raise TypeError("a text that is none")
            if type(getattr(event, "index", 0)) is not int:
                raise TypeError("a part whose number is none")
        elif isinstance(event, Kept):
            if type(event.index) is not int or not isinstance(event.keep, dict):
                raise TypeError("a part whose number is none")
        elif isinstance(event, CallDelta):
            if not (type(event.id) is type(event.name) is type(event.arguments) is str and type(event.index) is int):
                raise TypeError("a call whose id, name or arguments are no texts")
        elif isinstance(event, UsageDelta):
            clamp(event)
        elif isinstance(event, Cited):
            _check_source(event)
        elif isinstance(event, Opened):
            event.model, event.response_id = str(event.model), str(event.response_id)
    return events


def _check_source(source: Cited) -> None:
    if not type(source.url) is type(source.title) is type(source.quote) is str:
        raise TypeError("a source whose address, title or words are no texts")
    if not all(place is None or (type(place) is int and place >= 0) for place in (source.start, source.end)):
        raise TypeError("a source whose place is none")


def clamp(usage: UsageDelta) -> None:
    """Token counts as they can be: whole, finite, not negative. Limits and bills are counted with them."""
    for name in ("input_tokens", "output_tokens"):
        setattr(usage, name, _count(getattr(usage, name)) or 0)
    for name in ("cache_read_tokens", "cache_write_tokens", "reasoning_tokens"):
        setattr(usage, name, _count(getattr(usage, name)))
    if not (isinstance(usage.usd, (int, float)) and 0 <= usage.usd < float("inf")):
        usage.usd = None


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < MOST_TOKENS:
        return None
    return int(value)


_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")


def load(text: bytes) -> Any:
    """JSON, also with half an emoji in it: an escape that is cut between two events is legal JSON, but no text yet."""
    try:
        return from_json(text)
    except ValueError:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise MalformedReply(f"not JSON: {_shown(text)}") from None


def _shown(text: bytes) -> str:
    return repr(text[:200].decode("utf-8", "replace") + (CUT if len(text) > 200 else ""))
