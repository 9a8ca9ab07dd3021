"""The timeline: lanes, the critical path, what is left out, and what it costs."""

from __future__ import annotations

import itertools
import json
import random
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphflow.errors import DeclarationError, FileUnreadable
from graphflow.events import (
    CallFinished,
    CallStarted,
    EdgeSent,
    EdgeSkipped,
    Event,
    FrameEntered,
    FrameExited,
    ModelFinished,
    ModelStarted,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeRetried,
    NodeStarted,
    RunEnded,
    RunStarted,
    to_record,
)
from graphflow.notebook.rows import Rows
from graphflow.notebook.states import states
from graphflow.render import timeline
from graphflow.render.builder import picture
from graphflow.render.timeline import read_story
from graphflow.render.timeline.critical import leaves
from graphflow.render.timeline.lanes import at_once
from tests.blocks import Block, Jitter, build, nested
from tests.conftest import Msg, walk
from tests.notebook.walks import walked
from tests.waiting import until


def begins(at: float, number: int, node: str, frame: int = 0) -> Event:
    return NodeStarted(at, frame, number, node, (), None)


def ends(at: float, number: int, node: str, started: float, frame: int = 0) -> Event:
    return NodeFinished(at, frame, number, node, None, started)


def sends(at: float, source: str, target: str, frame: int = 0) -> Event:
    return EdgeSent(at, frame, source, target, "x", (), None)


def asks(at: float, until: float, number: int, node: str, frame: int = 0) -> list[Event]:
    answer = ModelFinished(until, frame, number, node, "m", "", 0, 3, 2, 0.0, "stop", at)
    return [ModelStarted(at, frame, number, node, "m"), answer]


def told(events: list[Event]) -> list[tuple[str, float]]:
    return [(name, round(seconds, 6)) for name, seconds in timeline(events).critical]


# a fork whose slower branch decides when the join may begin
FORK = [
    RunStarted(0.0, 0, "g", None),
    sends(0.0, "START", "a"),
    begins(0.0, 1, "a"),
    ends(1.0, 1, "a", 0.0),
    sends(1.0, "a", "fast"),
    begins(1.0, 2, "fast"),
    sends(1.0, "a", "slow"),
    begins(1.0, 3, "slow"),
    ends(2.0, 2, "fast", 1.0),
    sends(2.0, "fast", "join"),
    *asks(2.0, 4.5, 3, "slow"),
    ends(5.0, 3, "slow", 1.0),
    sends(5.0, "slow", "join"),
    begins(5.0, 4, "join"),
    ends(6.0, 4, "join", 5.0),
    sends(6.0, "join", "END"),
    RunEnded(6.0, 0, "completed"),
]


def test_the_slower_branch_is_critical_and_the_faster_is_not() -> None:
    assert told(FORK) == [
        ("a", 1.0),
        ("slow", 1.0),
        ("slow > m", 2.5),
        ("slow", 0.5),
        ("join", 1.0),
    ]


def test_work_that_ends_after_the_answer_is_not_critical() -> None:
    late = [
        *FORK[:-1],
        begins(6.0, 5, "late"),
        ends(9.0, 5, "late", 6.0),
        RunEnded(9.0, 0, "completed"),
    ]
    assert told(late) == told(FORK)


def test_a_tombstone_can_be_what_a_join_waited_for() -> None:
    events = [
        RunStarted(0.0, 0, "g", None),
        sends(0.0, "START", "a"),
        begins(0.0, 1, "a"),
        sends(0.0, "START", "b"),
        begins(0.0, 2, "b"),
        ends(1.0, 1, "a", 0.0),
        sends(1.0, "a", "join"),
        ends(3.0, 2, "b", 0.0),
        EdgeSkipped(3.0, 0, "b", "join", ()),
        begins(3.0, 3, "join"),
        ends(4.0, 3, "join", 3.0),
        sends(4.0, "join", "END"),
        RunEnded(4.0, 0, "completed"),
    ]
    assert told(events) == [("b", 3.0), ("join", 1.0)]


def test_within_an_activation_it_goes_back_from_what_ended_last() -> None:
    events = [
        RunStarted(0.0, 0, "g", None),
        begins(0.0, 1, "agent"),
        *asks(0.0, 2.0, 1, "agent"),
        CallStarted(2.0, 0, 1, 1, "agent", "quick", None),
        CallStarted(2.0, 0, 1, 2, "agent", "long", None),
        CallFinished(3.0, 0, 1, 1, "quick", None, 2.0),
        CallFinished(5.0, 0, 1, 2, "long", None, 2.0),
        *asks(5.0, 6.0, 1, "agent"),
        ends(6.0, 1, "agent", 0.0),
        sends(6.0, "agent", "END"),
        RunEnded(6.0, 0, "completed"),
    ]
    assert told(events) == [("agent > m", 2.0), ("agent > long", 3.0), ("agent > m", 1.0)]


def test_it_goes_down_into_the_frame_that_was_waited_for() -> None:
    events = [
        RunStarted(0.0, 0, "g", None),
        begins(0.0, 1, "inner"),
        FrameEntered(0.5, 1, 0, 1, ("g", "inner"), None),
        begins(0.5, 1, "x", 1),
        ends(2.0, 1, "x", 0.5, 1),
        sends(2.0, "x", "y", 1),
        begins(2.0, 2, "y", 1),
        ends(4.0, 2, "y", 2.0, 1),
        sends(4.0, "y", "END", 1),
        FrameExited(4.0, 1, "completed"),
        ends(4.5, 1, "inner", 0.0),
        sends(4.5, "inner", "END"),
        RunEnded(4.5, 0, "completed"),
    ]
    assert told(events) == [("inner", 0.5), ("x", 1.5), ("y", 2.0), ("inner", 0.5)]
    assert at_once(read_story(events)) == [(0.0, 1), (0.5, 1), (2.0, 1), (4.0, 1), (4.5, 0)]


def test_without_edges_what_ended_last_is_the_cause() -> None:
    facts = [event for event in FORK if not isinstance(event, EdgeSent)]
    assert told(facts)[-1] == ("join", 1.0)
    assert told(facts)[0] == ("a", 1.0)


def test_records_give_the_same_picture_as_events(tmp_path: Path) -> None:
    run = walked()
    lines = [
        json.dumps(to_record(e))
        for e in run.events
        if e.kind not in ("model.delta", "model.partial")
    ]
    (tmp_path / "events.jsonl").write_text("\n".join(lines) + "\n")
    assert timeline(tmp_path / "events.jsonl").svg == timeline(run).svg == run.timeline().svg
    assert timeline([json.loads(line) for line in lines]).critical == run.timeline().critical


def test_a_run_that_nobody_watched_has_a_timeline_too() -> None:
    names = [name for name, _ in walked(observed=False).timeline().critical]
    assert names[0] == "planner"
    assert "checker > scripted" in names
    assert names[-1] == "merge"


def test_the_path_is_as_long_as_the_run() -> None:
    def share() -> float:
        """Of the run's time: what is missing is spent between activations, by others if they want the cores."""
        run = walked()
        total = sum(seconds for _, seconds in run.timeline().critical)
        assert total <= run.usage.seconds * 1.001
        return total / run.usage.seconds

    until(lambda: share() >= 0.8)


def test_what_went_wrong_is_marked_by_signs() -> None:
    events = [
        RunStarted(0.0, 0, "g", None),
        begins(0.0, 1, "bad"),
        NodeRetried(0.5, 0, 1, "bad", 2, "ValueError: once", 0.1),
        NodeFailed(1.0, 0, 1, "bad", ValueError("sk-abcdefghijklmnopqrstuvwx leaked"), 0.0),
        begins(0.0, 2, "stopped"),
        NodeCancelled(1.0, 0, 2, "stopped", 0.0),
        begins(0.0, 3, "open"),
        RunEnded(1.0, 0, "failed", None, "ValueError: no"),
    ]
    svg = timeline(events).svg
    for sign in "\u2717\u2298\u2026\u21bb":
        assert f">{sign}<" in svg.split("<g transform")[0] or f"</title>{sign}<" in svg
    assert "sk-abcdefghijklmnopqrstuvwx" not in svg
    assert "ValueError: once" in svg


def many(count: int) -> list[Event]:
    """A run of so many activations, eight at a time."""
    events: list[Event] = [RunStarted(0.0, 0, "g", None)]
    for number in range(count):
        at = (number // 8) * 0.001
        events.append(begins(at, number, f"n{number % 5}"))
        events += asks(at, at + 0.0005, number, f"n{number % 5}")
        events.append(ends(at + 0.0009, number, f"n{number % 5}", at))
        events.append(sends(at + 0.0009, f"n{number % 5}", f"n{(number + 1) % 5}"))
    return [*events, RunEnded(count / 8000, 0, "completed")]


def test_ten_thousand_activations_are_thinned_honestly() -> None:
    svg = timeline(many(10_000)).svg
    ElementTree.fromstring(svg)
    assert len(svg) < 2_000_000
    assert "activations shorter than" in svg
    assert "10,000 activations" in svg


@pytest.mark.parametrize("name", ["walk.png", "walk.pdf", "walk", "walk.html"])
def test_a_file_is_what_its_name_says(name: str, tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match=r"a timeline is an SVG.*use \.svg"):
        timeline(FORK).save(str(tmp_path / name))
    assert not list(tmp_path.iterdir())


def test_the_cost_grows_with_the_run_and_not_faster() -> None:
    def seconds(count: int) -> float:
        events = many(count)
        began = time.process_time()
        timeline(events).svg
        return time.process_time() - began

    seconds(500)
    small, large = min(seconds(4_000) for _ in range(2)), min(seconds(32_000) for _ in range(2))
    assert large < small * 8 * 3, f"{small:.3f} s for 4,000 and {large:.3f} s for 32,000"


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "a\x00b\x1b[31m",
        "\u202eevil",
        "\ud800",
        "x" * 10_000,
        "]]>",
        "\"&'",
    ],
)
def test_hostile_names_are_text(name: str) -> None:
    events = [
        RunStarted(0.0, 0, name, None),
        begins(0.0, 1, name),
        *asks(0.0, 0.5, 1, name),
        ends(1.0, 1, name, 0.0),
        sends(1.0, name, "END"),
        RunEnded(1.0, 0, "completed"),
    ]
    svg = timeline(events).svg
    svg.encode()
    tags = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(svg).iter()}
    assert tags <= {
        "svg",
        "style",
        "defs",
        "pattern",
        "rect",
        "path",
        "text",
        "tspan",
        "title",
        "g",
    }


def test_nothing_and_almost_nothing_can_be_drawn() -> None:
    for events in ([], [RunStarted(0.0, 0, "g", None)], [RunEnded(0.0, 0, "failed", None, "no")]):
        ElementTree.fromstring(timeline(events).svg)


def test_saving_and_what_cannot_be_read(tmp_path: Path) -> None:
    path = str(tmp_path / "walk.svg")
    assert timeline(FORK).save(path) == path
    assert Path(path).read_text().startswith("<svg")
    with pytest.raises(FileUnreadable, match="cannot be written"):
        timeline(FORK).save(str(tmp_path / "no" / "walk.svg"))
    (tmp_path / "bad.jsonl").write_text(
        '{"kind": "run.start", "at": 0.0, "graph": "g", "input": 1}\n[]\n'
    )
    with pytest.raises(FileUnreadable, match="line 2"):
        timeline(tmp_path / "bad.jsonl")
    with pytest.raises(FileUnreadable, match="there is no file"):
        timeline(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(FileUnreadable, match="holds no events"):
        timeline(tmp_path / "empty.jsonl")
    wrong: Any
    for wrong in (3, ["x"], [{"no": "kind"}]):
        with pytest.raises(DeclarationError, match="give a Run"):
            timeline(wrong)


def test_it_shows_itself() -> None:
    bundle = timeline(FORK)._repr_mimebundle_()
    assert bundle["image/svg+xml"].startswith("<svg")
    assert bundle["text/plain"] == "<timeline of g: 4 activations in 6 s>"


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(block=nested, n=st.integers(0, 50))
def test_any_walk_has_a_path_without_overlaps_from_its_start_to_its_answer(
    block: Block, n: int
) -> None:
    Jitter.random = random.Random(n)
    run = walk(build(block), Msg(n=n))
    story = read_story(run)
    pieces = leaves(story.critical)
    for (_, _, end), (_, start, _) in itertools.pairwise(pieces):
        assert end <= start + 1e-9
    assert sum(end - start for _, start, end in pieces) <= story.seconds + 1e-9
    answered = [
        event
        for event in run.events
        if isinstance(event, EdgeSent) and event.target == "END" and not event.frame
    ]
    if answered and answered[-1].source != "START":
        assert pieces[-1][2] == answered[-1].at
    ElementTree.fromstring(run.timeline().svg)
    live = Rows(run.declared, picture(run.declared, open="all", fold=False))
    for event in run.events:
        live.take(event)
    ended_nodes = {key for key, (how, _) in states(live.flush()).items() if how != "skipped"}
    assert ended_nodes == {" > ".join((*step.path, step.node)) for step in run.steps}
