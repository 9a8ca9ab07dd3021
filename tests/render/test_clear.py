"""What makes a picture clear: joins, ports and options are said, no text is struck through, no two heads meet."""

from __future__ import annotations

import re
import subprocess
from itertools import combinations
from typing import Annotated, Any
from xml.etree import ElementTree

import pytest

from graphflow import END, START, Agent, Graph, Limits, SubAgent, Take, node, tool
from graphflow.project import find_all, load
from graphflow.render import dot_binary, run_svg
from graphflow.render.builder import picture
from graphflow.render.forms.dot import write_dot
from graphflow.render.layout.curve import Curve, numbers
from graphflow.render.layout.document import blocks_of, changed
from graphflow.render.layout.polish import polished
from graphflow.render.layout.widths import width_of
from graphflow.render.palette import SHAPES
from graphflow.testing import ScriptedModel, calls
from tests.conftest import walk
from tests.render.seen import SVG, read

READY = [found.name for found in find_all()]


@node
async def same(x: str) -> str:
    return x


@node
async def pair(first: str, second: str) -> str:
    return first + second


@node
async def three(a: str, b: str, c: str) -> str:
    return a + b + c


@node
async def whole(xs: list[str]) -> str:
    return "".join(xs)


@node
async def quick(xs: Annotated[list[str], Take(2)]) -> str:
    return "".join(xs)


@tool
async def look(words: str) -> str:
    """Look something up."""
    return words


clerk = Agent("clerk", input=str, tools=[look], prompt="{{ text }}")
office: Graph[Any, Any] = Graph(
    "office",
    START
    >> Agent(
        "boss",
        input=str,
        sub_agents=[SubAgent(clerk, limits=Limits(model_calls=3))],
        prompt="{{ text }}",
    )
    >> END,
)


def shape(graph: Graph[Any, Any], name: str, **options: Any) -> Any:
    return next(s for s in picture(graph, **options).every_shape() if s.name == name)


def texts(svg: str) -> list[str]:
    return [text.strip("\u00a0") for text in read(svg).texts]


# -- what is said ----------------------------------------------------------------------------------
def branches(count: int) -> list[Any]:
    return [same.named(f"b{number}") for number in range(count)]


def test_a_join_says_what_it_waits_for() -> None:
    b = branches(3)
    joined: Graph[Any, Any] = Graph(
        "g",
        START >> [b[0], b[1]],
        b[0] >> pair.into("first"),
        b[1] >> pair.into("second"),
        pair >> END,
    )
    assert "waits for both" in texts(joined.to_svg())
    parts = [b[number] >> three.into(port) for number, port in enumerate("abc")]
    assert "waits for all 3" in texts(Graph("g", START >> b, *parts, three >> END).to_svg())
    assert "waits for all branches" in texts(Graph("g", START >> b >> whole >> END).to_svg())
    assert "waits for the first 2" in texts(Graph("g", START >> b >> quick >> END).to_svg())
    alternatives = texts(Graph("g", START >> b >> same.named("each") >> whole >> END).to_svg())
    assert sum("waits" in text for text in alternatives) == 1, (
        "what every message begins waits for nothing"
    )
    for form in (joined.to_ascii(), joined.to_mermaid()):
        assert "waits for both" in form


def test_ports_have_names_where_there_are_several() -> None:
    b = branches(2)
    graph: Graph[Any, Any] = Graph(
        "g", START >> b, b[0] >> pair.into("first"), b[1] >> pair.into("second"), pair >> END
    )
    told = texts(graph.to_svg())
    assert "first: str" in told
    assert "second: str" in told
    assert "x: str" not in told, "one port needs no name"


def test_how_a_node_is_run_stands_under_its_name() -> None:
    @node(approval=True, retry=3, timeout_s=30, cache=True)
    async def pay(amount: str) -> str:
        return amount

    graph: Graph[Any, Any] = Graph("g", START >> pay >> END)
    said = "needs approval \u00b7 3 tries \u00b7 at most 30 s \u00b7 cached"
    assert said in texts(graph.to_svg())
    assert "needs approval" in graph.to_ascii()
    assert "3 tries" in graph.to_mermaid()
    for level in (0, 1):
        assert "at most 3 model calls" in " ".join(texts(office.to_svg(open=level)))
    assert shape(graph, "pay").about.count("needs approval") == 1


def test_the_depth_of_what_is_called_is_its_own_in_every_form() -> None:
    low = Agent("low", input=str, tools=[look], prompt="{{ text }}")
    middle = Agent("middle", input=str, sub_agents=[SubAgent(low)], prompt="{{ text }}")
    top = Agent("top", input=str, sub_agents=[SubAgent(middle)], prompt="{{ text }}")
    graph: Graph[Any, Any] = Graph("deep", START >> top >> END)
    assert shape(graph, "middle", open="flat").note == "depth 1"
    assert shape(graph, "low", open="flat").note == "depth 2"
    for form in (graph.to_mermaid(), graph.to_ascii()):
        assert "depth 1" in form
        assert "depth 2" in form


# -- an opened sub-agent ---------------------------------------------------------------------------
def test_an_opened_sub_agent_is_an_area_with_its_name_once() -> None:
    seen = read(office.to_svg(open=1))
    assert [text for text in seen.texts if text.strip("\u00a0") == "clerk"] == ["clerk"]
    assert seen.areas == ["office > clerk"]
    assert ("office", "c-clerk-look", "clerk", "look") in seen.edges
    calling = [
        line
        for line in office.to_dot(open=1).splitlines()
        if "c-" not in line and "->" in line and "dashed" in line
    ]
    assert any('lhead="cluster_' in line for line in calling), (
        "who calls it points at the area, not through its title"
    )
    model = ScriptedModel(calls("clerk", input="x"), calls("look", words="y"), "found", "done")
    drawn = read(walk(office, "go", model=model).to_svg(open=1))
    assert drawn.marks["office > clerk"] == drawn.marks["clerk"] == "done"
    assert any("\u2713 clerk" in text for text in drawn.texts)


# -- what a walk did -------------------------------------------------------------------------------
def closed(name: str) -> list[str]:
    """The lines of a walk's picture that went nowhere, as DOT writes them."""
    graph = load(name)
    drawn = picture(graph)
    drawn.overlay = "walk"
    for line in drawn.lines:
        line.mark = "idle" if line.style == "hand" else "skipped"
    return [line for line in write_dot(drawn).splitlines() if "->" in line]


def test_a_skipped_edge_is_not_dashed_as_calls_are() -> None:
    lines = [line for line in closed("map_reduce") if "gf-flow" in line]
    assert lines
    assert all("tee" in line and "dashed" not in line for line in lines)


def test_a_hand_over_that_was_not_taken_can_still_be_seen() -> None:
    hands = [line for line in closed("handoff_desk") if "gf-hand" in line]
    assert len(hands) == 4
    assert all('style="dotted"' in line and 'penwidth="1.4"' in line for line in hands)


def test_a_png_has_no_sign_that_its_font_lacks(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = subprocess.run

    def spy(command: Any, **options: Any) -> Any:
        asked.append(options["input"].decode())
        return real(command, **options)

    monkeypatch.setattr(subprocess, "run", spy)
    walk(office, "go", model=ScriptedModel("done")).draw(str(tmp_path / "walk.png"))
    assert asked
    assert not any(sign in source for source in asked for sign in "\u2713\u2717\u2205\u25b8\u2212")


def test_what_is_laid_out_backwards_says_so() -> None:
    svg = load("map_reduce").to_svg(open=0)
    turned = re.findall(r'data-source="([^"]*)" data-target="([^"]*)"[^>]*data-turned', svg)
    assert turned == [("collect", "deal")], "so that a token goes along it the right way"


# -- Mermaid and text ------------------------------------------------------------------------------
def test_mermaid_has_the_kinds_in_their_colours_and_lines_in_theirs() -> None:
    text = load("handoff_desk").to_mermaid()
    for kind in ("agent", "tool", "step", "end"):
        assert re.search(rf"classDef kind_{kind} fill:#", text)
        assert re.search(rf"class [n\d,]+ kind_{kind}", text)
    assert text.count("linkStyle") == 3, "calls, hand-overs, trouble"
    assert "style a" in office.to_mermaid(open="all")
    assert all(f"kind_{kind.replace('-', '_')}" not in ("end", "graph") for kind in SHAPES)


def test_boxes_have_rails_for_what_leads_back() -> None:
    drawn = load("map_reduce").to_ascii().split("\nSTART\n")[0].splitlines()
    rail = [row for row in drawn if row.endswith(("\u2502", "\u2510", "\u2518"))]
    turns = [row for row in drawn if row.endswith(("\u2510", "\u2518"))]
    assert len(rail) > 8
    assert sum("│ ┌" in row or "│ └" in row for row in turns) == 2, "into deal, out of collect"
    arrows = drawn[drawn.index(turns[0]) + 1]
    assert arrows.count("\u25bc") == 2, "one from above, one from the rail"
    narrow = load("map_reduce").to_ascii(width=30)
    assert all(len(row) <= 30 for row in narrow.splitlines())


# -- where things stand ----------------------------------------------------------------------------
Box = tuple[float, float, float, float]


def boxes(svg: str, kind: str) -> list[Box]:
    """The boxes around all shapes of one sort in an SVG."""
    found: list[Box] = []
    for group in ElementTree.fromstring(svg).iter(f"{SVG}g"):
        if kind in group.attrib.get("class", "").split():
            pairs = [
                (float(x), float(y))
                for part in (*group.iter(f"{SVG}path"), *group.iter(f"{SVG}polygon"))
                for x, y in re.findall(
                    r"(-?[\d.]+)[, ](-?[\d.]+)",
                    part.attrib.get("d") or part.attrib.get("points", ""),
                )
            ]
            if pairs:
                xs, ys = zip(*pairs, strict=True)
                found.append((min(xs), min(ys), max(xs), max(ys)))
    return found


def labels(svg: str) -> list[tuple[str, Box]]:
    """The labels of lines and the boxes around their letters."""
    found: list[tuple[str, Box]] = []
    for group in ElementTree.fromstring(svg).iter(f"{SVG}g"):
        if "edge" in group.attrib.get("class", "").split():
            for text in group.iter(f"{SVG}text"):
                x, y, size = (float(text.attrib[name]) for name in ("x", "y", "font-size"))
                said = text.text or ""
                left = x if text.attrib["text-anchor"] == "start" else x - width_of(said, size) / 2
                pad = width_of("\u00a0", size) * (len(said) - len(said.lstrip("\u00a0")))
                right = left + pad + width_of(said.strip("\u00a0"), size)
                found.append((said, (left + pad, y - size * 0.6, right, y)))
    return found


@pytest.mark.parametrize("name", READY)
@pytest.mark.parametrize("open", [0, 1])
def test_no_label_stands_on_the_border_of_an_area_or_on_a_node(name: str, open: int) -> None:
    svg = load(name).to_svg(open=open)
    for text, (left, top, right, bottom) in labels(svg):
        for edge in boxes(svg, "cluster"):
            outside = right < edge[0] or edge[2] < left or bottom < edge[1] or edge[3] < top
            inside = edge[0] < left and right < edge[2] and edge[1] < top and bottom < edge[3]
            assert outside or inside, (text, "on a border")
        for shape_ in boxes(svg, "node"):
            assert right < shape_[0] or shape_[2] < left or bottom < shape_[1] or shape_[3] < top, (
                text,
                "on a node",
            )


def heads(source: str) -> list[tuple[float, float]]:
    """The tips of all arrows after the layout."""
    binary = dot_binary()
    assert binary is not None
    done = subprocess.run([binary, "-Tdot"], input=source.encode(), capture_output=True, check=True)
    curves = [
        Curve.read(block.values["pos"])
        for block in blocks_of(polished(done.stdout.decode()))
        if "pos" in block.values
    ]
    return [
        tip
        for curve in curves
        if curve is not None
        for tip in (curve.first_tip, curve.last_tip)
        if tip is not None
    ]


@pytest.mark.parametrize("name", READY)
@pytest.mark.parametrize("open", [0, 1])
def test_no_two_heads_meet_in_a_point(name: str, open: int) -> None:
    tips = heads(load(name).to_dot(open=open))
    assert tips
    for one, other in combinations(tips, 2):
        assert abs(one[0] - other[0]) + abs(one[1] - other[1]) > 4, (one, other)


def test_many_edges_to_one_small_node_are_set_apart() -> None:
    rows = [same.named(f"s{number}") for number in range(12)]
    tips = heads(Graph("g", START >> rows >> END, ends="all").to_dot())
    for one, other in combinations(tips, 2):
        assert abs(one[0] - other[0]) + abs(one[1] - other[1]) > 1.5


# -- the laid-out text -----------------------------------------------------------------------------
def test_laid_out_text_is_read_whatever_stands_in_its_labels() -> None:
    text = 'digraph { n0 [id="n-0", label=<a ]; b <FONT COLOR="x">"q"</FONT>>, pos="1,2"]; n1 [label="x\\"];[", id="n-1", pos="3,\\\n4"]; }'
    blocks = blocks_of(text)
    assert [block.id for block in blocks] == ["n-0", "n-1"]
    assert [numbers(block.values["pos"]) for block in blocks] == [[1.0, 2.0], [3.0, 4.0]]
    moved = changed(text, {blocks[0].spans["pos"]: "5,6"})
    assert moved == text.replace('"1,2"', '"5,6"')


@pytest.mark.parametrize(
    "odd",
    [
        "",
        "digraph {",
        "digraph { a [label=<<<] }",
        'a -> b [id="e-1", pos="e,1 2 x;3"]',
        "[[[]]]",
        'a [id="a-1", bb="no"]',
        'a [id="n-1", pos="x", width=y]',
    ],
)
def test_text_that_is_not_laid_out_is_left_as_it_is(odd: str) -> None:
    assert polished(odd) == odd


def test_a_program_that_draws_no_given_places_draws_all_the_same(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = dot_binary()
    simple = tmp_path / "dot"
    simple.write_text(f'#!/bin/sh\ncase "$*" in *neato*) exit 1;; esac\nexec {binary} "$@"\n')
    simple.chmod(0o755)
    monkeypatch.setenv("GRAPHFLOW_DOT", str(simple))
    assert len(read(office.to_svg()).nodes) == 5
    assert run_svg(walk(office, "go", model=ScriptedModel("done")), graph=office).startswith("<svg")
