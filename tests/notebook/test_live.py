"""The live picture without a browser: what is sent, how often, what is kept, what is left where widgets are missing."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from graphflow import END, START, Graph, node
from graphflow.errors import DeclarationError
from graphflow.events import ModelDelta, NodeStarted, RunStarted, to_record
from graphflow.notebook import Live
from graphflow.notebook import live as live_module
from graphflow.notebook import rows as rows_module
from graphflow.notebook.rows import Rows, states
from tests.notebook.walks import Question, desk, script, walked


@node
async def same(x: int) -> int:
    return x


@node
async def bad(x: int) -> int:
    raise ValueError("no")


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
            **{"planner": ("done", ""), "researcher": ("done", "2"), "merge": ("done", "")},
            **{"search": ("done", ""), "checker": ("done", "")},
        }

    asyncio.run(main())


def test_a_failure_is_shown_and_raised() -> None:
    async def main() -> None:
        live = Graph("g", START >> bad >> END).live()
        with pytest.raises(ValueError, match="no") as caught:
            await live.run(1)
        assert caught.value.run.status == "failed"  # type: ignore[attr-defined]
        assert states(live.rows.kept)["bad"] == ("failed", "")
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
        await asyncio.sleep(0.1)
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


def test_what_is_inside_a_folded_sub_agent_is_listed_under_it() -> None:
    live = Live(desk).replay(walked())
    inside = [row for row in live.rows.kept if row[4] == "checker > search"]
    assert {(row[2], row[3]) for row in inside} == {("", "checker")}
    moved = [(row[7], row[2]) for row in live.rows.kept if row[1] == "+" and len(row) > 7]
    assert ("researcher", "checker") in moved


def test_pieces_of_one_answer_are_sent_together() -> None:
    rows = Rows("g", '<g data-node="a">')
    rows.take(RunStarted(0.0, 0, "g", None))
    for word in ("one ", "two ", "three"):
        rows.take(ModelDelta(0.1, 0, 1, "a", "text", word))
    batch = rows.flush()
    assert [row[5] for row in batch if row[1] == "t"] == ["one two three"]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "MOST_ROWS", 100)
    rows = Rows("g", '<g data-node="a">')
    rows.text_left = 5_000
    for number in range(500):
        rows.take(NodeStarted(0.0, 0, number, "a", (), "x" * 3_000))
        rows.flush()
    assert len(rows.kept) == 100
    assert rows.beyond == 400
    assert sum(len(row[5]) for row in rows.kept) < 12_000


def test_secrets_do_not_get_into_notebooks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "opensesame-12345")
    rows = Rows("g", '<g data-node="a">')
    rows.take(NodeStarted(0.0, 0, 1, "a", (), {"key": "opensesame-12345"}))
    assert "opensesame" not in str(rows.flush())


def test_without_anywidget_there_is_the_static_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "_widget_class", lambda: None)
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
    assert set(bundle) == {"text/plain", "image/svg+xml", "application/vnd.jupyter.widget-view+json"}


def test_declaring_loads_no_widget() -> None:
    program = "import sys, graphflow.notebook\nprint(sorted({'anywidget', 'IPython', 'traitlets', 'pandas'} & set(sys.modules)))"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root)
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
    assert not set(ids) & {e.get("id") for e in ElementTree.fromstring(other).iter() if "node" in e.get("class", "")}


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
