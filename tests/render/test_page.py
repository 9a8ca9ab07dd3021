"""The page of a run: it holds everything, loads nothing, runs nothing, and whatever a run said is text in it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import html5lib
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphflow import END, START, Agent, Graph, Limits, node
from graphflow.errors import DeclarationError, FileUnreadable
from graphflow.events import Event, to_record
from graphflow.notebook import shown
from graphflow.render.accounts import Account
from graphflow.render.page import report_html, write_report
from graphflow.render.timeline.spans import Interval
from graphflow.testing import ScriptedModel, calls
from tests import programs
from tests.conftest import walk
from tests.notebook.walks import desk, walked

TAGS = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "header",
        "h1",
        "h2",
        "h3",
        "div",
        "span",
        "nav",
        "a",
        "b",
        "p",
        "pre",
    ),
    *("section", "details", "summary", "table", "tbody", "tr", "th", "td", "footer"),
    *(
        "svg",
        "g",
        "path",
        "polygon",
        "ellipse",
        "polyline",
        "rect",
        "text",
        "tspan",
        "defs",
        "pattern",
        "desc",
        "line",
        "circle",
    ),
}
ATTRIBUTES = {
    *(
        "lang",
        "charset",
        "http-equiv",
        "content",
        "name",
        "id",
        "class",
        "href",
        "open",
        "style",
        "role",
        "aria-label",
    ),
    *(
        "width",
        "height",
        "viewbox",
        "viewBox",
        "transform",
        "fill",
        "stroke",
        "points",
        "d",
        "x",
        "y",
        "dx",
        "rx",
        "ry",
        "cx",
    ),
    *(
        "cy",
        "text-anchor",
        "patternunits",
        "patternUnits",
        "patterntransform",
        "patternTransform",
        "stroke-dasharray",
    ),
    *(
        "font-family",
        "font-size",
        "font-weight",
        "space",
        "title",
        "data-id",
        "data-node",
        "data-turned",
        "data-edge",
        "data-source",
        "data-target",
        "data-path",
        "data-nodes",
        "data-edges",
        "data-call",
        "aria-labelledby",
        "textLength",
        "textlength",
        "lengthAdjust",
        "lengthadjust",
        "stroke-linecap",
        "opacity",
    ),
    *("stroke-width", "xmlns", "xlink", "xml:space", "xlink:title", "xmlns:xlink"),
}


def elements(page: str) -> list[Any]:
    tree = html5lib.parse(page, treebuilder="etree", namespaceHTMLElements=False)
    return [element for element in tree.iter() if isinstance(element.tag, str)]


def harmless(page: str) -> None:
    """Only what our own template and pictures are made of; nothing that runs or loads."""
    for element in elements(page):
        tag = element.tag.rpartition("}")[2]
        assert tag in TAGS, tag
        for name, value in element.attrib.items():
            short = name.rpartition("}")[2]
            assert short in ATTRIBUTES, (tag, short)
            if short == "href":
                assert value.startswith("#")
            if short == "style":
                assert "url(" not in value.replace("url(#gf-t-many)", "")


def text_of(page: str) -> str:
    return " ".join(
        "".join(element.itertext()) for element in elements(page) if element.tag == "body"
    )


def test_a_page_tells_everything_about_a_run(tmp_path: Path) -> None:
    run = walked()
    path = run.report(str(tmp_path / "walk.html"))
    page = Path(path).read_text()
    harmless(page)
    told = text_of(page)
    for wanted in (
        *(
            "desk",
            "completed",
            "Conversations",
            "researcher",
            "checker",
            "All about snow.",
            "Snow is cold.",
        ),
        *("ToolError: nothing of the kind", "By node", "desk > checker", "critical path"),
    ):
        assert wanted in told, wanted
    assert page.count("<svg") == 2
    assert "<script" not in page


def test_the_policy_allows_nothing() -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', report_html(walked()))
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy[1]
    assert not re.search(r'<[^>]* style="', report_html(walked()))


def test_a_file_of_events_gives_the_same_page() -> None:
    run = walked()
    lines = [
        json.loads(json.dumps(to_record(e)))
        for e in run.events
        if e.kind not in ("model.delta", "model.partial")
    ]
    without_ids = [re.sub(r"gf\d+", "gf", report_html(source, desk)) for source in (run, lines)]
    assert re.sub(r"<h3>Limits.*?<h2", "<h2", without_ids[0], flags=re.S) == without_ids[1]
    assert report_html(lines).count("<svg") == 1  # without the graph there is no diagram


def test_limits_warnings_and_failures_are_told() -> None:
    @node
    async def again(x: int) -> int:
        if x >= 9:
            raise ValueError("nine is too much")
        return x + 1

    names = [again.named(f"n{i}") for i in range(10)]
    path = START >> names[0]
    for each in names[1:]:
        path = path >> each
    counting: Graph[Any, Any] = Graph("counting", path >> END, limits=Limits(steps=11))

    async def main() -> Any:
        run = counting.start(0)
        return await run.settled()

    told = text_of(report_html(asyncio.run(main())))
    assert "steps: 9 of 11 used" in told
    assert "steps 11" in told
    assert "ValueError: nine is too much" in told
    assert "\u2717 failed" in told


def test_secrets_are_scrubbed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_API_KEY", "opensesame&<12345>")

    @node
    async def leak(text: str) -> str:
        return f"the key is opensesame&<12345> and sk-{'a' * 24}"

    leaking: Graph[Any, Any] = Graph("leaking", START >> leak >> END)
    page = report_html(leaking.run_sync("x"))
    assert "opensesame" not in page
    assert "sk-aaaa" not in page
    assert "[SHOP_API_KEY]" in page


def test_thinking_is_folded() -> None:
    events: list[dict[str, Any]] = [
        {"kind": "run.start", "at": 0, "frame": 0, "graph": "g", "input": "x"},
        {
            "kind": "node.start",
            "at": 0,
            "frame": 0,
            "activation": 1,
            "node": "a",
            "scope": [],
            "input": "x",
        },
        {
            **{
                "kind": "model.end",
                "at": 2,
                "frame": 0,
                "activation": 1,
                "node": "a",
                "model": "m",
                "text": "so be it",
                "thinking": "hm, so",
            },
            **{
                "calls": 0,
                "input_tokens": 1,
                "output_tokens": 1,
                "usd": None,
                "finish": "stop",
                "started": 0,
            },
        },
        {
            "kind": "node.end",
            "at": 3,
            "frame": 0,
            "activation": 1,
            "node": "a",
            "output": "so be it",
            "started": 0,
        },
        {
            "kind": "run.end",
            "at": 3,
            "frame": 0,
            "status": "completed",
            "output": "so be it",
            "error": "",
        },
    ]
    page = report_html(events)
    assert re.search(r"<details><summary class=\"dim\">thinking</summary><pre>hm, so</pre>", page)
    assert "unknown" in text_of(page)  # what a call costs whose price nobody knows


HOSTILE = st.one_of(
    st.sampled_from(
        [
            *(
                "<script>alert(1)</script>",
                "</pre><img src=x onerror=alert(1)>",
                "'\"><svg onload=alert(1)>",
                "</style><b>",
            ),
            *(
                "{{ 7 * 7 }}",
                "{% raw %}",
                "]]>",
                "<!--",
                "&lt;script&gt;",
                "\u202eevil\u202c",
                "\x00\x1b[31m",
                "\ud800",
                "javascript:alert(1)",
            ),
            *(
                "x" * 10_000,
                "a\nb\r\nc",
                "\u0085\u2028",
                "</title><script>",
                "http://evil.example/x.png",
                "\U0001f419",
            ),
        ]
    ),
    st.text(max_size=60),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(HOSTILE, HOSTILE, HOSTILE)
def test_whatever_a_run_said_is_text(name: str, message: str, error: str) -> None:
    name = name or "n"
    records = [to_record(event) for event in walked_once()]
    replaced = json.loads(
        json.dumps(records)
        .replace('"desk"', json.dumps(name))
        .replace('"search"', json.dumps(message or "s"))
    )
    for record in replaced:
        for key in ("text", "input", "output", "message"):
            if isinstance(record.get(key), str):
                record[key] = message
        if isinstance(record.get("error"), dict):
            record["error"] = {"type": error, "text": error}
    page = report_html(replaced)
    page.encode()
    harmless(page)


_ONCE: list[Event] = []


def walked_once() -> list[Event]:
    if not _ONCE:
        _ONCE.extend(walked().events)
    return _ONCE


def test_hostile_names_in_the_graph_are_text_in_its_diagram() -> None:
    @node
    async def same(x: int) -> int:
        return x

    name = "</title></svg><script>alert(1)</script>\"'\n{{ x }}"
    hostile: Graph[Any, Any] = Graph("g", START >> same.named(name) >> END)
    page = report_html(hostile.run_sync(1))
    harmless(page)
    assert "<script" not in page


def test_large_runs_are_bounded() -> None:
    events: list[dict[str, Any]] = [
        {"kind": "run.start", "at": 0.0, "frame": 0, "graph": "g", "input": "x" * 100_000}
    ]
    for number in range(5_000):
        base = {"frame": 0, "activation": number, "node": f"n{number % 7}"}
        events.append(
            {"kind": "node.start", "at": number / 100, "scope": [], "input": "y" * 3_000, **base}
        )
        events.append(
            {
                "kind": "node.end",
                "at": number / 100 + 0.005,
                "started": number / 100,
                "output": "z" * 3_000,
                **base,
            }
        )
    page = report_html(
        [
            *events,
            {
                "kind": "run.end",
                "at": 50.0,
                "frame": 0,
                "status": "completed",
                "output": None,
                "error": "",
            },
        ]
    )
    assert len(page) < 4_000_000
    assert "4,000 more steps are not shown" in page
    assert "characters more)" in page


@pytest.mark.parametrize("name", ["walk.pdf", "walk.svg", "walk"])
def test_a_file_is_what_its_name_says(name: str, tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match=r"a report is a page of HTML: use \.html"):
        walked().report(str(tmp_path / name))
    assert not list(tmp_path.iterdir())


def test_what_one_node_does_side_by_side_counts_once_as_time() -> None:
    run = walked()
    page = report_html(run)
    account = Account("all")
    for start, end in ((0.0, 2.0), (0.5, 2.0), (1.0, 3.0)):
        interval = Interval(start, end)
        account.intervals.append(interval)
    assert account.seconds == 3.0
    assert "1 steps" not in page
    assert "calls:" not in page, "a turn that only calls says how many calls it makes"
    assert "makes 1 call<" in page


def test_a_hand_over_is_told_in_words() -> None:
    billing = Agent("billing", input=str, prompt="{{ text }}")
    triage = Agent("triage", input=str, handoffs=[billing], prompt="{{ text }}")
    graph: Graph[Any, Any] = Graph("desk", START >> triage >> END, billing >> END)
    run = walk(graph, "my bill", model=ScriptedModel(calls("transfer_to_billing", input="x"), "ok"))
    for page in (
        report_html(run),
        report_html([to_record(e) for e in run.events]),
        shown(run)["text/html"],
    ):
        assert "hands over to billing" in page
        assert "turns&" not in page


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match="cannot be written"):
        write_report(walked(), tmp_path / "no" / "walk.html")


def test_the_commands_write_pages(tmp_path: Path) -> None:
    (tmp_path / "graphs").mkdir()
    source = (
        "from graphflow import END, START, Graph, node\n\n@node\nasync def half(x: int) -> int:\n"
        "    if x % 2:\n        raise ValueError('odd')\n    return x // 2\n\nhalving = Graph('halving', START >> half >> END)\n"
    )
    (tmp_path / "graphs" / "halving.py").write_text(source)

    def graphflow(*arguments: str) -> subprocess.CompletedProcess[str]:
        root = str(Path(__file__).resolve().parents[2])
        environment = {**os.environ, "PYTHONPATH": root}
        return programs.run("-m", "graphflow", *arguments, cwd=tmp_path, text=True, env=environment)

    done = graphflow("run", "halving", "4", "--events", "walk.jsonl", "--report", "one.html")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "one.html").read_text().count("<svg") == 2
    done = graphflow("report", "walk.jsonl", "--graph", "halving")
    assert done.stdout == "wrote walk.html\n", done.stderr
    assert (tmp_path / "walk.html").read_text().count("<svg") == 2
    done = graphflow("run", "halving", "3", "--report", "failed.html")
    assert done.returncode == 1
    assert "ValueError: odd" in (tmp_path / "failed.html").read_text()
    done = graphflow("report", "none.jsonl", "-o", "x.html")
    assert done.returncode == 2
    assert "there is no file none.jsonl" in done.stderr
