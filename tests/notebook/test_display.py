"""What runs, events, messages, prompts and accounts look like in a notebook; frames of steps."""

from __future__ import annotations

import builtins
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

import graphflow
from graphflow.errors import MissingExtra, WalkCancelled
from graphflow.events import Events, NodeStarted
from graphflow.kinds.prompts import Prompt
from graphflow.limits import Usage
from graphflow.notebook import load_ipython_extension, show
from graphflow.notebook.frames import _status
from graphflow.notebook.tables import html_of, html_of_list, html_of_message
from graphflow.redaction import scrub
from graphflow.run import Step
from tests.notebook.walks import Finding, planner, walked

TAGS = {
    *("style", "div", "table", "tr", "td", "th", "pre", "span", "details", "summary"),
    *("a", "ellipse", "polygon", "polyline"),
    *("svg", "defs", "desc", "pattern", "rect", "path", "text", "tspan", "title", "g"),
}


class _Tags(HTMLParser):
    """The elements of a piece of HTML, and its attributes' names."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.names |= {name for name, _ in attrs}


def harmless(html: str) -> None:
    seen = _Tags()
    seen.feed(html)
    assert seen.tags <= TAGS
    assert not [name for name in seen.names if name.startswith("on") or name in ("src", "href")]


def html(value: Any) -> str:
    bundle = value._repr_mimebundle_()
    assert bundle["text/plain"] == scrub(repr(value))
    harmless(bundle["text/html"])
    return str(bundle["text/html"])


def test_a_run_shows_answer_usage_timeline_and_steps() -> None:
    shown = html(walked())
    for wanted in (
        "run of desk: completed",
        "Snow is cold.",
        "<svg",
        "researcher calls checker",
        "ToolError: nothing of the kind",
    ):
        assert wanted in shown


def test_events_are_a_list_that_shows_itself() -> None:
    for run in (walked(), walked(observed=False)):
        assert type(run.events) is Events
        assert isinstance(run.events, list)
        shown = html(run.events)
        assert f"{len(run.events):,} events" in shown
        assert "node.start" in shown


def test_usage_and_prompt() -> None:
    assert "2,500" in html(Usage(steps=3, input_tokens=2500, usd=None))
    shown = html(Prompt("Dear {{ name }}, {% if x %}<b>{% endif %} {# note #}", "letter.md.j2"))
    assert '<span class="var">{{ name }}</span>' in shown
    assert '<span class="blk">{% if x %}</span>&lt;b&gt;' in shown
    assert "uses: name, x" in shown
    assert "{{ text }}" in html(planner.prompt)
    assert html(Prompt("{{ broken"))


def test_show_takes_anything() -> None:
    for value in (
        Finding(claim="<i>"),
        [Finding(claim="a"), Finding(claim="b")],
        walked().steps,
        3,
        None,
        {"a": [1, {"b": 2}]},
    ):
        assert html(show(value))
    assert "2 Finding" in html(show([Finding(claim="a"), Finding(claim="b")]))


def test_the_extension_shows_messages_and_lists_of_them_and_leaves_the_rest() -> None:
    from IPython.core.formatters import DisplayFormatter

    formatter = DisplayFormatter()
    assert hasattr(graphflow, "load_ipython_extension")
    load_ipython_extension(SimpleNamespace(display_formatter=formatter))

    class Own(BaseModel):
        def _repr_html_(self) -> str:
            return "mine"

    for value in (Finding(claim="<i>"), [Finding(claim="a")], list(walked().events)[:3]):
        assert "gf-v" in formatter.format(value)[0]["text/html"]
    for plain in ([1, 2], [], [Finding(claim="a"), 2]):
        assert "text/html" not in formatter.format(plain)[0]
    assert html_of_message(Own()) is None
    assert html_of_list([1]) is None


@settings(max_examples=80, deadline=None)
@given(
    st.recursive(
        st.text() | st.integers() | st.none() | st.floats(),
        lambda s: st.lists(s) | st.dictionaries(st.text(), s),
        max_leaves=12,
    )
)
def test_whatever_a_message_holds_is_text(value: Any) -> None:
    class Holder(BaseModel):
        value: Any

    harmless(html_of(Holder(value=value)))
    harmless(html_of([NodeStarted(0.0, 0, 1, str(value), (), value)]))


def test_hostile_messages_are_bounded_text_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "opensesame-12345")
    deep: Any = "end"
    for _ in range(50):
        deep = [deep]
    for value in (
        "<script>alert(1)</script>" * 1000,
        "opensesame-12345",
        deep,
        {"x" * 500: "y" * 100_000},
        list(range(10_000)),
    ):
        shown = html(show(Finding(claim=json.dumps(value))))
        shown += html(show([Finding(claim="a")]))
        shown += html(show(value))
        assert "opensesame" not in shown
        assert "<script" not in shown
        assert len(shown) < 60_000


def test_a_frame_of_steps_and_of_events() -> None:
    pandas = pytest.importorskip("pandas")
    run = walked()
    stopped = Step("a", ("g",), (), 1, None, WalkCancelled("stopped"), 0.0, 1.0)
    broken = Step("a", ("g",), (), 1, None, ValueError("no"), 0.0, 1.0)
    assert [_status(step) for step in (stopped, broken)] == ["cancelled", "failed"]
    steps = run.to_frame()
    assert isinstance(steps, pandas.DataFrame)
    assert len(steps) == len(run.steps)
    assert list(steps.columns)[:4] == ["node", "path", "depth", "caller"]
    assert steps[steps.status == "failed"].node.tolist() == ["search"]
    assert set(run.to_frame(events=True).kind) == {event.kind for event in run.events}


def test_without_pandas_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: Any, **options: Any) -> Any:
        if name == "pandas":
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtra, match=r"graphflow-agents\[frames\]"):
        walked().to_frame()


def test_showing_loads_neither_pandas_nor_anywidget() -> None:
    program = (
        "import sys\nfrom tests.notebook.walks import walked\nrun = walked()\nrun._repr_mimebundle_(); run.events._repr_mimebundle_()\n"
        "print(sorted({'pandas', 'anywidget', 'IPython', 'ipywidgets'} & set(sys.modules)))"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root
    )
    assert done.stdout.strip() == "[]"


def test_the_page_around_gives_the_colours() -> None:
    style = re.search("<style>(.*?)</style>", html_of(Usage()))
    assert style is not None
    assert "#" not in style[1].replace("!important", "")
