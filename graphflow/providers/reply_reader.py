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
from math import inf
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

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""Bytes of one event at most."""
MAX_REPLY_BYTES = 128 * 1024 * 1024
"""Bytes of a whole reply at most."""
MAX_TOKENS = 10**12
"""Tokens that no reply has."""
MAX_FAULT_BYTES = 256 * 1024
"""Bytes of a failure's body that are read."""
SNIFFED_BYTES = 6
"""Bytes that tell a stream from anything else: the longest names of its fields, "event:" and "retry:", have as many."""

SHOWN_BYTES = 200
"""Bytes of what cannot be read that an error shows."""

SHORT = 16
"""Bytes that the mark of the end, and any of the following with its quotes and brackets, are shorter than."""
KEPT_ALIVE = frozenset({b"", b"ping", b"pong", b"keepalive", b"keep-alive", b"heartbeat"})
"""What gateways send as data so that the connection stays open, in place of a comment."""

Mode = Literal["", "sse", "ndjson", "whole", "fault"]


class ReplyReader:
    """Reads one HTTP reply. `feed` it bytes as they come, then `end` it.

    ```
    bytes --feed--> lines --_sse, _ndjson--> payloads --_take--> parser.event --check_events--> events
    ```

    Attributes:
        mode: what kind of reply it is; "" until its first bytes have shown it.
        rest: bytes behind the last line end, of a line that has not ended yet.
        data: the `data:` lines of the event that has not ended yet.
        failure: what is raised once everything before it has been handed on.
    """

    def __init__(
        self,
        wire: Wire,
        dialect: Dialect,
        provider: str,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        *,
        whole: bool = False,
        max_event_bytes: int = MAX_EVENT_BYTES,
        max_reply_bytes: int = MAX_REPLY_BYTES,
    ) -> None:
        self.wire = wire
        self.provider = provider
        self.parser: Parser = wire.parser(dialect)
        self.begin(status, headers or {})
        self.streaming = False
        self.asked_whole = whole
        self.data_size = 0
        self.max_event_bytes = max_event_bytes
        self.max_reply_bytes = max_reply_bytes
        self.total = 0
        self.rest: list[bytes] = []
        self.rest_size = 0
        self.data: list[bytes] = []
        self.name = ""
        self.failure: ModelError | None = None

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Takes note of what came before the body."""
        self.status = status
        self.headers = headers
        self.mode: Mode = "" if 200 <= status < 300 else "fault"

    @property
    def complete(self) -> bool:
        """Whether the terminal event has come, so that nothing more need be read."""
        return self.parser.done

    def feed(self, piece: bytes) -> list[ModelEvent]:
        """The events that these bytes complete.

        Raises:
            ModelError: the stream says that it failed, is not a stream at all, or is larger than the cap.
        """
        if self.failure is not None:
            raise self.failure
        self.total += len(piece)
        if self.total > self.max_reply_bytes:
            raise self._malformed_reply(f"the reply is larger than {self.max_reply_bytes} bytes")
        if not self.streaming:
            piece = self._sniff(piece)
            if not piece:
                return []
        if self.rest:
            # Joined once, not at every piece: an event may come in thousands.
            if b"\n" not in piece:
                self._keep(piece)
                return []
            piece = b"".join((*self.rest, piece))
            self.rest = []
            self.rest_size = 0
        lines = piece.split(b"\n")
        rest = lines.pop()
        if rest:
            self._keep(rest)
        return self._sse(lines) if self.mode == "sse" else self._ndjson(lines)

    def end(self) -> list[ModelEvent]:
        """The events that only the end of the reply brings.

        Raises:
            ModelError: it was a failure, or it ended before its terminal event.
        """
        if self.failure is not None:
            raise self.failure
        body = b"".join(self.rest)
        self.rest = []
        try:
            if self.mode == "fault":
                raise fault(self.provider, self.status, read_body(body), self.headers)
            if self.mode in ("whole", ""):
                return self._whole(body)
            events = self._last(body)
            if self.failure is None:
                events += self._events_at_end(events)
            return events
        except ModelError as error:
            raise self._with_place(error) from None

    # -- framing -----------------------------------------------------------------------------------
    def _sniff(self, piece: bytes) -> bytes:
        """Finds out what it is that comes; bytes to go on with, or none while they are only collected."""
        if self.mode == "fault":
            if self.rest_size < MAX_FAULT_BYTES:
                self._keep(piece)
            return b""
        if self.mode == "whole":
            self._keep(piece)
            return b""
        start = (b"".join(self.rest) + piece).lstrip(b"\xef\xbb\xbf \r\n\t")
        self.rest = []
        mode = self._mode_of(start)
        if mode == "":  # too little to tell
            if start:
                self.rest.append(start)
            return b""
        self.mode = mode
        self.rest_size = 0
        if mode == "whole":
            self._keep(start)
            return b""
        self.streaming = True
        return start

    def _mode_of(self, start: bytes) -> Mode:
        """What a reply is that begins so; "" if that does not show yet."""
        is_document = start[:1] in (b"{", b"[", b"<")
        if len(start) < SNIFFED_BYTES and not is_document:
            return ""
        if not is_document and start.startswith(_FIELDS):
            return "sse"
        has_lines = self.wire.framing == "ndjson" and not self.asked_whole
        return "ndjson" if has_lines and start[:1] == b"{" else "whole"

    def _keep(self, piece: bytes) -> None:
        """Keeps bytes until more has come."""
        self.rest.append(piece)
        self.rest_size += len(piece)
        if self.rest_size > self.max_event_bytes:
            raise self._too_large()

    def _sse(self, lines: list[bytes]) -> list[ModelEvent]:
        events: list[ModelEvent] = []
        for line in lines:
            if not line or line == b"\r":  # the end of an event
                if self.data and not self._take(events):
                    return events
                self.name = ""
                self.data_size = 0
                continue
            if line.endswith(b"\r"):
                line = line[:-1]
            if line.startswith(b"data:"):
                self.data.append(line[5:])
                self.data_size += len(line)
                if self.data_size > self.max_event_bytes:
                    raise self._too_large()
            elif line.startswith(b"event:"):
                self.name = line[6:].strip().decode("utf-8", "replace")
        return events

    def _take(self, events: list[ModelEvent]) -> bool:
        """Adds the events of one payload; False if it says that the reply has failed, which the next call raises."""
        data = (self.data[0] if len(self.data) == 1 else b"\n".join(self.data)).strip()
        self.data = []
        parser = self.parser
        if len(data) < SHORT and self._is_mark(data):
            return True
        if parser.done:
            return True
        try:
            new = parser.event(self._object(data), self.name)
            first = new[0] if len(new) == 1 else None
            if type(first) is TextDelta and type(first.text) is str and type(first.index) is int:
                events.append(first)  # nearly every event of a stream
            else:
                events += check_events(new)
        except ModelError as error:
            self._fail(error, events)
            return False
        except ODD as error:
            self._fail(_odd(error, data), events)
            return False
        return True

    def _is_mark(self, data: bytes) -> bool:
        """Whether a short payload is not an event: it marks the end, or only says that the connection is alive."""
        if data == b"[DONE]":
            self.parser.done = True
            return True
        return data.strip(b'[]"').lower() in KEPT_ALIVE

    def _ndjson(self, lines: list[bytes]) -> list[ModelEvent]:
        events: list[ModelEvent] = []
        for line in lines:
            self.data = [line]
            if not self._take(events):
                break
        return events

    def _fail(self, error: ModelError, events: list[ModelEvent]) -> None:
        """Keeps the failure until what came before it has been handed on, the tokens spent included.

        They were paid for: a limit in dollars counts them, whatever became of the answer.
        """
        self.failure = self._with_place(error)
        try:
            spent = self.parser.spent
            if spent is not None:
                events += check_events([spent])
        except (ModelError, *ODD):
            pass  # a broken count on top of a failure is not news

    def _events_at_end(self, events: list[ModelEvent]) -> list[ModelEvent]:
        try:
            return check_events(self.parser.end())
        except ModelError as error:
            self._fail(error, events)
        except ODD as error:
            self._fail(_odd(error, b""), events)
        return []

    def _object(self, text: bytes) -> dict[str, Any]:
        data = load(text)
        if not isinstance(data, dict):
            raise MalformedReply(f"an event is not a JSON object: {_shown(text)}")
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
            raise MalformedReply(
                f"the reply is neither a stream nor JSON ({kind}): {_shown(body)}"
            ) from None
        # A stream that was not asked for as server-sent events.
        may_be_list = self.wire.name == "gemini"
        if not isinstance(data, (dict, list) if may_be_list else dict):
            raise MalformedReply(f"the reply is not a JSON object ({kind}): {_shown(body)}")
        try:
            events = check_events(self.parser.reply(data))
        except ModelError:
            raise
        except ODD as error:
            raise _odd(error, body) from None
        return events + self._events_at_end(events)

    def _too_large(self) -> MalformedReply:
        return self._malformed_reply(f"one event is larger than {self.max_event_bytes} bytes")

    def _malformed_reply(self, text: str) -> MalformedReply:
        return MalformedReply(
            text, source=self.provider, provider=self.provider, status=self.status
        )

    def _with_place(self, error: ModelError) -> ModelError:
        """The error with what only the reply as a whole knows."""
        if isinstance(error, MalformedReply):
            error.source = self.provider
        error.provider = self.provider
        if error.status is None:
            error.status = self.status
        if not error.request_id:
            headers = self.headers
            error.request_id = headers.get("x-request-id") or headers.get("request-id") or ""
        return error


ODD = (KeyError, TypeError, AttributeError, IndexError, ValueError, OverflowError, RecursionError)
"""What reading a field of the wrong JSON type ends in."""


def _odd(error: Exception, payload: bytes) -> MalformedReply:
    kind = type(error).__name__
    return MalformedReply(
        f"an event does not fit the wire format ({kind}: {error}): {_shown(payload)}"
    )


def check_events(events: list[ModelEvent]) -> list[ModelEvent]:
    """The events, if each holds what it must: replies are untrusted, and what is wrong here would break far away.

    Raises:
        TypeError: a text is not a text, an index is not a number.
    """
    for event in events:
        kind = type(event)
        if kind is TextDelta or kind is ThinkingDelta or kind is RefusalDelta:
            if type(event.text) is not str:  # type: ignore[union-attr]  # these three have one
                raise TypeError("a text is not a string")
            if type(getattr(event, "index", 0)) is not int:
                raise TypeError(_BAD_INDEX)
        elif isinstance(event, CallDelta):
            if not (type(event.id) is type(event.name) is type(event.arguments) is str):
                raise TypeError("the id, name or arguments of a call are not strings")
            if type(event.index) is not int:
                raise TypeError(_BAD_INDEX)
        else:
            _check_rare(event)
    return events


_BAD_INDEX = "the index of a part is not a number"


def _check_rare(event: ModelEvent) -> None:
    match event:
        case Kept():
            if type(event.index) is not int or not isinstance(event.keep, dict):
                raise TypeError(_BAD_INDEX)
        case UsageDelta():
            clamp(event)
        case Cited():
            _check_source(event)
        case Opened():
            event.model = str(event.model)
            event.response_id = str(event.response_id)


def _check_source(source: Cited) -> None:
    if not type(source.url) is type(source.title) is type(source.quote) is str:
        raise TypeError("the address, title or quote of a source is not a string")
    for place in (source.start, source.end):
        is_place = type(place) is int and place >= 0
        if place is not None and not is_place:
            raise TypeError("the place of a source is not a number")


def clamp(usage: UsageDelta) -> None:
    """Token counts as they can be: whole, finite, not negative. Limits and bills are counted with them."""
    usage.input_tokens = _count(usage.input_tokens) or 0
    usage.output_tokens = _count(usage.output_tokens) or 0
    usage.cache_read_tokens = _count(usage.cache_read_tokens)
    usage.cache_write_tokens = _count(usage.cache_write_tokens)
    usage.reasoning_tokens = _count(usage.reasoning_tokens)
    is_price = isinstance(usage.usd, (int, float)) and 0 <= usage.usd < inf
    if not is_price:
        usage.usd = None


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if 0 <= value < MAX_TOKENS else None  # NaN is in no range


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
    start = text[:SHOWN_BYTES].decode("utf-8", "replace")
    if len(text) > SHOWN_BYTES:
        start += CUT
    return repr(start)
