"""A collector of traces and numbers that speaks OTLP (protobuf over HTTP), and shows what it was sent."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass
class ReceivedSpan:
    """A span as it came."""

    name: str
    trace: str
    id: str
    parent: str
    started: int
    ended: int
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]
    links: list[tuple[str, str, dict[str, Any]]]
    failed: bool
    children: list[ReceivedSpan] = field(default_factory=list)

    def tree(self) -> Any:
        """Its name, and those of what is in it, in the order in which they began."""
        if not self.children:
            return self.name
        return (self.name, *(child.tree() for child in self.children))

    def find(self, name: str) -> ReceivedSpan:
        """The first span of a name that is in it."""
        for child in self.children:
            if child.name == name:
                return child
            try:
                return child.find(name)
            except LookupError:
                continue
        raise LookupError(name)


class Collector:
    """What was sent."""

    def __init__(self) -> None:
        self.spans: list[ReceivedSpan] = []
        self.metrics: dict[str, list[Any]] = {}
        self.bodies: list[bytes] = []
        self.resources: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.endpoint = ""

    def take(self, path: str, body: bytes) -> bytes:
        self.bodies.append(body)
        if path == "/v1/traces":
            traces = ExportTraceServiceRequest.FromString(body)
            for group in traces.resource_spans:
                self.resources.append(_fields(group.resource.attributes))
                for scope in group.scope_spans:
                    self.spans += [_span(span) for span in scope.spans]
            return ExportTraceServiceResponse().SerializeToString()
        metrics = ExportMetricsServiceRequest.FromString(body)
        for measured in metrics.resource_metrics:
            for metric_scope in measured.scope_metrics:
                for metric in metric_scope.metrics:
                    kind = metric.WhichOneof("data")
                    points = list(getattr(metric, kind or "").data_points)
                    self.metrics.setdefault(metric.name, []).extend(points)
        return ExportMetricsServiceResponse().SerializeToString()

    def roots(self) -> list[ReceivedSpan]:
        """The spans that have no parent here, each with what is in it, in the order in which they began."""
        by_id = {span.id: span for span in self.spans}
        assert len(by_id) == len(self.spans), "two spans have one id"
        roots: list[ReceivedSpan] = []
        for span in sorted(self.spans, key=lambda span: span.started):
            span.children.clear()
        for span in sorted(self.spans, key=lambda span: span.started):
            parent = by_id.get(span.parent)
            (roots if parent is None else parent.children).append(span)
        return roots


def _span(span: Any) -> ReceivedSpan:
    return ReceivedSpan(
        name=span.name,
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        started=span.start_time_unix_nano,
        ended=span.end_time_unix_nano,
        attributes=_fields(span.attributes),
        events=[(event.name, _fields(event.attributes)) for event in span.events],
        links=[
            (link.trace_id.hex(), link.span_id.hex(), _fields(link.attributes))
            for link in span.links
        ],
        failed=span.status.code == 2,
    )


def _fields(attributes: Any) -> dict[str, Any]:
    return {each.key: _value(each.value) for each in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return getattr(value, kind)


@contextmanager
def collecting(status: int = 200) -> Iterator[Collector]:
    """A collector while it runs, which answers with a status."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            collector.headers.append(dict(self.headers))
            answer = collector.take(self.path, body)
            self.send_response(status)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, name="collector", args=(0.05,))
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
