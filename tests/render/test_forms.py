"""Every form of a picture: what it holds, what it refuses, and what there is where nothing can draw."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import pytest

from graphflow import END, START, Agent, Failure, Graph, SubAgent, node, tool
from graphflow.errors import DeclarationError, FileUnreadable, MissingExtra
from graphflow.project import load
from graphflow.render import SHAPES, dot_binary
from graphflow.render.builder import picture
from graphflow.render.forms.ascii import columns
from graphflow.render.palette import DARK, LIGHT
from tests.render.seen import laid_out, read

READY = [
    "debate",
    "desk",
    "evaluator_optimizer",
    "handoff_desk",
    "map_reduce",
    "plan_execute",
    "react",
    "reflexion",
]


@node
async def same(x: str) -> str:
    return x


@node
async def joined(xs: list[str]) -> str:
    return "".join(xs)


@node
async def sorry(failure: Failure) -> str:
    return ""


@tool
async def look(words: str) -> str:
    """Look something up."""
    return words


@tool
async def reckon(words: str) -> str:
    """Work something out."""
    return words


low = Agent("low", input=str, tools=[look, reckon], prompt="{{ text }}")
middle = Agent("middle", input=str, tools=[look], sub_agents=[SubAgent(low)], prompt="{{ text }}")
top = Agent("top", input=str, sub_agents=[SubAgent(middle)], prompt="{{ text }}")
agents: Graph[Any, Any] = Graph("agents", START >> top >> END, top[Failure] >> sorry >> END)
inner: Graph[Any, Any] = Graph("inner", START >> same >> END)
outer: Graph[Any, Any] = Graph(
    "outer", START >> inner.named("first") >> inner.named("second") >> END
)


def test_colours_have_six_digits_and_each_is_there_once() -> None:
    for look in (LIGHT, DARK):
        assert all(len(colour) == 7 and int(colour[1:], 16) >= 0 for colour in look.values())
        assert len(set(look.values())) == len(look)
    assert LIGHT.keys() == DARK.keys()
    assert all(f"{kind}-fill" in LIGHT and f"{kind}-line" in LIGHT for kind in SHAPES)


def brightness(colour: str) -> float:
    red, green, blue = (
        c / 12.92
        if (c := int(colour[at : at + 2], 16) / 255) <= 0.04045
        else ((c + 0.055) / 1.055) ** 2.4
        for at in (1, 3, 5)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((brightness(one), brightness(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("look", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_lines_stand_out_from_what_is_behind_them(look: dict[str, str]) -> None:
    for kind in SHAPES:
        assert contrast(look["ink"], look[f"{kind}-fill"]) > 7
        assert contrast(look["faint"], look[f"{kind}-fill"]) > 4.4
        assert contrast(look[f"{kind}-line"], look["paper"]) > 3
    for name in ("line", "trouble", "hand", "call", "faint", "added", "removed", "changed"):
        assert contrast(look[name], look["paper"]) > 3, name


def test_sub_agents_are_areas_as_deep_as_is_asked() -> None:
    assert read(agents.to_svg(open=0)).areas == []
    assert read(agents.to_svg(open=1)).areas == ["agents > middle"]
    assert read(agents.to_svg(open=2)).areas == ["agents > middle", "agents > middle > low"]
    closed = read(agents.to_svg(open=0))
    assert {name for _, _, name in closed.nodes} == {"START", "END", "top", "sorry", "middle"}
    assert any("within, depth 1" in text for text in closed.texts)
    opened = read(agents.to_svg(open="all"))
    assert {name for _, _, name in opened.nodes} == {
        "START",
        "END",
        "top",
        "sorry",
        "middle",
        "low",
        "look",
        "reckon",
    }
    assert ("agents", "c-low-look", "low", "look") in opened.edges


def test_a_node_with_the_name_of_its_graph_is_drawn_as_a_node() -> None:
    namesake: Graph[Any, Any] = Graph("same", START >> same >> END)
    drawn = picture(Graph("around", START >> namesake >> END), open=1)
    [node_shape] = [shape for shape in drawn.every_shape() if shape.name == "same"]
    assert not node_shape.opened
    assert node_shape.kind == "step"


def test_mermaid_has_the_colours_of_its_theme() -> None:
    assert LIGHT["graph-fill"] in outer.to_mermaid()
    assert DARK["graph-fill"] in outer.to_mermaid(theme="dark")


def test_the_same_graph_twice_is_told_apart_by_its_path() -> None:
    seen = read(outer.to_svg(open=1))
    assert seen.areas == ["outer > first", "outer > second"]
    assert [path for kind, path, name in seen.nodes if name == "same"] == [
        "outer > first",
        "outer > second",
    ]
    assert [edge for edge in seen.edges if edge[0] == "outer > second"] == [
        ("outer > second", "0", "START", "same"),
        ("outer > second", "1", "same", "END"),
    ]
    assert any("graph, depth 1" in text for text in seen.texts)


def test_lines_say_what_they_are() -> None:
    source = agents.to_dot(open="all")
    assert source.count('style="dashed"') == 5
    assert 'arrowtail="odot"' in source
    source = load("handoff_desk").to_dot()
    assert source.count('style="dotted"') == 4
    for what in ("each", "collect", "at most 2 laps", "LimitReached"):
        assert what in load("map_reduce").to_dot(), what


def test_a_legend_tells_of_what_occurs_and_of_nothing_else() -> None:
    texts = [text.strip("\u00a0") for text in read(agents.to_svg(open="all", legend=True)).texts]
    for word in ("Legend", "agent", "sub-agent", "tool", "call", "failure, limit"):
        assert word in texts
    assert "router" not in texts
    assert "hand-over" not in texts
    assert "Legend" not in read(agents.to_svg()).texts


def test_labels_can_be_left_out_and_are_told_to_a_pointer() -> None:
    seen = read(load("map_reduce").to_svg(labels=False))
    assert not any("Chunk" in text for text in seen.texts)
    assert any("each, Chunk" in title for title in seen.titles)


def test_colours_follow_the_page_or_stay() -> None:
    auto, dark, light = (agents.to_svg(theme=theme) for theme in ("auto", "dark", "light"))
    assert "prefers-color-scheme:dark" in auto
    assert 'data-jp-theme-light="false"' in auto
    for fixed in (dark, light):
        assert "@media" not in fixed
    assert LIGHT["paper"] in light
    assert LIGHT["paper"] not in dark
    assert DARK["paper"] in dark


def test_a_picture_tells_those_who_hear_it_what_it_is() -> None:
    svg = load("desk").to_svg(prefix="p")
    assert 'role="img" aria-labelledby="p-t p-d"' in svg
    assert "Answers a shop&#x27;s mail" in svg


@pytest.mark.parametrize("name", READY)
@pytest.mark.parametrize("options", [{}, {"open": "all", "legend": True, "direction": "LR"}])
def test_dot_is_laid_out_by_every_program_there_is(name: str, options: dict[str, Any]) -> None:
    laid_out(load(name).to_dot(**options))


@pytest.mark.parametrize("name", ["desk", "handoff_desk", "map_reduce"])
@pytest.mark.parametrize("open", ["flat", "all"])
def test_mermaid_is_what_mermaid_reads(name: str, open: Any) -> None:
    mermaidx = pytest.importorskip("mermaidx")
    assert "<svg" in mermaidx.render(load(name).to_mermaid(open=open)).svg()


def test_mermaid_has_areas() -> None:
    text = agents.to_mermaid(open="all")
    assert text.count("subgraph") == text.count("    end\n") == 2
    assert "depth 2" in text
    assert agents.to_mermaid(direction="LR").startswith("flowchart LR")


# -- terminals -------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", READY)
@pytest.mark.parametrize("width", [30, 60, 100, 200])
@pytest.mark.parametrize("unicode", [True, False])
def test_boxes_fit_the_terminal_and_each_node_is_there_once(
    name: str, width: int, unicode: bool
) -> None:
    graph = load(name)
    text = graph.to_ascii(width=width, unicode=unicode)
    assert all(columns(line) <= width for line in text.splitlines())
    assert unicode or text.isascii()
    drawn = text.split("\nSTART\n")[0] if text.startswith(" ") or text.startswith("(") else ""
    if drawn and unicode:
        assert drawn.count("╭") == picture(graph, open="flat").size - 2


def test_a_loop_is_drawn_once_and_told_to_lead_back() -> None:
    text = load("map_reduce").to_ascii()
    assert len([row for row in text.splitlines() if "│ " in row and " collect " in row]) == 1
    assert "deal            Chunks, at most 2 laps (back)" in text


def test_wide_signs_take_their_two_columns() -> None:
    graph = Graph("g", START >> same.named("漢字" * 6) >> END)
    lines = graph.to_ascii().splitlines()
    box = [line for line in lines if "漢" in line and "│" in line]
    top = next(line for line in lines if "╭" in line)
    assert columns(box[0]) == columns(top)


# -- sizes -----------------------------------------------------------------------------------------
def test_three_hundred_nodes_fold_until_they_can_be_read() -> None:
    path: Any = START
    for number in range(10):
        path = (
            path
            >> [same.named(f"part_{number}_{i}") for i in range(20)]
            >> joined.named(f"join_{number}")
        )
        for step in range(10):
            path = path >> same.named(f"step_{number}_{step}")
    graph = Graph("large", path >> END)
    assert len(graph.nodes) > 300
    made = picture(graph)
    assert made.size <= 70
    assert sum(len(shape.members) for shape in made.every_shape()) == len(graph.nodes) + 2
    seen = read(graph.to_svg())
    assert len(seen.nodes) == made.size
    assert any("20 steps" in text for text in seen.texts)
    assert picture(graph, fold=False).size == len(graph.nodes) + 2


def test_alike_branches_fold_and_lose_no_edge() -> None:
    branches = [same.named(f"b{i}") for i in range(200)]
    graph = Graph("fan", START >> branches >> joined >> END)
    made = picture(graph)
    assert made.size == 4
    assert sorted(index for line in made.lines for index in line.indexes) == list(range(401))


def test_what_is_deep_stays_folded_where_there_is_no_room() -> None:
    graphs = [
        Graph(f"g{i}", START >> [same.named(f"s{j}") for j in range(20)] >> joined >> END)
        for i in range(9)
    ]
    path: Any = START
    for graph in graphs:
        path = path >> graph
    large = Graph("large", path >> END)
    assert read(large.to_svg()).areas == []
    assert len(read(large.to_svg(open=1)).areas) == 9


def test_a_thousand_labels_are_told_to_a_pointer_only() -> None:
    @node
    async def which(x: str) -> Literal["a"]:
        return "a"

    rows = [[same.named(f"n{row}_{column}") for column in range(15)] for row in range(16)]
    edges: list[Any] = [START >> rows[0]]
    for above, below in pairwise(rows):
        for number, one in enumerate(above):
            edges += [
                one >> below[number].into("x"),
                one.when(len) >> below[(number + 4) % 15],
                one.otherwise >> END,
            ]
    made = picture(Graph("web", *edges, rows[-1] >> END, ends="all"))
    assert not made.labels


# -- what is not there -----------------------------------------------------------------------------
@pytest.fixture
def nothing_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHFLOW_DOT", "/nothing/here")


def test_the_program_is_found_where_its_package_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if not (found := dot_binary()) or "pure" not in found:
        pytest.skip("another program draws here")
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    again = dot_binary()
    assert again is not None
    assert Path(again).samefile(found)


@pytest.mark.usefixtures("nothing_draws")
def test_without_a_program_text_is_still_drawn(tmp_path: Path) -> None:
    for ending in ("mmd", "dot", "txt"):
        assert Path(agents.draw(str(tmp_path / f"a.{ending}"))).stat().st_size > 50
    with pytest.raises(MissingExtra, match="graphflow-agents\\[dot\\]"):
        agents.draw(str(tmp_path / "a.svg"))
    with pytest.raises(MissingExtra):
        agents.to_svg()
    assert set(agents._repr_mimebundle_()) == {"text/plain", "text/vnd.mermaid"}


def test_a_program_that_writes_no_pdf_is_named(tmp_path: Path) -> None:
    if "pure" not in str(dot_binary()):
        assert Path(agents.draw(str(tmp_path / "a.pdf"))).read_bytes().startswith(b"%PDF")
        return
    with pytest.raises(MissingExtra, match="graphviz-pure writes no PDF; install graphviz"):
        agents.draw(str(tmp_path / "a.pdf"))


def test_a_program_that_fails_is_named_with_what_it_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "dot"
    broken.write_text("#!/bin/sh\necho 'no, thank you' >&2\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("GRAPHFLOW_DOT", str(broken))
    with pytest.raises(FileUnreadable, match="no, thank you"):
        agents.to_svg()


def test_pictures_for_people(tmp_path: Path) -> None:
    assert (
        Path(agents.draw(str(tmp_path / "a.png"), theme="dark")).read_bytes().startswith(b"\x89PNG")
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"open": -1}, "number of levels"),
        ({"open": True}, "number of levels"),
        ({"open": "some"}, "number of levels"),
        ({"direction": "up"}, "top to bottom"),
        ({"theme": "pink"}, "'light' or 'dark'"),
        ({"legend": 1}, "True or False"),
        ({"labels": "no"}, "True or False"),
    ],
)
def test_options_that_say_nothing_are_refused(
    options: dict[str, Any], says: str, tmp_path: Path
) -> None:
    for ending in ("svg", "dot", "mmd", "txt"):
        with pytest.raises(DeclarationError, match=says):
            agents.draw(str(tmp_path / f"a.{ending}"), **options)
    with pytest.raises(TypeError, match="no option 'colour'"):
        agents.to_dot(colour="red")  # type: ignore[call-arg]


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match="cannot be written"):
        agents.draw(str(tmp_path / "no" / "such" / "folder.dot"))
