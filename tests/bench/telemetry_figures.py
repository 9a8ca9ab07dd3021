"""What it costs a walk that somebody listens: microseconds of the walk's own thread a hop, and of a sink's a span.

python tests/bench/telemetry_figures.py
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from graphflow import END, START, Graph, node
from graphflow.telemetry import OtelSink, RunEvent, Subscription, flush
from tests.conftest import Msg

HOPS = 20_000
ROUNDS = 5


@node
async def back(m: Msg) -> Msg:
    return Msg(n=m.n - 1)


@node
async def judge(m: Msg) -> Msg:
    return m


lap = Graph(
    "lap",
    START >> back >> judge,
    judge.when(lambda m: m.n > 0).limit(HOPS) >> back,
    judge.otherwise >> END,
)


def thread_seconds(work: Callable[[], Any]) -> float:
    """What work takes of this very thread: what others do meanwhile does not count."""
    began = time.thread_time()
    work()
    return time.thread_time() - began


def walk_seconds() -> float:
    """What one walk takes of its own thread."""

    async def walked() -> float:
        message = Msg(n=HOPS // 2)
        began = time.thread_time()
        await lap.run(message)
        return time.thread_time() - began

    return asyncio.run(walked())


def added_a_hop(subscribe: Callable[[], Subscription]) -> float:
    """Microseconds that a subscription adds to a hop, in the walk's thread: the least of several rounds, taken in turns."""
    plain: list[float] = []
    heard: list[float] = []
    walk_seconds()
    for _ in range(ROUNDS):
        plain.append(walk_seconds())
        with subscribe():
            heard.append(walk_seconds())
            flush(60)
    return (min(heard) - min(plain)) / HOPS * 1e6


def a_span() -> float:
    """Microseconds that a sink of spans takes for one, in its own thread."""
    from opentelemetry.sdk.trace import SpanProcessor

    events: list[RunEvent] = []
    with lap.subscribe(to=_Listing(events)):
        lap.run_sync(Msg(n=HOPS // 2))
    taken: list[float] = []
    for _ in range(ROUNDS):
        sink = OtelSink(processor=SpanProcessor())
        seconds = thread_seconds(lambda sink=sink: [sink.take(event) for event in events])
        taken.append(seconds / sink.made)
        sink.close()
    return min(taken) * 1e6


def a_span_of_the_sdk() -> float:
    """Microseconds that the SDK takes for a span of its own with as many attributes, nested as deep."""
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SpanProcessor())
    tracer = provider.get_tracer("bench")

    def spans() -> None:
        with tracer.start_as_current_span("run"):
            for number in range(2_000):
                with tracer.start_as_current_span("node") as span:
                    span.set_attribute("graphflow.node", "back")
                    span.set_attribute("graphflow.node.kind", "step")
                    span.set_attribute("graphflow.activation", number)

    taken = [thread_seconds(spans) / 2_000 for _ in range(ROUNDS)]
    provider.shutdown()
    return min(taken) * 1e6


class _Listing:
    """A sink that keeps what it is given."""

    def __init__(self, events: list[RunEvent]) -> None:
        self.kinds = ("run.*", "node.end")
        self.events = events

    def take(self, event: RunEvent) -> None:
        self.events.append(event)

    def close(self) -> None:
        pass


def main() -> None:
    def nothing(event: RunEvent) -> None:
        pass

    room = 4 * HOPS
    facts = added_a_hop(lambda: lap.subscribe("node.end", to=nothing, room=room))
    print(f"a subscriber to node.end   {facts:6.2f} us a hop in the walk's thread")
    print(f"a span of OtelSink         {a_span():6.2f} us in the sink's thread")
    print(f"a span of the SDK          {a_span_of_the_sdk():6.2f} us")


if __name__ == "__main__":
    main()
