"""A run as one HTML file: pictures, conversations, steps, costs. It needs nothing else and runs nothing.

Rules:
1. Everything that came from a run is text: jinja2 escapes it, and before that it is scrubbed of secrets and of what no
   document may hold. Only pictures that this package has drawn go in as they are.
2. The page has no script, and its own content security policy forbids scripts and loading anything. The policy names the
   page's style sheets by their hashes, so that no other sheet and no inline style would apply.
3. A run and the file of its events give the same page, except for what a file does not record (the limits).
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from graphflow.errors import FileUnreadable
from graphflow.limits import Limits
from graphflow.proofs.proven import AnyGraph
from graphflow.redaction import scrub
from graphflow.render.accounts import read_facts
from graphflow.render.layout.program import dot_binary
from graphflow.render.records import AnyEvent, EventSource, read_events
from graphflow.render.talk import message_text, read_talks
from graphflow.render.timeline import Span, Story, Timeline, read_story
from graphflow.render.timeline.critical import longest
from graphflow.render.writing import run_svg
from graphflow.render.xml import check_written, clean, error_words, seconds_text
from graphflow.runtime.run_record import RunRecord

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

MAX_STEPS = 1_000
MAX_FAILURES = 100
MAX_PIECES = 6
"""Pieces of the critical path that are named."""
MAX_VALUE = 20_000
"""Characters of one text in the page."""
MIN_SECRET = 8
"""Characters of the shortest text that is looked through for secrets."""
STEP_ENDS = frozenset({"node.end", "call.end", "node.error", "call.error", "node.cancel"})
_SHEET = re.compile(r"<style>(.*?)</style>", re.DOTALL)
"""A style sheet of the page or of a picture in it; text from a run is escaped and cannot contain one."""
POLICY_PLACE = "OUR_STYLES"
"""Where the page's policy names its style sheets."""


@dataclass(slots=True)
class _StepRow:
    """A line of the table of steps."""

    span: Span
    given: str = ""
    answer: str = ""


def report_html(source: EventSource, graph: AnyGraph | None = None) -> str:
    """The page of a run, of its events, or of a file of `--events`.

    Args:
        source: the run, or what is recorded of it.
        graph: for the diagram, where the source is not a run.
    """
    if graph is None and isinstance(source, RunRecord):
        graph = source.declared
    events = read_events(source)
    story = read_story(events)
    timeline = Timeline(story)
    diagram = walked_picture(source, graph, events)
    talks, more_talks = read_talks(events)
    steps = _steps(events, story)
    failures = [row for row in steps if row.span.how == "failed"]
    page = _template().render(
        story=story,
        facts=read_facts(events, story),
        diagram=_markup(diagram) if diagram else None,
        timeline=_markup(timeline.svg),
        critical=_longest(timeline.critical),
        talks=talks,
        more_talks=more_talks,
        steps=steps[:MAX_STEPS],
        more_steps=max(0, len(steps) - MAX_STEPS),
        failures=failures[:MAX_FAILURES],
        more_failures=max(0, len(failures) - MAX_FAILURES),
        limits=_limits(source, graph),
        took=seconds_text,
    )
    return _with_policy(page)


def _with_policy(page: str) -> str:
    """The page with a policy that allows its own style sheets, and no other."""
    hashes: dict[str, None] = {}
    for sheet in _SHEET.findall(page):
        digest = sha256(sheet.encode()).digest()
        name = b64encode(digest).decode()
        hashes[f"'sha256-{name}'"] = None
    allowed = " ".join(hashes)
    # The first is ours: nothing of the run stands before it.
    return page.replace(POLICY_PLACE, allowed, 1)


def write_report(source: EventSource, path: str | Path, graph: AnyGraph | None = None) -> str:
    """Writes the page and returns its path.

    Raises:
        DeclarationError: the ending names something else than a page.
        FileUnreadable: it cannot be written, or what is recorded cannot be read.
    """
    check_written(path, (".html", ".htm"), "a report is a page of HTML")
    page = report_html(source, graph)
    try:
        Path(path).write_text(page, encoding="utf-8")
    except OSError as error:
        raise FileUnreadable(f"{path} cannot be written: {error.strerror}") from None
    return str(path)


@lru_cache(maxsize=1)
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    file = Path(__file__).parent / "page.html.j2"
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_text_of,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.from_string(file.read_text(encoding="utf-8"))


def _text_of(value: object) -> object:
    """Every value on its way into the page; what is markup was drawn by this package."""
    is_markup = hasattr(value, "__html__")
    if is_markup or not isinstance(value, str):
        return value
    # Shorter texts are numbers and signs, and there are thousands of them.
    if len(value) >= MIN_SECRET:
        value = scrub(value)
    return clean(value, MAX_VALUE)


def _markup(svg: str) -> Markup:
    from markupsafe import Markup

    return Markup(svg)  # ours: every text in it was escaped when it was drawn


def walked_picture(
    source: EventSource, graph: AnyGraph | None, events: list[AnyEvent]
) -> str | None:
    """SVG of the graph with the walk on it; None where it cannot be drawn."""
    if graph is None or dot_binary() is None:
        return None
    # The events have been read and checked: a file is not read a second time.
    walk = source if isinstance(source, RunRecord) else events
    return run_svg(walk, graph=graph, prefix="walk")


def _steps(events: list[AnyEvent], story: Story) -> list[_StepRow]:
    """Every activation and call with what went in and came out, in the order in which they began."""
    # Spans begin in the order of their events, so that the two go side by side.
    shown = [span for span in story.spans if span.what in ("node", "call")]
    spans = iter(shown)
    rows: list[_StepRow] = []
    open_rows: dict[tuple[str, int, object], _StepRow] = {}
    for event in events:
        if event.kind in ("node.start", "call.start"):
            given = message_text(event.input, 400)
            row = _StepRow(next(spans), given)
            rows.append(row)
            open_rows[_number(event)] = row
        elif event.kind in STEP_ENDS:
            begun = open_rows.pop(_number(event), None)
            if begun is not None:
                begun.answer = _answer(event)
    return [row for row in rows if not _is_counted_outside(row.span)]


def _answer(event: AnyEvent) -> str:
    if event.kind.endswith(".end"):
        return message_text(event.output, 400)
    error = getattr(event, "error", "")
    return clean(error_words(error), 1000)


def _is_counted_outside(span: Span) -> bool:
    """Whether it is what a sub-agent did in the frame of its own call: that call has a row."""
    is_called = len(span.path) > 1
    return is_called and span.path[-1] == span.label


def _number(event: AnyEvent) -> tuple[str, int, object]:
    """What the events of one activation or call have in common."""
    what, _, _ = event.kind.partition(".")
    number = event.call if what == "call" else event.activation
    return what, event.frame, number


def _limits(source: EventSource, graph: AnyGraph | None) -> list[tuple[str, str]]:
    """The limits of the run, as far as they are known: a record does not tell them."""
    limits: Limits | None = None
    if isinstance(source, RunRecord):
        limits = source.ledger.limits
    elif graph is not None:
        limits = graph.limits
    if limits is None:
        return []
    stated: list[tuple[str, str]] = []
    for name in Limits.__dataclass_fields__:
        value = getattr(limits, name)
        if value is None:
            continue
        text = value if isinstance(value, str) else f"{value:g}"
        stated.append((name, text))
    return stated


def _longest(pieces: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    """What took most of the critical path, and how long in all."""
    spent: dict[str, float] = {}
    for name, seconds in pieces:
        before = spent.get(name, 0.0)
        spent[name] = before + seconds
    return longest(spent)[:MAX_PIECES]
