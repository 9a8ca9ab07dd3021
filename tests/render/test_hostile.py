"""Names, messages and errors that somebody else has chosen do no harm in any form of a picture."""

from __future__ import annotations

import re
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from graphflow import END, START, Graph, node
from graphflow.errors import DeclarationError, GraphflowError
from graphflow.render import diff, run_svg, to_ascii, walked
from graphflow.render.forms.ascii import columns
from graphflow.render.forms.output import to_text
from tests.render.seen import laid_out, read

NASTY = [
    '<script>alert("x")</script>',
    "</title><script>x</script>",
    "]]></style><img src=x onerror=alert(1)>",
    "'\"`$(x)&amp;&lt;",
    'a" onload="x',
    "new\nline\r\ttab",
    "back\\slash \\N \\G \\L \\\\ \\",
    "<<B>bold</B>>",
    "<B>bold</B>",
    "&#x3c;script&#x3e; &nbsp; &bogus;",
    "\x00\x01\x1f\x7f\x85",
    "\ud800 half \udfff",
    "\ufffe\uffff\u2028\u2029",
    "\u202eright to left\u202c שלום مرحبا",
    "🐙 👩‍👩‍👧 é̂",
    "漢字" * 40,
    "x" * 10_000,
    "a b " * 2_500,
    "-->|x| n0",
    "%%{init: {}}%%",
    "end",
    "graph",
    "subgraph a",
    "n0",
    "[]{}()|#;:`",
    "javascript:alert(1)",
    "https://example.com/x",
    "<!-- x --> --",
    "<foreignObject/>",
    "cluster_a0",
    "; rm -rf",
    "**bold** `code`",
    "#quot;#35;",
    "\u00a0",
    "_" * 50,
    "%s %(x)d {0} {{ x }}",
]
NAMES = st.one_of(
    st.sampled_from(NASTY),
    st.text(st.characters(), min_size=1, max_size=60),
    st.text(st.sampled_from("<>&\"'\\/#;|[]{}()-=\n\x00NGLBR"), min_size=1, max_size=40),
)
FEW = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@node
async def same(x: str) -> str:
    return x


@node
async def fails(x: str) -> str:
    raise ValueError(x)


def named(*names: str) -> Graph[Any, Any] | None:
    """A graph and a graph within it that have these names, or none where they cannot be names."""
    first, second, third = names
    try:
        within = Graph(first, START >> same.named(second) >> END, description=third)
        return Graph(second, START >> same.named(third) >> within >> END, description=first)
    except GraphflowError:
        return None


@FEW
@given(NAMES, NAMES, NAMES)
@example('<script>alert("x")</script>', "\x00 \ud800", "back\\slash \\N \\G \\")
@example("x" * 10_000, "new\nline", "שלום 🐙")
def test_no_name_leaves_its_place(first: str, second: str, third: str) -> None:
    graph = named(first, second, third)
    if graph is None:
        return
    for options in ({"open": 0}, {"open": 1, "legend": True}):
        seen = read(graph.to_svg(**options))  # type: ignore[arg-type]
        assert len(seen.nodes) == (4 if options["open"] == 0 else 6)
        source = graph.to_dot(**options)  # type: ignore[arg-type]
        laid_out(source)
        text = graph.to_mermaid(**options)  # type: ignore[arg-type]
        assert harmless(text, graph)
    boxes = graph.to_ascii(width=60)
    assert all(columns(line) <= 60 for line in boxes.split("\n"))
    assert all(c == "\n" or c.isprintable() for c in boxes)
    to_ascii(graph, unicode=False).encode("ascii")


def harmless(text: str, graph: Graph[Any, Any]) -> bool:
    """Every line of Mermaid is one that was meant: names stand only between quotes, in signs that are none."""
    quoted = r'"(?:[\w _\-.,:()|]|#\d+;|<br/>)*"'
    name = r"[na]\d+"
    shapes = rf"{name}(?:\(\(|\(\[|\[\(|\[\[|\[/|\[\\|\{{\{{|\(|\[|>){quoted}(?:\)\)|\]\)|\)\]|\]\]|/\]|\\\]|\}}\}}|\)|\])"
    form = r"[a-z-]+:[#\w ]+(?:,[a-z-]+:[#\w ]+)*"
    looks = rf"classDef kind_\w+ {form}|class {name}(?:,{name})* kind_\w+|style {name} {form}|linkStyle \d+(?:,\d+)* {form}"
    arrow = rf"{name} (?:-->|-\.->)(?:\|{quoted}\|)? {name}"
    line = rf" *(?:flowchart TD|{shapes}|subgraph {name}\[{quoted}\]|end|{arrow}|{looks})"
    for row in text.rstrip("\n").split("\n"):
        assert re.fullmatch(line, row), row
    return True


def test_mermaids_own_parser_takes_every_nasty_name() -> None:
    mermaidx = pytest.importorskip("mermaidx")
    path: Any = START
    taken = []
    for name in NASTY:
        try:
            path = path >> same.named(name)
            taken.append(name)
        except GraphflowError:
            continue
    assert len(taken) > 30
    graph = Graph("nasty", path >> END)
    svg = mermaidx.render(graph.to_mermaid()).svg()
    assert "<script" not in svg
    assert "onerror=alert" not in svg.replace("&lt;img src=x onerror=alert", "")


@pytest.mark.parametrize("label", [name for name in NASTY if "\ud800" not in name][:14])
def test_labels_and_types_are_text(label: str) -> None:
    async def choose(x: str) -> Any:
        return label

    choose.__annotations__["return"] = Literal[label, "other"]  # type: ignore[valid-type]
    way = node(choose)
    graph: Graph[Any, Any] = Graph(
        "g", START >> way, way[label] >> END, way["other"] >> END, ends="all"
    )
    read(graph.to_svg())
    laid_out(graph.to_dot())
    harmless(graph.to_mermaid(), graph)


@FEW
@given(NAMES, NAMES, st.sampled_from(["completed", "failed", "running", "<b>"]))
def test_what_a_record_says_is_text(text: str, other: str, status: str) -> None:
    graph: Graph[Any, Any] = Graph("g", START >> fails >> END)
    events: list[dict[str, Any]] = [
        {"kind": "run.start", "graph": "g", "input": text, "at": 0, "frame": 0},
        {"kind": "node.start", "node": "fails", "activation": 1, "frame": 0, "at": 0.1},
        {
            "kind": "node.error",
            "node": "fails",
            "error": {"type": other, "text": text},
            "at": 1,
            "frame": 0,
        },
        {"kind": "node.end", "node": "fails", "output": text, "at": 1, "frame": 0, "started": -5},
        {"kind": "frame.enter", "path": [text, other], "frame": 1, "parent": 0},
        {"kind": "node.start", "node": other, "frame": 1},
        {"kind": "run.end", "status": status, "error": text, "at": 2, "frame": 0},
    ]
    seen = read(run_svg(events, graph=graph))
    assert seen.marks["fails"] == "mixed"
    made = walked(events, graph)
    harmless_marks = [row for row in to_text(made, ascii=False).split("\n") if " class" not in row]
    harmless("\n".join(harmless_marks), graph)
    assert all(columns(line) <= 80 for line in to_text(made, ascii=True, width=80).split("\n"))
    foreign = [{"kind": "node.end", "node": text, "at": 1, "frame": 0, "started": -5}]
    if text != "fails":
        with pytest.raises(DeclarationError, match="the record is of another graph") as refused:
            run_svg(foreign, graph=graph)
        assert str(refused.value).isprintable()
    told = str(diff(events, events[:-1]))
    assert "g" in told


@FEW
@given(NAMES, NAMES)
def test_differences_are_text(first: str, second: str) -> None:
    one, other = named(first, second, "x"), named(second, first, "y")
    if one is None or other is None:
        return
    difference = diff(one, other, open=1)
    read(difference.to_svg())
    assert difference.same is (not difference.changes)
