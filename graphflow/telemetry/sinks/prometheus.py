"""Numbers of runs for Prometheus, in a registry of their own, served on request.

    graphflow_run_seconds{graph, outcome}            graphflow_tokens_total{model, type}
    graphflow_node_seconds{graph, node, outcome}     graphflow_cost_usd_total{model}
    graphflow_call_seconds{graph, node, outcome}     graphflow_retries_total{graph, node}
    graphflow_model_seconds{model, outcome}          graphflow_first_token_seconds{model}

Labels are names that a program has written down (graphs, nodes, models), so there are as many series as it has of those:
`MAX_SERIES` of each at most, and what comes then is counted as "other".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from graphflow.errors import MissingExtra, PortUnavailable
from graphflow.telemetry.quantities import MEASURED, Labels, Quantity, quantities_of
from graphflow.telemetry.run_event import RunEvent

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Counter, Histogram

MAX_SERIES = 1_000
BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Seconds: from a step of code to an agent that works for minutes."""
_HISTOGRAMS = {
    "run": ("graphflow_run_seconds", "Seconds of a run.", ("graph", "outcome")),
    "node": (
        "graphflow_node_seconds",
        "Seconds of an activation.",
        ("graph", "node", "outcome"),
    ),
    "call": ("graphflow_call_seconds", "Seconds of a call.", ("graph", "node", "outcome")),
    "model": ("graphflow_model_seconds", "Seconds of a question.", ("model", "outcome")),
    "first": (
        "graphflow_first_token_seconds",
        "Seconds until an answer began.",
        ("model",),
    ),
}
_COUNTERS = {
    "tokens": ("graphflow_tokens", "Tokens read and written.", ("model", "type")),
    "usd": ("graphflow_cost_usd", "Dollars, where prices are known.", ("model",)),
    "retry": ("graphflow_retries", "How often something was tried again.", ("graph", "node")),
}


class PrometheusSink:
    """Counts what runs do.

    Args:
        port: where the numbers are served (`/metrics`), on this machine alone unless `host` says otherwise; None: nowhere,
            `text()` has them.
        host: the address that is listened at.
        registry: where the metrics are registered; default: one of its own.

    Raises:
        MissingExtra: prometheus-client is not installed.
        PortUnavailable: the port cannot be listened at.
    """

    kinds = MEASURED

    def __init__(
        self,
        *,
        port: int | None = None,
        host: str = "127.0.0.1",
        registry: CollectorRegistry | None = None,
    ) -> None:
        try:
            from prometheus_client import CollectorRegistry as NewRegistry
            from prometheus_client import Counter, Histogram
        except ImportError as error:
            raise MissingExtra("PrometheusSink", "prometheus", str(error)) from None
        self.registry = NewRegistry() if registry is None else registry
        self._histograms: dict[str, Histogram] = {}
        for name, (metric, text, labels) in _HISTOGRAMS.items():
            self._histograms[name] = Histogram(
                metric, text, labels, registry=self.registry, buckets=BUCKETS
            )
        self._counters: dict[str, Counter] = {}
        for name, (metric, text, labels) in _COUNTERS.items():
            self._counters[name] = Counter(metric, text, labels, registry=self.registry)
        self._series: dict[tuple[str, Labels], Callable[[float], None]] = {}
        self._count: dict[str, int] = {}
        self.port = port
        """Where it is served; of port 0, the one that was free."""
        self._stop: Callable[[], None] | None = None
        if port is not None:
            self._serve(host, port)

    def take(self, event: RunEvent) -> None:
        """Counts one event."""
        for quantity in quantities_of(event):
            self._note(quantity)

    def _note(self, quantity: Quantity) -> None:
        key = (quantity.name, quantity.labels)
        note = self._series.get(key) or self._new_series(quantity)
        note(quantity.value)

    def _new_series(self, quantity: Quantity) -> Callable[[float], None]:
        name = quantity.name
        count = self._count[name] = self._count.get(name, 0) + 1
        values = dict(quantity.labels)
        if count > MAX_SERIES:
            values = dict.fromkeys(values, "other")
        note: Callable[[float], None]
        if name in self._histograms:
            note = self._histograms[name].labels(**values).observe
        else:
            note = self._counters[name].labels(**values).inc
        if count <= MAX_SERIES:
            self._series[name, quantity.labels] = note
        return note

    def text(self) -> str:
        """The numbers as Prometheus reads them."""
        from prometheus_client import generate_latest

        return generate_latest(self.registry).decode()

    def _serve(self, host: str, port: int) -> None:
        from prometheus_client import start_http_server

        try:
            server, thread = start_http_server(port, addr=host, registry=self.registry)
        except (OSError, OverflowError) as error:
            raise PortUnavailable(
                f"PrometheusSink(port={port!r}): {host}:{port} cannot be listened at: {error}"
            ) from None
        self.port = server.server_port

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        self._stop = stop

    def close(self) -> None:
        """Ends the server, if there is one."""
        stop, self._stop = self._stop, None
        if stop is not None:
            stop()
