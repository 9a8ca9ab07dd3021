"""A run as one HTML file: pictures, conversations, steps, costs. It needs nothing else and runs nothing.

Rules:
1. Everything that came from a run is text: jinja2 escapes it, and before that it is scrubbed of secrets and of what no
   document may hold. Only pictures that this package has drawn go in as they are.
2. The page has no script, and says in a policy of its own (CSP) that it may have none and may load nothing. Its style sheets
   are named in it by their hashes, so that no other, and no style of an element, would count.
3. A run and the file of its events give the same page, but for what a file does not tell (the limits).
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphflow.errors import FileUnreadable
from graphflow.limits import Limits
from graphflow.proofs.proven import AnyGraph
from graphflow.redaction import scrub
from graphflow.render.layout.program import dot_binary
from graphflow.render.records import read_events
from graphflow.render.talk import read_talks, spelled
from graphflow.render.timeline import Span, Story, Timeline, read_story
from graphflow.render.timeline.lanes import time_of
from graphflow.render.writing import run_svg
from graphflow.render.xml import check_written, clean, error_words, seconds_text
from graphflow.runtime.run_record import RunRecord

if TYPE_CHECKING:
    from jinja2 import Template

MOST_STEPS = 1_000
MOST_FAILURES = 100
SHORTEST_SECRET = 8


@dataclass(slots=True)
class Account:
    """What a node or a frame has used."""

    name: str
    steps: int = 0
    stretches: list[tuple[float, float]] = field(default_factory=list)
    requests: int = 0
    read: int = 0
    written: int = 0
    usd: float | None = 0.0

    def count(self, event: Any) -> None:
        """Counts one answer of a model."""
        self.requests += 1
        self.read += int(event.input_tokens or 0)
        self.written += int(event.output_tokens or 0)
        self.usd = None if self.usd is None or event.usd is None else self.usd + float(event.usd)

    @property
    def seconds(self) -> float:
        """How long it was at work by the clock on the wall: what went on side by side, or one within another, counts once."""
        return time_of(self.stretches)

    @property
    def cost(self) -> str:
        """Its cost in words."""
        return "unknown" if self.usd is None else f"{self.usd:.4f}".rstrip("0").rstrip(".") if self.usd else "0"


@dataclass(slots=True)
class _Row:
    """A line of the table of steps."""

    span: Span
    given: str = ""
    answer: str = ""


@dataclass(slots=True)
class _Facts:
    """What the page tells beside pictures and talks."""

    total: Account = field(default_factory=lambda: Account("all"))
    nodes: dict[str, Account] = field(default_factory=dict)
    frames: dict[tuple[str, ...], Account] = field(default_factory=dict)
    given: str = ""
    output: str = ""
    warnings: list[str] = field(default_factory=list)
    retries: int = 0
    skipped: int = 0


def report_html(source: Any, graph: AnyGraph | None = None) -> str:
    """The page of a run, of its events, or of a file of `--events`.

    Args:
        source: the run, or what is recorded of it.
        graph: for the diagram, where the source is no run.
    """
    events = read_events(source)
    story = read_story(events)
    facts = _facts(events, story)
    picture = Timeline(story)
    talks, more_talks = read_talks(events)
    declared = source.declared if isinstance(source, RunRecord) and graph is None else graph
    steps = _steps(events, story)
    failed = [row for row in steps if row.span.how == "failed"]
    page: str = _template().render(
        story=story,
        facts=facts,
        diagram=_markup(walked_picture(source, declared, events)),
        timeline=_markup(picture.svg),
        critical=_longest(picture.critical),
        talks=talks,
        more_talks=more_talks,
        steps=steps[:MOST_STEPS],
        more_steps=max(0, len(steps) - MOST_STEPS),
        failures=failed[:MOST_FAILURES],
        more_failures=max(0, len(failed) - MOST_FAILURES),
        limits=_limits(source, declared),
        took=seconds_text,
    )
    hashes = dict.fromkeys(sha256(sheet.encode()).digest() for sheet in _SHEET.findall(page))
    allowed = " ".join(f"'sha256-{b64encode(each).decode()}'" for each in hashes)
    return page.replace("OUR_STYLES", allowed, 1)  # the first is ours: nothing of the run stands before it


_SHEET = re.compile(r"<style>(.*?)</style>", re.DOTALL)
"""A style sheet of the page or of a picture in it; what a run said is escaped, and cannot hold one."""


def write_report(source: Any, path: str | Path, graph: AnyGraph | None = None) -> str:
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

    source = (Path(__file__).parent / "page.html.j2").read_text(encoding="utf-8")
    env = Environment(autoescape=True, undefined=StrictUndefined, finalize=_final, trim_blocks=True, lstrip_blocks=True)
    return env.from_string(source)


def _final(value: Any) -> Any:
    """Every value on its way into the page; what is markup was drawn by this package."""
    if hasattr(value, "__html__") or not isinstance(value, str):
        return value
    return clean(scrub(value) if len(value) >= SHORTEST_SECRET else value, 20_000)


def _markup(svg: str | None) -> Any:
    from markupsafe import Markup

    return Markup(svg) if svg else None  # ours: every text in it was escaped when it was drawn


_ENDS = frozenset({"node.end", "call.end", "node.error", "call.error", "node.cancel"})
"""How a step ends."""


def walked_picture(source: Any, graph: AnyGraph | None, events: list[Any]) -> str | None:
    """SVG of the graph with the walk on it; None where it cannot be drawn."""
    if graph is None or dot_binary() is None:
        return None
    return run_svg(source if isinstance(source, RunRecord) else events, graph=graph, prefix="walk")


def _facts(events: list[Any], story: Story) -> _Facts:
    facts = _Facts()
    paths: dict[int, tuple[str, ...]] = {0: (story.title,)}
    for event in events:
        match event.kind:
            case "run.start":
                facts.given = spelled(event.input)
            case "run.end":
                facts.output = spelled(event.output)
            case "frame.enter":
                paths[event.frame] = tuple(str(name) for name in event.path)
            case "model.end":
                for account in _accounts(facts, paths.get(event.frame, (story.title,)), str(event.node)):
                    account.count(event)
            case "limit.warning":
                facts.warnings.append(
                    f"{event.limit}: {event.used:g} of {event.value:g} used after {seconds_text(event.at)}"
                )
            case "cost.unknown":
                facts.warnings.append(f"usd: nobody knows what {event.model} costs; its answers count as nothing")
            case "node.retry" | "model.retry":
                facts.retries += 1
            case "node.skip":
                facts.skipped += 1
            case _:
                pass
    _count_steps(facts, story)
    facts.total.steps = sum(event.kind in ("node.start", "call.start") for event in events)  # as `run.usage` counts
    return facts


def _count_steps(facts: _Facts, story: Story) -> None:
    for span in story.spans:
        alone = len(span.path) > 1 and span.path[-1] == span.node
        if span.what in ("call", "background") or (span.what == "node" and not alone):
            node = span.node if span.what == "node" else span.label
            for account in _accounts(facts, span.path, node):
                account.steps += 1
                account.stretches.append((span.started, span.ended))


def _accounts(facts: _Facts, path: tuple[str, ...], node: str) -> list[Account]:
    inner = path[:-1] if len(path) > 1 and path[-1] == node else path
    name = " > ".join((*inner, node))
    accounts = [facts.total, facts.nodes.setdefault(name, Account(name))]
    for depth in range(1, len(path) + 1):
        accounts.append(facts.frames.setdefault(path[:depth], Account(" > ".join(path[:depth]))))
    return accounts


def _steps(events: list[Any], story: Story) -> list[_Row]:
    """Every activation and call with what went in and came out, in the order in which they began."""
    spans = iter([span for span in story.spans if span.what in ("node", "call")])
    rows: list[_Row] = []
    open_rows: dict[tuple[str, int, Any], _Row] = {}
    for event in events:
        if event.kind in ("node.start", "call.start"):
            row = _Row(next(spans), spelled(event.input, 400))
            rows.append(row)
            open_rows[_number(event)] = row
        elif event.kind in _ENDS:
            begun = open_rows.pop(_number(event), None)
            if begun is not None and event.kind.endswith(".end"):
                begun.answer = spelled(event.output, 400)
            elif begun is not None:
                begun.answer = clean(error_words(getattr(event, "error", "")), 1000)
    return [row for row in rows if not (len(row.span.path) > 1 and row.span.path[-1] == row.span.label)]


def _number(event: Any) -> tuple[str, int, Any]:
    what = event.kind.partition(".")[0]
    return what, event.frame, event.call if what == "call" else event.activation


def _limits(source: Any, graph: AnyGraph | None) -> list[tuple[str, str]]:
    limits: Limits | None = None
    if isinstance(source, RunRecord):
        limits = source.ledger.limits
    elif graph is not None:
        limits = graph.limits
    if limits is None:
        return []
    stated = [(name, getattr(limits, name)) for name in Limits.__dataclass_fields__]
    return [(name, value if isinstance(value, str) else f"{value:g}") for name, value in stated if value is not None]


def _longest(pieces: list[tuple[str, float]], most: int = 6) -> list[tuple[str, float]]:
    spent: dict[str, float] = {}
    for name, seconds in pieces:
        spent[name] = spent.get(name, 0.0) + seconds
    return sorted(spent.items(), key=lambda pair: (-pair[1], pair[0]))[:most]
