"""The live picture without a browser: what is sent, how often, what is kept, what is left where widgets are missing."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

from graphflow import END, START, Graph, node
from graphflow.errors import DeclarationError
from graphflow.events import ModelDelta, NodeStarted, RunStarted, to_record
from graphflow.notebook import Live
from graphflow.notebook import live as live_module
from graphflow.notebook import rows as rows_module
from graphflow.notebook.rows import Rows
from graphflow.notebook.states import states
from graphflow.render.builder import picture
from tests.conftest import walk
from tests.notebook.walks import Question, desk, script, walked
from tests.waiting import eventually


@node
async def same(x: int) -> int:
    return x


@node
async def bad(x: int) -> int:
    raise ValueError("no")


one_node: Graph[Any, Any] = Graph("g", START >> same.named("a") >> END)


class Wire:
    """What a widget would send."""

    def __init__(self, live: Live) -> None:
        self.sent: list[dict[str, Any]] = []
        self.widget = live.widget
        live.widget.send = self.sent.append

    @property
    def rows(self) -> list[Any]:
        return [row for message in self.sent for row in message.get("rows", ())]


def test_a_run_moves_the_picture_and_ends_as_a_run_does() -> None:
    pytest.importorskip("anywidget")

    async def main() -> None:
        live = desk.live()
        wire = Wire(live)
        run = await live.run(Question(text="winter"), model=script())
        assert run.output == "Snow is cold. Ice is hard."
        assert wire.sent[0] == {"begin": True}
        assert wire.sent[-1] == {"end": True}
        assert wire.rows == live.rows.kept == live.widget.rows
        assert states(wire.rows) == {
            **{
                "desk > planner": ("done", ""),
                "desk > researcher": ("done", "2"),
                "desk > merge": ("done", ""),
            },
            **{"desk > search": ("mixed", "2"), "desk > checker": ("done", "")},
        }

    asyncio.run(main())


def test_a_failure_is_shown_and_raised() -> None:
    async def main() -> None:
        live = Graph("g", START >> bad >> END).live()
        with pytest.raises(ValueError, match="no") as caught:
            await live.run(1)
        assert caught.value.run.status == "failed"  # type: ignore[attr-defined]
        assert states(live.rows.kept)["g > bad"] == ("failed", "")
        assert "\u2717" in live.to_svg()

    asyncio.run(main())


def test_at_most_twenty_messages_a_second() -> None:
    pytest.importorskip("anywidget")

    @node
    async def slow(x: int) -> int:
        await asyncio.sleep(0.004)
        return x

    path = START >> slow.named("n0")
    for number in range(1, 100):
        path = path >> slow.named(f"n{number}")

    async def main() -> None:
        live = Graph("g", path >> END).live()
        wire = Wire(live)
        run = await live.run(1)
        batches = sum("rows" in message for message in wire.sent)
        assert batches <= run.usage.seconds * 20 + 3  # the first and the last come at once
        assert len(wire.rows) > 300

    asyncio.run(main())


def test_watching_a_run_and_leaving_early() -> None:
    async def main() -> None:
        @node
        async def forever(x: int) -> int:
            await asyncio.Event().wait()
            return x

        graph = Graph("g", START >> forever >> END)
        live = graph.live()
        task = asyncio.ensure_future(live.run(1))
        await eventually(lambda: live.rows.kept)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert live.rows.kept[-1][4] == "cancelled"
        run = desk.start(Question(text="winter"), model=script())
        watched = await desk.live().watch(run)
        assert watched is run
        assert run.status == "completed"

    asyncio.run(main())


def test_a_record_can_be_played_again(tmp_path: Path) -> None:
    run = walked()
    records = [to_record(event) for event in run.events]
    one, other = Live(desk).replay(run), Live(desk).replay(records)
    assert [row[:5] for row in one.rows.kept] == [row[:5] for row in other.rows.kept]
    assert "\u2713" in one.to_svg()


def in_two_ways() -> Graph[Any, Any]:
    """A graph in which the same graph stands twice, so that two of its nodes have one name, and both have an END."""
    inner: Graph[Any, Any] = Graph("inner", START >> same >> END)
    return Graph("outer", START >> inner.named("first") >> inner.named("second") >> END)


def test_what_is_inside_a_folded_graph_is_listed_under_it() -> None:
    graph = in_two_ways()
    live = Live(graph, open=0).replay(walk(graph, 1))
    inside = [row for row in live.rows.kept if row[4] == "first > same"]
    assert {(row[2], row[3]) for row in inside} == {("", "outer > first")}


def test_what_is_inside_an_opened_graph_moves_and_names_are_told_apart() -> None:
    graph = in_two_ways()
    live = Live(graph, open=1).replay(walk(graph, 1))
    assert states(live.rows.kept) == {
        name: ("done", "")
        for name in (
            "outer > first",
            "outer > first > same",
            "outer > second",
            "outer > second > same",
        )
    }
    tree = ElementTree.fromstring(live.svg)
    drawn = [element.get("data-id") for element in tree.iter() if element.get("data-id")]
    assert len(drawn) == len(set(drawn)) == 2 + 2 + 2 * 3 + 3 + 2 * 2
    moved = [row[5] for row in live.rows.kept if row[1] == ">"]
    assert "outer > second # 0" in moved
    assert set(moved) <= set(drawn), "every edge that something went along is in the picture"
    assert {row[2] for row in live.rows.kept if row[2]} <= set(drawn)


def test_calls_move_along_their_edges() -> None:
    live = Live(desk).replay(walked())
    moved = [(row[7], row[2]) for row in live.rows.kept if row[1] == "+" and len(row) > 7]
    assert ("desk # researcher calls checker", "desk > checker") in moved
    assert all(f'data-id="{edge}"' in live.svg for edge, _ in moved)


def test_what_two_activations_of_a_node_say_is_not_mixed() -> None:
    rows = Rows(one_node, picture(one_node))
    for piece in ("one ", "two "):
        for activation in (1, 2):
            rows.take(ModelDelta(0.1, 0, activation, "a", "text", piece, activation))
    rows.take(ModelDelta(0.2, 0, 1, "a", "text", "again", 3))
    said: dict[Any, str] = {}
    for row in rows.flush():
        said[row[7], row[8]] = said.get((row[7], row[8]), "") + row[5]
    assert said == {("0.1", 1): "one two ", ("0.2", 2): "one two ", ("0.1", 3): "again"}


def test_a_pending_approval_does_not_look_like_work() -> None:
    async def main() -> None:
        asked, answer = asyncio.Event(), asyncio.Event()

        async def approve(use: Any) -> bool:
            asked.set()
            await answer.wait()
            return True

        @node(approval=True)
        async def pay(x: int) -> int:
            return x

        live = Graph("g", START >> pay >> END).live()
        task = asyncio.ensure_future(live.run(1, approve=approve))
        await asked.wait()
        while "g > pay" not in states(live.rows.kept + live.rows.pending):  # noqa: ASYNC110 - it is told in a later turn
            await asyncio.sleep(0)
        assert states(live.rows.kept + live.rows.pending)["g > pay"] == ("asking", "")
        answer.set()
        await task
        assert states(live.rows.kept)["g > pay"] == ("done", "")

    asyncio.run(main())


def test_a_record_of_another_graph_is_refused_before_anything_is_shown() -> None:
    live = Live(one_node)
    with pytest.raises(DeclarationError, match="not of 'g'"):
        live.replay(walked())
    assert live.rows.kept == []


def test_it_is_shown_once_in_a_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    shell = SimpleNamespace(execution_count=1)
    monkeypatch.setattr(live_module, "in_notebook", lambda: True)
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    monkeypatch.setattr(
        "IPython.display.display", lambda *_, **more: shown.append(more["display_id"])
    )
    monkeypatch.setattr("IPython.display.update_display", lambda *_, **__: None)
    live = Live(one_node).replay(walk(one_node, 1))
    live._ipython_display_()  # as the last line of the same cell
    assert len(shown) == 1
    shell.execution_count = 2
    live._ipython_display_()
    assert len(shown) == 2


def test_pieces_of_one_answer_are_sent_together() -> None:
    rows = Rows(one_node, picture(one_node))
    rows.take(RunStarted(0.0, 0, "g", None))
    for word in ("one ", "two ", "three"):
        rows.take(ModelDelta(0.1, 0, 1, "a", "text", word))
    batch = rows.flush()
    assert [row[5] for row in batch if row[1] == "t"] == ["one two three"]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "MAX_ROWS", 100)
    rows = Rows(one_node, picture(one_node))
    rows.text_left = 5_000
    for number in range(500):
        rows.take(NodeStarted(0.0, 0, number, "a", (), "x" * 3_000))
        rows.flush()
    assert len(rows.kept) == 100
    assert rows.beyond == 400
    assert sum(len(row[5]) for row in rows.kept) < 12_000


def test_secrets_do_not_get_into_notebooks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "opensesame-12345")
    rows = Rows(one_node, picture(one_node))
    rows.take(NodeStarted(0.0, 0, 1, "a", (), {"key": "opensesame-12345"}))
    assert "opensesame" not in str(rows.flush())


def test_without_anywidget_there_is_the_static_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "new_widget", lambda _, **traits: None)
    live = desk.live()
    assert live.widget is None
    bundle = live._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "image/svg+xml"}
    ElementTree.fromstring(bundle["image/svg+xml"])
    asyncio.run(live.run(Question(text="winter"), model=script()))
    assert "\u2713" in live._repr_mimebundle_()["image/svg+xml"]


def test_without_a_program_that_draws_there_is_mermaid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHFLOW_DOT", "/nothing/here")
    live = desk.live()
    assert live._repr_mimebundle_()["text/vnd.mermaid"].startswith("flowchart")
    asyncio.run(live.run(Question(text="winter"), model=script()))


def test_the_bundle_holds_the_widget_and_the_picture() -> None:
    pytest.importorskip("anywidget")
    bundle = desk.live()._repr_mimebundle_()
    assert set(bundle) == {
        "text/plain",
        "image/svg+xml",
        "application/vnd.jupyter.widget-view+json",
    }


def test_declaring_loads_no_widget() -> None:
    program = "import sys, graphflow.notebook\nprint(sorted({'anywidget', 'IPython', 'traitlets', 'pandas'} & set(sys.modules)))"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root
    )
    assert done.stdout.strip() == "[]"


def test_only_graphs_are_live() -> None:
    with pytest.raises(DeclarationError, match="give a Graph"):
        Live(3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    [
        '<script>alert("x")</script>',
        'quo"te\\',
        "new\nline",
        "a->b",
        "\u05e9\u05dc\u05d5\u05dd",
        "x" * 10_000,
        "%%{init}%%",
    ],
)
def test_nodes_and_edges_are_found_by_their_names(name: str) -> None:
    graph = Graph("g", START >> same.named(name) >> END)
    one, other = graph.to_svg(), graph.to_svg()
    tree = ElementTree.fromstring(one)
    assert {e.get("data-node") for e in tree.iter() if e.get("data-node")} == {
        name.replace("\n", "\n"),
        "START",
        "END",
    } or "\n" in name
    edges = [e for e in tree.iter() if e.get("data-source")]
    assert len(edges) == 2
    assert len({e.get("data-edge") for e in edges}) == 2
    painted = asyncio.run(_walked_picture(graph))
    assert painted.count("\u2713") == 1
    ElementTree.fromstring(painted)
    ids = [e.get("id") for e in tree.iter() if "node" in e.get("class", "")]
    assert not set(ids) & {
        e.get("id") for e in ElementTree.fromstring(other).iter() if "node" in e.get("class", "")
    }


async def _walked_picture(graph: Graph[Any, Any]) -> str:
    live = graph.live()
    await live.run(1)
    return live.to_svg()


def test_the_browser_only_sets_text() -> None:
    source = (Path(live_module.__file__).parent / "live.js").read_text()
    for forbidden in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "fetch(",
        "import(",
    ):
        assert forbidden not in source
