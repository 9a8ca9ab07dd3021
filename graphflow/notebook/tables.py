"""What each kind of value looks like in a notebook: runs, events, steps, messages, prompts, usages."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TypeGuard, TypeVar

from pydantic import BaseModel

from graphflow.events import Event, to_record
from graphflow.kinds.prompts import Prompt
from graphflow.limits import Usage
from graphflow.notebook.chat_view import Talkable, chat_bundle
from graphflow.notebook.form import form_bundle, form_html
from graphflow.notebook.html import (
    MAX_ROWS,
    STYLE,
    cell,
    details,
    dim,
    head,
    more,
    table,
    text,
    tree,
)
from graphflow.notebook.live import in_notebook
from graphflow.notebook.widget import Bundle
from graphflow.plain import to_json_value
from graphflow.proofs.report import counted
from graphflow.redaction import scrub
from graphflow.render.page import walked_picture
from graphflow.render.timeline import Timeline, read_story
from graphflow.render.timeline.critical import longest
from graphflow.render.xml import error_words, seconds_text, was_cancelled, xml
from graphflow.runtime.run_record import RunRecord
from graphflow.runtime.steps import Step

DULL = ("activation", "scope", "started", "first_at", "call", "port", "parent")
"""Fields of events that a table leaves out."""
NOTHING: tuple[object, ...] = ((), [], {}, "", None)
MAX_FIELDS = 12
"""Columns of a table of messages."""
MAX_NODES = 60
"""Nodes up to which a run shows its graph unasked."""
MAX_TIMELINE_STEPS = 3000
"""Steps up to which a run shows its timeline unasked."""
MAX_PROMPT = 20_000
MAX_WHO = 80
"""Characters of a node, and of the frames around it, in a cell."""
USAGE_FIELDS = (
    "steps",
    "tool_calls",
    "model_calls",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "reasoning_tokens",
)
_JINJA = re.compile(r"(\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\})", re.DOTALL)
_JINJA_CLASSES = {"{{": "var", "{%": "blk", "{#": "cmt"}

AnyRun = RunRecord[object]
T = TypeVar("T")


def shown(value: object) -> Bundle:
    """The mime bundle of a value."""
    if isinstance(value, Talkable):
        return chat_bundle(value, is_live=in_notebook())
    bundle: Bundle = {"text/html": html_of(value), "text/plain": scrub(repr(value))}
    if isinstance(value, RunRecord) and value.pending and in_notebook():
        bundle |= form_bundle(value)
    return bundle


class Shown:
    """A value that shows itself."""

    def __init__(self, value: object) -> None:
        self.value = value

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Bundle:
        return shown(self.value)

    def __repr__(self) -> str:
        return repr(self.value)


def html_of(value: object) -> str:
    """A value as HTML that may stand anywhere in a page."""
    match value:
        case RunRecord():
            inner = _run(value)
        case Usage():
            inner = _usage(value)
        case Prompt():
            inner = _prompt(value)
        case Event():
            inner = _event(value)
        case list():
            inner = _list(value) or _anything(value)
        case _:
            inner = _anything(value)
    return _framed(inner)


def _framed(inner: str) -> str:
    return f'{STYLE}<div class="gf-v">{inner}</div>'


def html_of_message(value: object) -> str | None:
    """HTML for a model or event; None for a class that knows better how to show itself."""
    if hasattr(type(value), "_repr_html_"):
        return None
    return html_of(value)


def html_of_list(value: list[object]) -> str | None:
    """HTML for a list of messages, events or steps; None for any other, so that it looks as always."""
    inner = _list(value)
    if inner is None:
        return None
    return _framed(inner)


def _list(values: list[object]) -> str | None:
    if _all_are(values, Event):
        return _events(values)
    if _all_are(values, BaseModel):
        return _messages(values)
    if _all_are(values, Step):
        return _steps(values)
    return None


def _all_are(values: list[object], kind: type[T]) -> TypeGuard[list[T]]:
    """Whether a list has only values of this class; for most other lists a look at the first is enough."""
    if not values or not isinstance(values[0], kind):
        return False
    return all(isinstance(value, kind) for value in values)


def _anything(value: object) -> str:
    name = type(value).__name__
    title = head(xml(name))
    return title + tree(to_json_value(value))


# -- messages and events ---------------------------------------------------------------------------
def _messages(messages: list[BaseModel]) -> str:
    names = dict.fromkeys(type(message).__name__ for message in messages)
    is_mixed = len(names) > 1
    fields = _fields_of(messages[:MAX_ROWS])
    rows: list[list[str]] = []
    for message in messages[:MAX_ROWS]:
        data = to_json_value(message)
        values = data if isinstance(data, dict) else {}
        row = [tree(values.get(field), 1) for field in fields]
        if is_mixed:
            row.insert(0, text(type(message).__name__))
        rows.append(row)
    heads = fields
    name = text(next(iter(names)))
    if is_mixed:
        heads = ["type", *fields]
        name = "messages"
    count = len(messages)
    html = head(f"{count:,} {name}")
    html += table(heads, rows)
    html += more(count, MAX_ROWS)
    return html


def _fields_of(messages: list[BaseModel]) -> list[str]:
    """The names of the fields of all of them, in the order in which they are first met."""
    fields: dict[str, None] = {}
    for message in messages:
        fields |= dict.fromkeys(type(message).model_fields)
    return list(fields)[:MAX_FIELDS]


def _event_fields(event: Event) -> dict[str, object]:
    """What an event has to tell: its fields, without those that are empty."""
    fields: dict[str, object] = {}
    for name, value in to_record(event).items():
        if name != "kind" and value not in NOTHING:
            fields[name] = value
    return fields


def _events(events: list[Event]) -> str:
    # Pieces of what is being said are counted, but each of them says nothing.
    kept = [event for event in events if not event.passing]
    heads = ("#ms", "event", "#frame", "node", "what")
    rows = [_event_row(event) for event in kept[:MAX_ROWS]]
    title = counted(len(events), "event")
    counts = _kind_counts(events)
    html = head(title) + dim(counts)
    html += table(heads, rows)
    html += more(len(kept), MAX_ROWS)
    return html


def _event(event: Event) -> str:
    title = head(xml(event.kind))
    return title + tree(_event_fields(event))


def _kind_counts(events: list[Event]) -> str:
    """How many events there are of each kind, the most frequent first."""
    counts = Counter(event.kind for event in events)
    words: list[str] = []
    for kind, count in longest(counts):
        name = xml(kind)
        words.append(f"{name} {count:,}")
    return ", ".join(words)


def _event_row(event: Event) -> tuple[str, ...]:
    fields = _event_fields(event)
    fields.pop("at", None)
    frame = fields.pop("frame", 0)
    who: object = ""
    for name in ("node", "source", "graph"):
        if name in fields:
            who = fields.pop(name)
            break
    words: list[str] = []
    for name, value in fields.items():
        if name not in DULL:
            words.append(f"{name}={value!r}")
    milliseconds = event.at * 1e3
    at = f"{milliseconds:,.2f}"
    kind = xml(event.kind)
    node = text(who, MAX_WHO)
    what = text(", ".join(words), 240)
    return at, kind, str(frame), node, what


# -- prompts and usages ----------------------------------------------------------------------------
def _usage(usage: Usage) -> str:
    heads: list[str] = []
    cells: list[str] = []
    for name in USAGE_FIELDS:
        used = getattr(usage, name)
        if used:
            words = name.replace("_", " ")
            heads.append(f"#{words}")
            cells.append(f"{used:,}")
    heads += ["#usd", "#time"]
    cost = "unknown"
    if usage.usd is not None:
        cost = f"{usage.usd:.6g}"
    cells.append(cost)
    cells.append(seconds_text(usage.seconds))
    return table(heads, [cells])


def _prompt(prompt: Prompt) -> str:
    source = ""
    for piece in _JINJA.split(prompt.source[:MAX_PROMPT]):
        escaped = xml(scrub(piece), MAX_PROMPT)
        if _JINJA.fullmatch(piece):
            kind = _JINJA_CLASSES[piece[:2]]
            escaped = f'<span class="{kind}">{escaped}</span>'
        source += escaped
    title = "prompt"
    if prompt.where:
        where = xml(prompt.where)
        title += f' <span class="d">{where}</span>'
    parts = [head(title), f"<pre>{source}</pre>"]
    if prompt.names:
        names = ", ".join(prompt.names)
        parts.append(dim(f"uses: {xml(names)}"))
    return "".join(parts)


# -- runs ------------------------------------------------------------------------------------------
def _run(run: AnyRun) -> str:
    name = text(run.graph, 120)
    title = f"run of {name}: {xml(run.status)}"
    parts = [head(title), _usage(run.usage)]
    if run.error is not None:
        error = text(error_words(run.error), 2000)
        parts.append(f"<pre>{error}</pre>")
    if run.output is not None:
        parts.append(dim("answer"))
        parts.append(tree(to_json_value(run.output)))
    if run.pending:
        parts.append(form_html(run))
    steps = run.steps
    # Pictures of a walk that goes on would be out of date as soon as they are shown.
    if run.status != "running":
        parts += _pictures(run, len(steps))
    title = counted(len(steps), "step")
    parts.append(details(title, _steps(steps)))
    return "".join(parts)


def _pictures(run: AnyRun, steps: int) -> list[str]:
    """The graph with the walk on it, and the timeline, as far as they are of a size that can be read."""
    parts: list[str] = []
    graph = run.declared
    if graph is not None and len(graph.nodes) <= MAX_NODES:
        picture = walked_picture(run, graph, run.events)
        if picture is not None:
            framed = f'<div class="pic">{picture}</div>'
            parts.append(details("graph", framed, is_open=True))
    if 0 < steps <= MAX_TIMELINE_STEPS:
        timeline = Timeline(read_story(run))
        parts.append(details("timeline", timeline.svg, is_open=True))
    return parts


def _steps(steps: Sequence[Step]) -> str:
    heads = ("#from ms", "#took ms", "in", "node", "input", "answer")
    rows = [_step_row(step) for step in steps[:MAX_ROWS]]
    return table(heads, rows) + more(len(steps), MAX_ROWS)


def _step_row(step: Step) -> tuple[str, ...]:
    frames = " > ".join(step.path[1:])  # the first is the graph, the same in every row
    who = step.node
    if step.caller is not None:
        who = f"{step.caller} calls {who}"
    started = _milliseconds(step.started)
    took = _milliseconds(step.seconds)
    where = text(frames, MAX_WHO)
    node = text(who, MAX_WHO)
    message = cell(step.input)
    return started, took, where, node, message, _answer(step)


def _milliseconds(seconds: float) -> str:
    milliseconds = seconds * 1e3
    return f"{milliseconds:,.1f}"


def _answer(step: Step) -> str:
    if step.error is None:
        return f"\u2713 {cell(step.output)}"
    words = text(error_words(step.error))
    if was_cancelled(step.error):
        return f"\u2298 {words}"
    return f"\u2717 {words}"
