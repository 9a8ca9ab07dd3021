"""What listening costs, beside what is listened to: twice the goals, on the fastest of several rounds in turns."""

from __future__ import annotations

from tests.bench.telemetry_figures import a_span, a_span_of_the_sdk, added_a_hop, lap

ROOM = 100_000


def test_a_subscriber_adds_at_most_a_microsecond_to_a_hop_in_the_thread_of_the_walk() -> None:
    assert added_a_hop(lambda: lap.subscribe("node.end", to=lambda _: None, room=ROOM)) <= 1.0


def test_a_span_takes_at_most_twice_as_long_as_one_of_the_sdk() -> None:
    assert a_span() <= 2 * a_span_of_the_sdk()
