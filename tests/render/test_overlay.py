"""What a walk did, on the picture of its graph: the same from a run, from its events, and from a file of records."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any, Literal

import pytest

from graphflow import (
    END,
    START,
    Agent,
    Failure,
    Graph,
    LimitReached,
    Limits,
    Router,
    SubAgent,
    node,
    tool,
)
from graphflow.errors import DeclarationError, FileUnreadable
from graphflow.events import to_record
from graphflow.notebook.rows import Rows
from graphflow.render import Overlay, draw_run, overlay_of, read_records, run_svg, walked
from graphflow.render.builder import picture
from graphflow.render.compare.tally import duration, money
from graphflow.run import Run
from graphflow.testing import ScriptedModel, calls
from tests.conftest import walk
from tests.render.seen import read
from tests.waiting import eventually


@node
async def split(text: str) -> list[str]:
    return text.split()


@node
async def shout(word: str) -> str:
    if word == "bad":
        raise ValueError("not that <word>")
    return word.upper()


@node
async def sorry(failure: Failure) -> str:
    return "?"


@node
async def gather(words: list[str]) -> str:
    return " ".join(words)


def pick(text: str) -> Literal["left", "right"]:
    return "left"


def branching() -> Graph[Any, Any]:
    way = Router("way", rule=pick)
    left, right, after = shout.named("left"), shout.named("right"), shout.named("after")
    return Graph(
        "branching", START >> way, way["left"] >> left >> END, way["right"] >> right >> after >> END
    )


mapped: Graph[Any, Any] = Graph(
    "mapped",
    START >> split,
    split.each >> shout >> gather >> END,
    shout[Failure] >> sorry >> gather,
)
nested: Graph[Any, Any] = Graph("nested", START >> mapped >> shout.named("again") >> END)


@tool
async def look(words: str) -> str:
    """Look something up.

    Args:
        words: what to look for.
    """
    return f"about {words}"


clerk = Agent("clerk", input=str, prompt="{{ text }}", tools=[look])
boss = Agent("boss", input=str, prompt="{{ text }}", sub_agents=[SubAgent(clerk, name="helper")])
office: Graph[Any, Any] = Graph("office", START >> boss >> END)


def worked() -> Run[Any]:
    model = ScriptedModel(
        calls("helper", input="x"),
        calls("look", words="y"),
        "found",
        calls("helper", input="z"),
        "nothing",
        "done",
    )
    return walk(office, "go", model=model)


def recorded(run: Run[Any]) -> list[dict[str, Any]]:
    return [json.loads(json.dumps(to_record(event))) for event in run.events]


RUNS = {
    "fork": lambda: (mapped, walk(mapped, "good bad day")),
    "nest": lambda: (nested, walk(nested, "good bad day")),
    "route": lambda: (branching(), walk(branching(), "word")),
    "straight": lambda: (branching(), walk(branching(), "word", plain=True)),
    "observed": lambda: (branching(), walk(branching(), "word", observed=True)),
    "agents": lambda: (office, worked()),
}


@pytest.mark.parametrize("which", RUNS)
@pytest.mark.parametrize("open", [0, 1, "all"])
def test_a_run_and_its_record_give_the_same_picture(which: str, open: Any, tmp_path: Path) -> None:
    graph, run = RUNS[which]()
    file = tmp_path / "events.jsonl"
    file.write_text("\n".join(json.dumps(record) for record in recorded(run)) + "\n")
    told = [
        run_svg(source, graph=graph, open=open, prefix="p")
        for source in (run, run.events, recorded(run), str(file))
    ]
    assert told[0] == run.to_svg(open=open, prefix="p")
    assert len(set(told)) == 1
    read(told[0])


@pytest.mark.parametrize("which", RUNS)
def test_the_sums_are_those_of_the_run(which: str) -> None:
    graph, run = RUNS[which]()
    overlay = overlay_of(run, graph)
    assert overlay.steps == run.usage.steps
    assert sum(tally.tokens for tally in overlay.nodes.values()) == run.usage.tokens
    steps = [step for step in run.steps if step.node != "clerk"]  # its call as `helper` is the step
    assert sum(tally.ended for tally in overlay.nodes.values()) == len(steps)
    assert not overlay.standing


def test_counts_failures_and_tombstones_are_read_without_colour() -> None:
    run = walk(mapped, "good bad day")
    seen = read(run.to_svg())
    assert seen.marks["shout"] == "mixed", "what failed is not covered by what went well"
    assert seen.marks["split>shout"] == "sent"
    text = " ".join(seen.texts)
    for part in ("! shout", "2 done \u00b7 1 failed", "\u00d73", "mapped: completed"):
        assert part in text, part
    assert any("ValueError: not that <word>" in title for title in seen.titles)

    run = walk(branching(), "word")
    seen = read(run.to_svg())
    assert seen.marks["right"] == "skipped"
    assert seen.marks["after"] == "skipped", "a tombstone goes on"
    assert seen.marks["way>right"] == "skipped"
    assert seen.marks["right>after"] == "skipped"
    assert seen.marks["left>END"] == "sent"
    assert any(text.startswith("\u2205 right") for text in seen.texts)


def test_a_walk_that_fails_shows_where_and_what_was_never_reached() -> None:
    graph: Graph[Any, Any] = Graph("fails", START >> shout >> gather_one >> END)
    run = walk(graph, "bad")
    seen = read(run.to_svg())
    assert seen.marks["shout"] == "failed"
    assert seen.marks["gather_one"] == "idle"
    assert seen.marks["END"] == "idle"
    assert any("\u2717 shout" in text for text in seen.texts)
    assert any("fails: failed" in text and "not that <word>" in text for text in seen.texts)


@node
async def gather_one(word: str) -> str:
    return word


def test_laps_are_counted_on_their_edge() -> None:
    @node
    async def more(n: int) -> int:
        return n + 1

    @node
    async def over(reached: LimitReached) -> int:
        return -1

    graph: Graph[Any, Any] = Graph(
        "laps",
        START >> more,
        more.when(lambda n: n < 9).limit(3) >> more,
        more.otherwise >> END,
        more[LimitReached] >> over >> END,
    )
    run = walk(graph, 0)
    seen = read(run.to_svg())
    assert run.output == -1
    assert seen.marks["more>more"] == "sent"
    assert any("\u00d73" in text for text in seen.texts)
    assert seen.marks["more>over"] == "sent"


def test_where_it_stands_is_seen_while_it_runs() -> None:
    async def main() -> tuple[str, str, str]:
        gate = asyncio.Event()

        @node
        async def wait(word: str) -> str:
            await gate.wait()
            return word

        graph: Graph[Any, Any] = Graph("live", START >> shout >> wait >> END)
        run = graph.start("go")
        await eventually(
            lambda: any(event.kind == "node.start" and event.node == "wait" for event in run.events)
        )
        during = run.to_svg()
        record = run_svg([to_record(event) for event in run.events], graph=graph)
        gate.set()
        await run
        return during, record, run.to_svg()

    during, record, after = (read(svg) for svg in asyncio.run(main()))
    for seen in (during, record):
        assert seen.marks["wait"] == "running"
        assert seen.marks["END"] == "idle"
        assert any("now at wait" in text for text in seen.texts)
    assert after.marks["wait"] == "done"
    assert after.marks["END"] == "done"


def test_what_happened_in_a_folded_graph_counts_for_it() -> None:
    run = worked()
    overlay = overlay_of(run, office)
    assert overlay.calls == {(("office",), "boss", "helper"): 2, (("office",), "helper", "look"): 1}
    assert overlay.nodes[("office",), "helper"].done == 2
    whole = sum(tally.tokens for tally in overlay.nodes.values())
    folded = walked(run, open=0)
    [helper] = [shape for shape in folded.every_shape() if shape.name == "helper"]
    own = overlay.nodes[("office",), "helper"].tokens
    assert own
    assert f"{own:,} tok" in helper.badge
    outer: Graph[Any, Any] = Graph("outer", START >> office >> END)
    model = ScriptedModel(calls("helper", input="x"), "found", "done")
    made = walked(walk(outer, "go", model=model), open=0)
    [shape] = [shape for shape in made.every_shape() if shape.name == "office"]
    assert "tok" in shape.badge
    assert whole >= own


def test_an_open_graph_is_marked_as_a_whole() -> None:
    seen = read(walk(nested, "good bad day").to_svg(open=1))
    assert seen.marks["nested > mapped"] == "done"
    assert seen.marks["shout"] == "mixed"


def test_folded_rows_sum_their_figures() -> None:
    path: Any = START
    for number in range(100):
        path = path >> shout.named(f"s{number}")
    run = walk(Graph("row", path >> END), "x")
    made = walked(run)
    [row] = [shape for shape in made.every_shape() if len(shape.members) > 1]
    assert row.mark == "done"
    assert row.badge.startswith("100 done")


def test_text_forms_say_it_too(tmp_path: Path) -> None:
    run = walk(mapped, "good bad day")
    for ending in ("svg", "mmd", "txt", "dot"):
        run.draw(str(tmp_path / f"run.{ending}"))
    boxes = (tmp_path / "run.txt").read_text()
    assert "\u2713 split" in boxes
    assert "each, str" in boxes
    mermaid = (tmp_path / "run.mmd").read_text()
    assert "#10003; split" in mermaid
    assert "#33; shout" in mermaid
    pytest.importorskip("mermaidx").render(mermaid)


def test_a_run_shows_itself() -> None:
    run = walk(mapped, "good day")
    bundle = run._repr_mimebundle_()
    assert 'data-node="' in bundle["text/html"]
    assert bundle["text/plain"] == repr(run)
    assert "text/vnd.mermaid" not in bundle


def test_limits_stop_a_walk_and_the_picture_says_so() -> None:
    graph: Graph[Any, Any] = Graph(
        "short", START >> shout >> shout.named("b") >> END, limits=Limits(steps=1)
    )
    assert any("short: limited" in text for text in read(walk(graph, "x").to_svg()).texts)


# -- whose record it is ----------------------------------------------------------------------------
def rightwards(text: str) -> Literal["left", "right"]:
    return "right"


def lines(*, swapped: bool) -> Graph[Any, Any]:
    """The same graph with its lines in two orders, so that the places of its edges differ."""
    way: Any = Router("way", rule=rightwards)
    one, other = (shout.named(name) for name in ("one", "other"))
    declared = [way["left"] >> one >> END, way["right"] >> other >> END]
    return Graph("lines", START >> way, *(reversed(declared) if swapped else declared))


def test_moved_lines_move_nothing_in_the_picture() -> None:
    record = recorded(walk(lines(swapped=False), "x"))
    for swapped in (False, True):
        seen = read(run_svg(record, graph=lines(swapped=swapped)))
        assert seen.marks["way>other"] == seen.marks["other>END"] == "sent"
        assert seen.marks["way>one"] == "skipped"
        assert seen.marks["one"] == "skipped"


def test_two_arms_to_one_node_are_told_apart_by_their_arm() -> None:
    def made(first: str, second: str) -> Graph[Any, Any]:
        way: Any = Router("way", rule=rightwards)
        return Graph("arms", START >> way, way[first] >> shout, way[second] >> shout, shout >> END)

    record = recorded(walk(made("left", "right"), "x"))
    drawn = overlay_of(record, made("right", "left")).lay_on(picture(made("right", "left")))
    assert [(line.parts, line.mark) for line in drawn.lines if line.names == ("way", "shout")] == [
        (("'right'",), "sent"),
        (("'left'",), "skipped"),
    ]


def test_two_edges_of_one_source_are_told_apart_by_their_port() -> None:
    @node
    async def both(first: str, second: str) -> str:
        return first + second

    def made(*ports: str) -> Graph[Any, Any]:
        left, right = both.into(ports[0]), both.into(ports[1])
        return Graph(
            "ports", START >> split_one, split_one >> left, split_one >> right, both >> END
        )

    record = recorded(walk(made("first", "second"), "x"))
    graph = made("second", "first")
    sent = [
        record_["port"]
        for record_ in record
        if record_["kind"] == "edge.send" and record_["target"] == "both"
    ]
    assert sent == ["first", "second"]
    assert sorted(overlay_of(record, graph).edges) == [(("ports",), index) for index in range(4)]


@node
async def split_one(text: str) -> str:
    return text


@pytest.mark.parametrize(
    ("event", "says"),
    [
        (
            {"kind": "run.start", "graph": "other", "input": "x"},
            "is of the graph 'other', not of 'mapped'",
        ),
        (
            {"kind": "node.start", "node": "stranger", "activation": 1},
            "a node 'stranger', which mapped does not have",
        ),
        (
            {"kind": "node.end", "node": "stranger", "activation": 1, "started": 0},
            "a node 'stranger'",
        ),
        (
            {"kind": "edge.send", "source": "gather", "target": "split"},
            "an edge gather >> split, which",
        ),
        (
            {"kind": "edge.skip", "source": "split", "target": "shout", "origin": "split[bool]"},
            "an edge split",
        ),
    ],
)
def test_a_record_of_another_graph_is_refused(
    event: dict[str, Any], says: str, tmp_path: Path
) -> None:
    record = [{"at": 0.0, "frame": 0, **event}]
    with pytest.raises(DeclarationError, match=re.escape(says)):
        run_svg(record, graph=mapped)
    with pytest.raises(DeclarationError, match=re.escape(says)):
        draw_run(record, str(tmp_path / "x.mmd"), graph=mapped)


def test_a_run_of_one_graph_is_not_drawn_on_another() -> None:
    with pytest.raises(DeclarationError, match="not of 'nested'"):
        run_svg(walk(mapped, "good day"), graph=nested)


# -- figures ---------------------------------------------------------------------------------------
def test_work_side_by_side_takes_no_longer_than_the_clock() -> None:
    events: list[dict[str, Any]] = [
        {"kind": "run.start", "at": 0.0, "frame": 0, "graph": "mapped", "input": "x"}
    ]
    for number in range(4):
        events.append(
            {"kind": "node.start", "at": 1.0, "frame": 0, "activation": number, "node": "shout"}
        )
    for number in range(4):
        base = {"kind": "node.end", "frame": 0, "activation": number, "node": "shout", "output": ""}
        events.append({"at": 3.0, "started": 1.0, **base})
    [shape] = [s for s in walked(events, mapped).every_shape() if s.name == "shout"]
    assert shape.badge == "4 done \u00b7 2.0 s"


def test_a_call_that_was_stopped_has_not_failed() -> None:
    async def main() -> Run[Any]:
        gate = asyncio.Event()

        @tool
        async def never(x: str) -> str:
            """Wait for ever."""
            gate.set()
            await asyncio.sleep(3600)
            return x

        agent = Agent("agent", input=str, prompt="{{ text }}", tools=[never])
        graph: Graph[Any, Any] = Graph("stopped", START >> agent >> END)
        run = graph.start("go", model=ScriptedModel(calls("never", x="y"), "done"))
        await gate.wait()
        run.cancel()
        return await run.settled()

    run = asyncio.run(main())
    overlay = overlay_of(run, run.declared)
    assert (
        overlay.nodes[("stopped",), "never"].stopped,
        overlay.nodes[("stopped",), "never"].failed,
    ) == (1, 0)
    seen = read(run.to_svg())
    assert seen.marks["never"] == seen.marks["agent"] == "stopped"
    assert run.failures == []
    assert [span.how for span in run.timeline().story.spans if span.what == "call"] == ["cancelled"]
    rows = Rows(run.declared, picture(run.declared))
    for event in run.events:
        rows.take(event)
    assert [row[7] for row in rows.flush() if row[1] == "."] == ["cancelled", "cancelled"]


def test_who_waits_for_an_approval_is_not_drawn_as_running() -> None:
    async def main() -> tuple[str, str]:
        asked, answer = asyncio.Event(), asyncio.Event()

        async def approve(use: Any) -> bool:
            asked.set()
            await answer.wait()
            return True

        graph: Graph[Any, Any] = Graph("shop", START >> shout >> pay >> END)
        run = graph.start("go", approve=approve)
        await asked.wait()
        during = run.to_svg()
        answer.set()
        await run
        return during, run.to_svg()

    @node(approval=True)
    async def pay(amount: str) -> str:
        return amount

    during, after = (read(svg) for svg in asyncio.run(main()))
    assert during.marks["pay"] == "asking"
    assert any("waits for approval" in text for text in during.texts)
    assert any("waits for approval of pay" in text for text in during.texts), (
        "the headline says it, too"
    )
    assert after.marks["pay"] == "done"


# -- records from somewhere ------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "holds no events"),
        (b"{}\n", "line 1, is not an event"),
        (
            b'{"kind": "run.start", "at": 0, "graph": "g", "input": 1}\n[1]\n',
            "line 2, is not an event",
        ),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"[" * 100_000, "line 1, is not an event"),
    ],
)
def test_a_file_that_is_no_record_is_refused_with_its_line(
    content: bytes, says: str, tmp_path: Path
) -> None:
    file = tmp_path / "events.jsonl"
    file.write_bytes(content)
    with pytest.raises(FileUnreadable, match=says):
        read_records(file)
    with pytest.raises(FileUnreadable, match="there is no file"):
        read_records(tmp_path / "nothing.jsonl")


def test_records_that_do_not_fit_are_passed_over() -> None:
    odd: list[dict[str, Any]] = [
        {"kind": "node.end"},
        {"kind": "node.end", "node": 7, "at": "x", "frame": []},
        {"kind": "frame.enter", "path": 3, "frame": 1},
        {"kind": "frame.enter", "path": [], "frame": None},
        {"kind": "frame.enter", "path": ["mapped", "nowhere"], "frame": 2, "parent": 99},
        {"kind": "call.end", "call": {}, "frame": 2},
        {"kind": "call.start", "caller": None, "node": "x", "frame": 2},
        {"kind": "edge.send", "edge": 10**30, "frame": 0},
        {"kind": "edge.send", "source": "split", "target": "shout"},
        {"kind": "model.end", "usd": "a lot", "input_tokens": None, "node": "split"},
        {"kind": "run.end", "status": 5, "error": ["x"]},
        {"kind": ["x"]},
        {"kind": "nothing.known"},
    ]
    seen = read(run_svg(odd, graph=mapped))
    assert seen.marks["split>shout"] == "sent", "by its ends, where a record has no number"


def test_a_record_alone_does_not_know_its_graph(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="graph="):
        draw_run([{"kind": "run.start"}], tmp_path / "x.svg")
    assert Overlay(None, "x").take_all([{"kind": "node.start", "node": "a"}]).standing == ["a"]


def test_figures_are_short() -> None:
    assert [duration(s) for s in (0, 0.0002, 0.05, 2.345, 61)] == [
        "0 ms",
        "<1 ms",
        "50 ms",
        "2.3 s",
        "1 min 01 s",
    ]
    assert [money(usd) for usd in (0.0012, 12.5)] == ["$0.0012", "$12.50"]
