"""The live picture in a real JupyterLab in a headless browser: it moves, a click shows messages, nothing is complained about."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.notebook.lab import browser_page, chromium, jupyter_lab, opened, run_cell, write_notebook
from tests.waiting import until

MOST_CHANGES = 30
"""Changes of the page that one row may make: of its node, an arrow, a token on it, and the lines below the picture."""
MOST_QUESTIONS = 25
"""Questions where something is, each of which may cost a layout: the lengths of two arrows, and nine points of each."""

WATCHED = """
import asyncio
from pathlib import Path
from graphflow import END, START, Agent, Graph, node
from graphflow.testing import ScriptedModel, says
%load_ext graphflow

@node
async def slow(text: str) -> str:
    while not Path("seen").exists():  # the page has shown it at work
        await asyncio.sleep(0.05)
    return text.upper()

@node
async def fails(text: str) -> str:
    raise ValueError("<img src=x onerror=alert(1)> as you asked")

poet = Agent("poet", prompt="Rhyme: {{ text }}")
graph = Graph("moving", START >> slow >> poet >> END)
broken = Graph("broken", START >> fails >> END)
live = graph.live()
live
"""
RUN = "run = await live.run('<b>snow</b>', model=ScriptedModel(says('it will go slow', wait_s=8)))\nrun.output"
INSIDE = """
import asyncio
from graphflow import END, START, Graph, node
allowed = asyncio.Event()

@node
async def worker(text: str) -> str:
    return text + "!"

@node(approval=True)
async def pay(text: str) -> str:
    return text

async def approve(use):
    await allowed.wait()
    return True

inner = Graph("inner", START >> worker >> END)
live = Graph("outer", START >> inner.named("first") >> inner.named("second") >> pay >> END).live()
live
"""
HUNDRED = """
from graphflow import END, START, Graph, node

@node
async def same(x: int) -> int:
    await asyncio.sleep(0.002)
    return x

chain = START >> same.named("n0")
nodes = [same.named(f"n{i}") for i in range(100)]
path = START >> nodes[0]
for each in nodes[1:]:
    path = path >> each
big = Graph("big", path >> END).live()
await big.run(1)
None
"""

STEPS = """
async (live) => {
  let questions = 0;
  const counted = (type, name) => {
    const asked = type.prototype[name];
    type.prototype[name] = function (...given) { questions++; return asked.apply(this, given); };
  };
  counted(SVGGraphicsElement, "getBBox");
  counted(SVGGeometryElement, "getTotalLength");
  counted(SVGGeometryElement, "getPointAtLength");
  counted(Element, "getBoundingClientRect");
  const seen = new MutationObserver(() => {});
  seen.observe(live, { subtree: true, childList: true, attributes: true, characterData: true });
  const slider = live.querySelector(".gf-slider");
  const go = (position) => { slider.value = position; slider.dispatchEvent(new Event("input")); };
  go(0);
  const steps = [];
  for (let position = 1; position <= Number(slider.max); position++) {
    await new Promise(requestAnimationFrame);
    seen.takeRecords();
    questions = 0;
    go(position);
    steps.push([seen.takeRecords().length, questions]);
  }
  return steps;
}
"""
"""Goes through the walk row by row; for each, how much of the page has changed, and how often it was asked where something is."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, Path]]:
    chromium()
    folder = tmp_path_factory.mktemp("lab")
    write_notebook(folder / "moving.ipynb", WATCHED, RUN)
    write_notebook(
        folder / "failing.ipynb",
        WATCHED.replace("live = graph.live()", "live = broken.live()"),
        "await live.run('x')",
    )
    write_notebook(folder / "inside.ipynb", INSIDE, "await live.run('go', approve=approve)")
    write_notebook(folder / "hundred.ipynb", "import asyncio", HUNDRED)
    with jupyter_lab(folder) as (address, token):
        yield address, token, folder


def node_state(name: str, state: str) -> str:
    return f'.gf-live g:is(.node, .cluster)[data-id$="> {name}"][data-state="{state}"]'


@pytest.mark.slow
def test_nodes_change_a_click_shows_messages_and_the_slider_goes_back(
    lab: tuple[str, str, Path],
) -> None:
    with browser_page() as (page, errors):
        opened(page, lab, "moving.ipynb")
        run_cell(page, 0)
        page.wait_for_selector('.gf-live g.node[data-node="slow"]')
        assert page.locator(".gf-live").count() == 1
        run_cell(page, 1)
        page.wait_for_selector(node_state("slow", "running"))
        page.locator('.gf-live g.node[data-node="slow"]').click()
        page.wait_for_selector(".gf-live .gf-entry pre")
        assert (
            page.locator(".gf-live .gf-entry pre").first.text_content() == "<b>snow</b>"
        )  # while it runs, and as text
        (lab[2] / "seen").touch()
        page.wait_for_selector(node_state("slow", "done"))
        page.wait_for_selector(node_state("poet", "running"))
        page.wait_for_selector('.gf-live[data-status="completed"][data-ended="true"]')
        page.wait_for_selector(node_state("poet", "done"))
        page.locator('.gf-live g.node[data-node="poet"]').click()
        page.wait_for_selector('.gf-live .gf-entry pre:text("it will go slow")')
        assert "<B>SNOW</B>" in page.locator(".gf-live .gf-messages").text_content()
        assert page.locator(".gf-live .gf-messages b, .gf-live .gf-messages img").count() == 0
        slider = page.locator(".gf-live .gf-slider")
        slider.focus()
        page.keyboard.press("Home")
        page.wait_for_function("() => !document.querySelector('.gf-live g.gf-is-done')")
        for _ in range(3):
            page.keyboard.press("ArrowRight")
        page.wait_for_selector(node_state("slow", "running"))
        page.keyboard.press("End")
        page.wait_for_selector(node_state("poet", "done"))
        for _ in range(4):  # back to where the model was still speaking
            page.keyboard.press("ArrowLeft")
        page.wait_for_selector('.gf-live .gf-say:has-text("it will go slow")')
        page.keyboard.press("End")
        page.wait_for_function("() => !document.querySelector('.gf-live .gf-say')")
        page.screenshot(path=str(lab[2] / "moving.png"))
        page.keyboard.press("Escape")
        page.keyboard.press("Control+s")
        outputs = saved_outputs(lab[2] / "moving.ipynb")
    shown = [data for data in outputs if "application/vnd.jupyter.widget-view+json" in data]
    assert shown
    svg = "".join(shown[0]["image/svg+xml"])
    assert "\u2713" in svg, "what is saved beside the widget is the picture after the walk"
    assert errors == []
    forget_kernels(lab)
    with browser_page() as (page, errors):  # another day: the kernel that made the picture is gone
        opened(page, lab, "moving.ipynb")
        page.wait_for_selector('.gf-live[data-status="completed"]')
        page.wait_for_selector(node_state("poet", "done"))
        page.locator('.gf-live g.node[data-node="poet"]').click()
        page.wait_for_selector('.gf-live .gf-entry pre:text("it will go slow")')
        page.locator(".gf-live .gf-slider").focus()
        page.keyboard.press("Home")
        page.wait_for_function("() => !document.querySelector('.gf-live g.gf-is-done')")
        assert errors == []


def forget_kernels(lab: tuple[str, str, Path]) -> None:
    """Ends the kernels of this server."""
    address, token, _ = lab
    with urllib.request.urlopen(f"{address}/api/sessions?token={token}") as answer:
        sessions = json.load(answer)
    for session in sessions:
        request = urllib.request.Request(
            f"{address}/api/sessions/{session['id']}?token={token}", method="DELETE"
        )
        urllib.request.urlopen(request).close()


def saved_outputs(path: Path) -> list[dict[str, Any]]:
    """The outputs of a notebook, as soon as it has been saved with some."""

    def outputs() -> list[dict[str, Any]]:
        text = path.read_text()
        if not text.rstrip().endswith("}"):
            return []  # it is just being written
        cells = json.loads(text)["cells"]
        return [o["data"] for c in cells for o in c["outputs"] if "data" in o]

    return until(outputs)


@pytest.mark.slow
def test_a_failure_is_shown_as_one_and_what_it_says_is_text(lab: tuple[str, str, Path]) -> None:
    with browser_page() as (page, errors):
        opened(page, lab, "failing.ipynb")
        run_cell(page, 0)
        page.wait_for_selector('.gf-live g.node[data-node="fails"]')
        run_cell(page, 1)
        page.wait_for_selector(node_state("fails", "failed"))
        page.locator('.gf-live g.node[data-node="fails"]').click()
        page.wait_for_selector(".gf-live .gf-entry pre")
        assert (
            "<img src=x onerror=alert(1)>" in page.locator(".gf-live .gf-messages").text_content()
        )
        assert page.locator(".gf-live img").count() == 0
        assert errors == []


@pytest.mark.slow
def test_what_is_inside_moves_and_an_approval_is_seen_to_be_waited_for(
    lab: tuple[str, str, Path],
) -> None:
    with browser_page() as (page, errors):
        opened(page, lab, "inside.ipynb")
        run_cell(page, 0)
        page.wait_for_selector('.gf-live [data-id="outer > first > worker"]')
        run_cell(page, 1)
        for name in ("first > worker", "second > worker", "first", "second"):
            page.wait_for_selector(node_state(name, "done"))
        page.wait_for_selector(node_state("pay", "asking"))
        page.wait_for_selector('.gf-live .edge.gf-used[data-id="outer > second # 1"]')
        assert page.locator(".gf-live svg").first.get_attribute("role") == "group", (
            "buttons are in no image"
        )
        page.screenshot(path=str(lab[2] / "inside.png"))
        page.locator('.gf-live [data-id="outer > second > worker"]').first.click()
        page.wait_for_selector('.gf-live .gf-entry pre:text("go!!")')
        assert errors == []


@pytest.mark.slow
def test_an_update_touches_what_has_changed_and_not_all_hundred_nodes(
    lab: tuple[str, str, Path],
) -> None:
    """What an update costs, as a number that no other load of the machine adds to."""
    with browser_page() as (page, errors):
        opened(page, lab, "hundred.ipynb")
        run_cell(page, 0)
        run_cell(page, 1)
        page.wait_for_selector('.gf-live[data-ended="true"]')
        page.wait_for_selector(node_state("n99", "done"))
        steps = page.locator(".gf-live").evaluate(STEPS)
        page.wait_for_selector(node_state("n99", "done"))
        assert len(steps) >= 200, "each node begins and ends"
        assert sum(changes for changes, _ in steps) >= 200, "they are seen to change"
        print(f"at most {max(steps)} changes and questions")
        assert max(changes for changes, _ in steps) <= MOST_CHANGES
        assert max(questions for _, questions in steps) <= MOST_QUESTIONS
        assert errors == []
