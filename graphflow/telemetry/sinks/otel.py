"""Spans and numbers for OpenTelemetry, by the conventions for generative AI.

    OtelSink("http://localhost:4318")                         OTLP (protobuf over HTTP): spans to /v1/traces, numbers to /v1/metrics
    OtelSink(processor=BatchSpanProcessor(exporter))          to whatever the SDK can export to

Rules:
1. Nothing global is set up: neither the provider of tracers nor that of meters.
2. Spans wait in the SDK's queue, which drops what is too much; `lost` says how many have not arrived.
3. What messages hold is left out, unless `content=True`; then it is looked through for secrets, and cut.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from time import monotonic
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from graphflow._version import __version__
from graphflow.errors import DeclarationError, MissingExtra
from graphflow.event import Event
from graphflow.messages.message import error_text
from graphflow.redaction import is_secret, remember, scrub
from graphflow.telemetry.bounded import bounded_json, bounded_text
from graphflow.telemetry.quantities import MEASURED, Quantity, quantities_of
from graphflow.telemetry.run_event import RunEvent
from graphflow.telemetry.spans import SPANNED, Attribute, Attributes, RunSpans, SpanRecord

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import Event as SpanEvent
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
    from opentelemetry.trace import Link, SpanContext, Status

LOG = logging.getLogger("graphflow.events")
MAX_CONTENT = 8_192
"""Characters of a message in an attribute, unless `max_content` says otherwise."""
MAX_VALUE = 1_000
"""Characters of any other text in an attribute."""
TIMEOUT_S = 5.0
"""Seconds that one export may take, tries after the first included."""
CLOSING_S = 5.0
"""Seconds after which nothing more is sent once the sink is closed."""
INTERVAL_S = 10.0
"""Seconds between two exports of numbers."""
MAX_RUNS = 10_000
"""Runs under way that spans are made of at most: of one that never ends, nobody would hear."""
_SCHEMA = "https://opentelemetry.io/schemas/1.40.0"
_CONTENT = {
    ("run.start", "input"): "graphflow.input",
    ("frame.enter", "input"): "graphflow.input",
    ("run.end", "output"): "graphflow.output",
    ("frame.exit", "output"): "graphflow.output",
    ("node.end", "output"): "graphflow.output",
    ("call.start", "input"): "gen_ai.tool.call.arguments",
    ("call.end", "output"): "gen_ai.tool.call.result",
}
"""The attributes that messages go into, by the event and its field."""
_METERS = {
    "run": ("graphflow.run.duration", "s"),
    "node": ("graphflow.node.duration", "s"),
    "call": ("graphflow.call.duration", "s"),
    "model": ("gen_ai.client.operation.duration", "s"),
    "first": ("gen_ai.client.operation.time_to_first_chunk", "s"),
    "tokens": ("gen_ai.client.token.usage", "{token}"),
}
_COUNTERS = {"usd": ("graphflow.cost.usd", "USD"), "retry": ("graphflow.retries", "{retry}")}
_LABELS = {
    "graph": "graphflow.graph",
    "node": "graphflow.node",
    "outcome": "graphflow.outcome",
    "type": "gen_ai.token.type",
}


class OtelSink:
    """Makes spans and numbers of what runs tell.

    Args:
        endpoint: the address of a collector, without `/v1/traces`; default: what `OTEL_EXPORTER_OTLP_ENDPOINT` says, else
            this machine's port 4318.
        headers: sent with each export; a value that is a key is looked for in all that leaves.
        service: what the program is called (`service.name`); default: what `OTEL_SERVICE_NAME` says, else "graphflow".
        content: whether messages are shown.
        max_content: characters of a message.
        ratio: which part of the runs is shown that belong to no trace of others.
        metrics: whether numbers are exported, too.
        processor: where spans go instead of to an endpoint.
        reader: who reads the numbers instead of an endpoint.

    Attributes:
        lost: how many spans could not be delivered.

    Raises:
        MissingExtra: the SDK, or its exporter, is not installed.
        DeclarationError: an argument is out of range.
    """

    traces = True

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        service: str | None = None,
        content: bool = False,
        max_content: int = MAX_CONTENT,
        ratio: float = 1.0,
        metrics: bool = True,
        processor: SpanProcessor | None = None,
        reader: MetricReader | None = None,
    ) -> None:
        _check_endpoint(endpoint)
        _check_range("ratio", ratio, 0, 1)
        _check_range("max_content", max_content, 1, 1_000_000)
        try:
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.util.instrumentation import InstrumentationScope
        except ImportError as error:
            raise MissingExtra("OtelSink", "otel", str(error)) from None
        self.kinds: tuple[str, ...] = SPANNED
        self._resource = Resource.create({"service.name": service} if service else None)
        if not service and self._resource.attributes.get("service.name") == "unknown_service":
            self._resource = self._resource.merge(Resource({"service.name": "graphflow"}))
        self._scope = InstrumentationScope("graphflow", __version__, _SCHEMA)
        self._content = content
        self._max_content = max_content
        self._ratio = ratio
        self._runs: dict[str, RunSpans] = {}
        self._exporter: CountingExporter | None = None
        self._processor = processor or self._batching(endpoint, headers)
        self._meters: Meters | None = None
        if metrics and (reader is not None or processor is None):
            self.kinds = tuple(dict.fromkeys((*SPANNED, *MEASURED)))
            self._meters = Meters(self._resource, reader or _otlp_reader(endpoint, headers))
        self.made = 0
        """How many spans it has made."""

    def _batching(self, endpoint: str | None, headers: Mapping[str, str] | None) -> SpanProcessor:
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        self._exporter = CountingExporter(_otlp_exporter(endpoint, headers))
        return BatchSpanProcessor(cast("SpanExporter", self._exporter))

    def take(self, event: RunEvent) -> None:
        """Takes one event."""
        if self._meters is not None:
            for quantity in quantities_of(event):
                self._meters.note(quantity)
        spans = self._runs.get(event.run)
        if spans is None:
            if event.kind == "run.end" or len(self._runs) >= MAX_RUNS:
                return
            describe = self._describe if self._content else None
            spans = self._runs[event.run] = RunSpans(event.source, self._emit, describe)
        if spans.take(event):
            del self._runs[event.run]

    @property
    def lost(self) -> int:
        """How many spans could not be delivered."""
        return 0 if self._exporter is None else self._exporter.lost

    # -- spans -------------------------------------------------------------------------------------
    def _emit(self, run: RunSpans, span: SpanRecord) -> None:
        if not self._is_sampled(run):
            return
        self._processor.on_end(self._readable(run, span))
        self.made += 1

    def _is_sampled(self, run: RunSpans) -> bool:
        trace = run.trace
        if trace.parent is not None:
            return trace.root.sampled
        # As TraceIdRatioBased of the SDK: the lower 64 bits decide, so that all parts of a trace agree.
        low = int(trace.root.trace_id[16:], 16)
        return low < self._ratio * 2**64

    def _readable(self, run: RunSpans, span: SpanRecord) -> ReadableSpan:
        from opentelemetry.sdk.trace import ReadableSpan

        tools = _tools()
        trace_id = int(run.trace.root.trace_id, 16)
        is_root = span.kind == "run"
        parent = None
        if span.parent:
            parent = _context(trace_id, span.parent, is_remote=is_root)
        links: Sequence[Link] = ()
        if is_root and run.links:
            links = self._links(run)
        marks: list[SpanEvent] = []
        for mark in span.marks:
            clean = self._clean(mark.attributes)
            marks.append(tools.event(mark.name, clean, int(mark.seconds * 1e9)))
        attributes = self._clean(span.attributes)
        if span.error is not None:
            failure = _failure(span.error)
            attributes["error.type"] = failure["exception.type"]
            marks.append(tools.event("exception", failure, int(span.ended * 1e9)))
        elif span.outcome in ("failed", "limited"):
            attributes["error.type"] = span.outcome
        return ReadableSpan(
            span.name,
            _context(trace_id, span.id),
            parent,
            self._resource,
            attributes,
            marks,
            links,
            tools.client if span.kind == "model" else tools.internal,
            status=tools.status_of(span, attributes),
            start_time=int(span.started * 1e9),
            end_time=int(span.ended * 1e9),
            instrumentation_scope=self._scope,
        )

    def _links(self, run: RunSpans) -> list[Link]:
        """Links to the sittings that a run goes on from, of its own or of the run that it was forked from."""
        from opentelemetry.trace import Link

        links: list[Link] = []
        for before in run.links:
            _, trace_id, span_id, _ = before.traceparent.split("-")
            way = "resume" if before.run == run.source.run else "fork"
            attributes = {"graphflow.link": way, "graphflow.run.id": before.run}
            context = _context(int(trace_id, 16), span_id, is_remote=True)
            links.append(Link(context, attributes))
        return links

    def _clean(self, attributes: Attributes) -> dict[str, Attribute]:
        """Attributes without secrets, and with an end."""
        clean: dict[str, Attribute] = {}
        for name, value in attributes.items():
            if isinstance(value, str) and name not in _CUT:
                value = bounded_text(value, MAX_VALUE)
            clean[name] = value
        return clean

    def _describe(self, event: Event, attributes: Attributes) -> None:
        """Adds the messages of an event."""
        limit = self._max_content
        for name in ("input", "output"):
            attribute = _CONTENT.get((event.kind, name))
            if attribute is not None:
                attributes[attribute] = bounded_json(getattr(event, name), limit)
        if event.kind == "model.end":
            text = bounded_text(getattr(event, "text", ""), limit)
            part = {"type": "text", "content": text}
            finish = getattr(event, "finish", "")
            answer = {"role": "assistant", "parts": [part], "finish_reason": finish}
            attributes["gen_ai.output.messages"] = bounded_json([answer], 2 * limit)

    def close(self) -> None:
        """Sends what is left, for some seconds; a collector that is down is not waited for longer."""
        if self._exporter is not None:
            self._exporter.hurry()
        self._processor.shutdown()
        if self._meters is not None:
            self._meters.close()
        if self.lost:
            LOG.error("%d of %d spans have not reached the collector", self.lost, self.made)


_CUT = frozenset({*_CONTENT.values(), "gen_ai.output.messages"})
"""Attributes that were looked through and cut when they were made."""


class Meters:
    """The instruments that numbers go into."""

    def __init__(self, resource: Resource, reader: MetricReader) -> None:
        from opentelemetry.sdk.metrics import MeterProvider

        self._provider = MeterProvider([reader], resource, shutdown_on_exit=False)
        meter = self._provider.get_meter("graphflow", __version__, _SCHEMA)
        self._note: dict[str, Callable[[float, Mapping[str, str]], None]] = {}
        for name, (metric, unit) in _METERS.items():
            self._note[name] = meter.create_histogram(metric, unit).record
        for name, (metric, unit) in _COUNTERS.items():
            self._note[name] = meter.create_counter(metric, unit).add

    def note(self, quantity: Quantity) -> None:
        """Counts one number."""
        attributes: dict[str, str] = {}
        for label, value in quantity.labels:
            if label == "model":
                provider, _, model = value.partition(":")
                attributes["gen_ai.operation.name"] = "chat"
                attributes["gen_ai.provider.name"] = provider
                attributes["gen_ai.request.model"] = model or value
            else:
                attributes[_LABELS[label]] = value
        self._note[quantity.name](quantity.value, attributes)

    def close(self) -> None:
        """Exports what is left."""
        self._provider.shutdown(timeout_millis=CLOSING_S * 1_000)


class CountingExporter:
    """An exporter that counts what it could not deliver, and gives up in time once it is to end."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._inner = exporter
        self._lock = threading.Lock()
        self._end: float | None = None
        self.lost = 0

    def hurry(self) -> None:
        """From now on it sends for some seconds only."""
        self._end = monotonic() + CLOSING_S

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Sends spans."""
        from opentelemetry.sdk.trace.export import SpanExportResult

        result = SpanExportResult.FAILURE
        if self._end is None or monotonic() < self._end:
            result = self._inner.export(spans)
        if result is not SpanExportResult.SUCCESS:
            with self._lock:
                self.lost += len(spans)
        return result

    def shutdown(self) -> None:
        """Ends the exporter."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits here."""
        return True


# -- what the SDK wants ----------------------------------------------------------------------------
class SpanTools:
    """Classes of the SDK, looked up once: an import in each span would cost a microsecond."""

    def __init__(self) -> None:
        from opentelemetry.sdk.trace import Event as SpanEvent
        from opentelemetry.trace import (
            SpanContext,
            SpanKind,
            Status,
            StatusCode,
            TraceFlags,
            TraceState,
        )

        self._context = SpanContext
        self._sampled = TraceFlags(TraceFlags.SAMPLED)
        self._no_state = TraceState()
        self.internal = SpanKind.INTERNAL
        self.client = SpanKind.CLIENT
        self._mark = SpanEvent
        self._status = Status
        self._codes = StatusCode
        self._unset = Status(StatusCode.UNSET)

    def context(self, trace_id: int, span_id: int, is_remote: bool) -> SpanContext:
        """A span as others name it."""
        return self._context(trace_id, span_id, is_remote, self._sampled, self._no_state)

    def event(self, name: str, attributes: Mapping[str, Attribute], nanoseconds: int) -> SpanEvent:
        """Something that happened within a span."""
        return self._mark(name, attributes, nanoseconds)

    def status_of(self, span: SpanRecord, attributes: Mapping[str, Attribute]) -> Status:
        """Whether a span has failed, and why."""
        if span.error is None and span.outcome not in ("failed", "limited"):
            return self._unset
        why = attributes.get("graphflow.error", "")
        if span.error is not None:
            why = _error_line(span.error)
        return self._status(self._codes.ERROR, str(why))


@cache
def _tools() -> SpanTools:
    return SpanTools()


def _context(trace_id: int, span_id: str, *, is_remote: bool = False) -> SpanContext:
    return _tools().context(trace_id, int(span_id, 16), is_remote)


def _error_line(error: BaseException) -> str:
    return bounded_text(error_text(error), MAX_VALUE)


def _failure(error: BaseException) -> dict[str, Attribute]:
    """An exception, as the conventions have it. Its stack is left out: it shows paths of a machine, and values."""
    kind = type(error)
    name = (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
    return {"exception.type": name, "exception.message": _error_line(error)}


def _otlp_exporter(endpoint: str | None, headers: Mapping[str, str] | None) -> SpanExporter:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise MissingExtra("OtelSink", "otel", str(error)) from None
    _remember(headers)
    at = None if endpoint is None else f"{endpoint.rstrip('/')}/v1/traces"
    return OTLPSpanExporter(at, headers=headers, timeout=TIMEOUT_S)


def _otlp_reader(endpoint: str | None, headers: Mapping[str, str] | None) -> MetricReader:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    at = None if endpoint is None else f"{endpoint.rstrip('/')}/v1/metrics"
    exporter = OTLPMetricExporter(at, headers=headers, timeout=TIMEOUT_S)
    return PeriodicExportingMetricReader(exporter, INTERVAL_S * 1_000, TIMEOUT_S * 1_000)


def _remember(headers: Mapping[str, str] | None) -> None:
    """Has keys of a collector looked for in all that leaves."""
    for name, value in (headers or {}).items():
        if is_secret(name):
            remember(value, f"header {name}")


def _check_endpoint(endpoint: object) -> None:
    """Refuses what is not an address of a collector.

    Raises:
        DeclarationError: it is none, or holds a password.
    """
    if endpoint is None:
        return
    parts = urlsplit(endpoint) if isinstance(endpoint, str) else None
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        shown = scrub(repr(endpoint))
        raise DeclarationError(
            f"OtelSink(endpoint={shown}): give an address such as 'http://localhost:4318'"
        )
    if parts.username or parts.password:
        raise DeclarationError(
            "OtelSink(endpoint=...): its address holds a password; give headers=..."
        )


def _check_range(name: str, value: object, least: float, most: float) -> None:
    """Refuses a number that is out of range.

    Raises:
        DeclarationError: it is, or is not a number.
    """
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not least <= value <= most:  # type: ignore[operator]  # a number, as was just seen
        raise DeclarationError(
            f"OtelSink({name}={value!r}): give a number from {least:g} to {most:g}"
        )
