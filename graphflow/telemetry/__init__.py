"""Telemetry: what runs tell, led to whoever wants it: functions, loops, files, logs, collectors. No walk waits for any of them.

subscribe       events of all runs of this process: `subscribe("node.*", to=print)`; `graph.subscribe`, `run.subscribe` as well
flush           waits until what was told so far is handed on
Subscription    what `subscribe` gives: read it, close it
RunEvent        an event with its run, number, time and frames
Sink            what takes events for good

JsonlSink, LoggingSink, OtelSink, PrometheusSink        `subscribe(to=JsonlSink("events.jsonl"))`
sinks_of        the same by a table of settings
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphflow._faces import face

if TYPE_CHECKING:
    from graphflow.telemetry.hub import flush as flush
    from graphflow.telemetry.hub import subscribe as subscribe
    from graphflow.telemetry.run_event import RunEvent as RunEvent
    from graphflow.telemetry.sinks.jsonl import JsonlSink as JsonlSink
    from graphflow.telemetry.sinks.logs import LoggingSink as LoggingSink
    from graphflow.telemetry.sinks.options import sinks_of as sinks_of
    from graphflow.telemetry.sinks.otel import OtelSink as OtelSink
    from graphflow.telemetry.sinks.prometheus import PrometheusSink as PrometheusSink
    from graphflow.telemetry.subscription import Sink as Sink
    from graphflow.telemetry.subscription import Subscription as Subscription

__getattr__ = face(
    "graphflow.telemetry",
    [
        "hub",
        "run_event",
        "subscription",
        "sinks.jsonl",
        "sinks.logs",
        "sinks.otel",
        "sinks.prometheus",
        "sinks.options",
    ],
)
