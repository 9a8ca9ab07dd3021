"""Trace context: which span of a trace code runs in, as the W3C writes it, and how it goes in and out.

    traceparent   00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
                     trace                            span             sampled

Rules:
1. Nothing here needs OpenTelemetry. Its current span is looked at only where a program has loaded it.
2. Ids are random, and say nothing about the run: a model's provider sees them.
3. The spans of a run have ids that follow from its salt and their places, so that the walk can name a span that a sink makes
   later, in another thread.

Source: https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from hashlib import blake2b
from secrets import token_bytes, token_hex

from graphflow.errors import DeclarationError

_SHAPE = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_NO_TRACE = "0" * 32
_NO_SPAN = "0" * 16
MAX_STATE = 512
"""Characters of a tracestate that are passed on (section 3.3.1.5 of the source)."""


@dataclass(frozen=True, slots=True)
class SpanPlace:
    """A span, by the ids that other programs know it by.

    Attributes:
        trace_id: of its trace, 32 hexadecimal digits.
        span_id: its own, 16 hexadecimal digits.
        sampled: whether the trace is recorded.
        state: what vendors have added (`tracestate`), passed on as it is.
    """

    trace_id: str
    span_id: str
    sampled: bool = True
    state: str = ""

    @property
    def traceparent(self) -> str:
        """The header of that name."""
        flags = "01" if self.sampled else "00"
        return f"00-{self.trace_id}-{self.span_id}-{flags}"

    def headers(self) -> dict[str, str]:
        """The headers of a request that is made inside of it; in MCP, the fields of `_meta`."""
        headers = {"traceparent": self.traceparent}
        if self.state:
            headers["tracestate"] = self.state
        return headers


def read_traceparent(text: object) -> SpanPlace:
    """The span that a `traceparent` names.

    Raises:
        DeclarationError: it is none.
    """
    match = _SHAPE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise _no_traceparent(text)
    version, trace_id, span_id, flags, more = match.groups()
    # A later version may have more behind the flags; this one has not.
    is_other_shape = version == "ff" or (version == "00" and more is not None)
    if is_other_shape or trace_id == _NO_TRACE or span_id == _NO_SPAN:
        raise _no_traceparent(text)
    is_sampled = int(flags, 16) & 1 == 1
    return SpanPlace(trace_id, span_id, is_sampled)


def _no_traceparent(text: object) -> DeclarationError:
    shown = repr(text)[:100]
    return DeclarationError(
        f"traceparent={shown}: give the header as the W3C defines it, "
        "'00-' and 32, 16 and 2 hexadecimal digits, as '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'"
    )


class RunTrace:
    """The spans of one sitting of a run.

    Args:
        parent: the span that the run was begun in, if there is one.
        is_recorded: whether somebody makes spans of the run; else what goes out names the parent.
    """

    __slots__ = ("_salt", "is_recorded", "parent", "root")

    def __init__(self, parent: SpanPlace | None, *, is_recorded: bool) -> None:
        self.parent = parent
        self.is_recorded = is_recorded
        self._salt = token_bytes(16)
        # Where nobody makes spans, what goes out names the span that came in: the way through is not broken.
        if is_recorded or parent is None:
            trace_id = token_hex(16)
            is_sampled, state = True, ""
            if parent is not None:
                trace_id = parent.trace_id
                is_sampled, state = parent.sampled, parent.state
            self.root = SpanPlace(trace_id, token_hex(8), is_sampled, state)
        else:
            self.root = parent

    def span_id(self, kind: str, frame: int, number: int) -> str:
        """The id of a span by its place: a frame, an activation of it, a call, a question to a model."""
        # The salt keeps two sittings apart, in which the same places come again.
        place = f"{kind} {frame} {number}".encode()
        return blake2b(place, digest_size=8, key=self._salt).hexdigest()

    def span(self, kind: str, frame: int, number: int) -> SpanPlace:
        """The same with its trace; where no spans are made, the one that the run was begun in."""
        root = self.root
        if not self.is_recorded:
            return root
        return SpanPlace(root.trace_id, self.span_id(kind, frame, number), root.sampled, root.state)


_trace: ContextVar[RunTrace | None] = ContextVar("graphflow_trace", default=None)
"""The trace of the run that code runs in."""
_span: ContextVar[SpanPlace | None] = ContextVar("graphflow_span", default=None)
"""The span that code runs in."""


def current_trace() -> RunTrace | None:
    """The trace of the run that this code runs in; None: it has none."""
    return _trace.get()


def current_span() -> SpanPlace | None:
    """The span that this code runs in: of a run, else of OpenTelemetry, where a program has loaded that."""
    return _span.get() or _span_of_opentelemetry()


def outgoing() -> dict[str, str]:
    """The headers that tell another program which span it is asked from; empty where there is none."""
    span = current_span()
    return {} if span is None else span.headers()


def _span_of_opentelemetry() -> SpanPlace | None:
    # Who has not loaded it has no span of it, and need not wait 55 ms until it is loaded.
    api = sys.modules.get("opentelemetry.trace")
    if api is None:
        return None
    place = api.get_current_span().get_span_context()
    if not place.is_valid:
        return None
    state = place.trace_state.to_header()[:MAX_STATE]
    is_sampled = bool(place.trace_flags.sampled)
    return SpanPlace(f"{place.trace_id:032x}", f"{place.span_id:016x}", is_sampled, state)


@contextmanager
def within_trace(trace: RunTrace) -> Iterator[None]:
    """While a run goes on that has this trace."""
    trace_before = _trace.set(trace)
    span_before = _span.set(trace.root)
    try:
        yield
    finally:
        _span.reset(span_before)
        _trace.reset(trace_before)


def context_of(kind: str, frame: int, number: int) -> Context:
    """A copy of the current context for something that has a span of its own in the trace of its run."""
    context = copy_context()
    trace = _trace.get()
    if trace is not None:
        span = trace.span(kind, frame, number)
        context.run(_span.set, span)
    return context
