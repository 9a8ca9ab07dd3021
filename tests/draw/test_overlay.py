"""What a walk did, on the picture of its graph: the same from a run, from its events, and from a file of records."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, Literal

import pytest

from graphflow import END, START, Agent, Failure, Graph, LimitReached, Limits, Router, SubAgent, node, tool
from graphflow.errors import DeclarationError, FileUnreadable
from graphflow.events import to_record
from graphflow.render import Overlay, draw_run, overlay_of, read_events, run_svg, walked
from graphflow.render.overlay import duration, money
from graphflow.run import Run
from graphflow.testing import ScriptedModel, calls
from tests.conftest import walk
from tests.draw.seen import read


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
    return Graph("branching", START >> way, way["left"] >> left >> END, way["right"] >> right >> after >> END)


mapped: Graph[Any, Any] = Graph(
    "mapped", START >> split, split.each >> shout >> gather >> END, shout[Failure] >> sorry >> gather
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
        calls("helper", input="x"), calls("look", words="y"), "found", calls("helper", input="z"), "nothing", "done"
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
        run_svg(source, graph=graph, open=open, prefix="p") for source in (run, run.events, recorded(run), str(file))
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
    assert seen.marks["shout"] == "done"
    assert seen.marks["split>shout"] == "sent"
    text = " ".join(seen.texts)
    for part in ("\u2713 shout", "\u00d73", "\u2717 1", "mapped: completed"):
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
        await asyncio.sleep(0.05)
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
    assert seen.marks["shout"] == "done"


def test_folded_rows_sum_their_figures() -> None:
    path: Any = START
    for number in range(100):
        path = path >> shout.named(f"s{number}")
    run = walk(Graph("row", path >> END), "x")
    made = walked(run)
    [row] = [shape for shape in made.every_shape() if len(shape.members) > 1]
    assert row.mark == "done"
    assert row.badge.startswith("\u00d7100")


def test_text_forms_say_it_too(tmp_path: Path) -> None:
    run = walk(mapped, "good bad day")
    for ending in ("svg", "mmd", "txt", "dot"):
        run.draw(str(tmp_path / f"run.{ending}"))
    boxes = (tmp_path / "run.txt").read_text()
    assert "\u2713 split" in boxes
    assert "each, str" in boxes
    mermaid = (tmp_path / "run.mmd").read_text()
    assert "#10003; shout" in mermaid
    pytest.importorskip("mermaidx").render(mermaid)


def test_a_run_shows_itself() -> None:
    run = walk(mapped, "good day")
    bundle = run._repr_mimebundle_()
    assert 'data-node="' in bundle["text/html"]
    assert bundle["text/plain"] == repr(run)
    assert "text/vnd.mermaid" not in bundle


def test_limits_stop_a_walk_and_the_picture_says_so() -> None:
    graph: Graph[Any, Any] = Graph("short", START >> shout >> shout.named("b") >> END, limits=Limits(steps=1))
    assert any("short: limited" in text for text in read(walk(graph, "x").to_svg()).texts)


# -- records from somewhere ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "holds no events"),
        (b"{}\n", "line 1, is no event"),
        (b'{"kind": "run.start"}\n[1]\n', "line 2, is no event"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"[" * 100_000, "line 1, is no event"),
    ],
)
def test_a_file_that_is_no_record_is_refused_with_its_line(content: bytes, says: str, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_bytes(content)
    with pytest.raises(FileUnreadable, match=says):
        read_events(file)
    with pytest.raises(FileUnreadable, match="cannot be read"):
        read_events(tmp_path / "nothing.jsonl")


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
    assert [duration(s) for s in (0, 0.0002, 0.05, 2.345, 61)] == ["0 ms", "<1 ms", "50 ms", "2.3 s", "1 min 01 s"]
    assert [money(usd) for usd in (0.0012, 12.5)] == ["$0.0012", "$12.50"]
