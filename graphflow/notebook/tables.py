"""Values as small HTML tables. Everything in a value is text: escaped, cut, and scrubbed of secrets.

Rules:
1. Colours are those of the page around, with half-transparent lines, so that light and dark need no guess.
2. Every table is bounded, and says what it leaves out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from graphflow.events import Event, to_record
from graphflow.kinds.prompts import Prompt
from graphflow.limits import Usage
from graphflow.plain import to_json_value
from graphflow.proofs.report import counted
from graphflow.redaction import scrub
from graphflow.render.page import walked_picture
from graphflow.render.talk import json_text
from graphflow.render.timeline import Timeline, read_story
from graphflow.render.xml import clean, error_words, seconds_text, was_cancelled, xml
from graphflow.runtime.run_record import RunRecord, Step

MOST_ROWS, MOST_ITEMS, DEEPEST, LONGEST = 60, 40, 8, 600
DULL = ("activation", "scope", "started", "call", "port", "parent")
"""Fields of events that a table leaves out."""
MOST_NODES = 60
"""Nodes up to which a run shows its graph unasked."""
TIMELINE_STEPS = 3000
"""Steps up to which a run shows its timeline unasked."""

STYLE = (
    "<style>.gf-v{font:13px/1.45 system-ui,sans-serif;max-width:1000px}.gf-v table{border-collapse:collapse;margin:2px 0;text-align:left}"
    ".gf-v td,.gf-v th{border:1px solid rgba(128,128,128,.35);padding:2px 8px;vertical-align:top;text-align:left!important;"
    "overflow-wrap:anywhere;white-space:pre-wrap;max-width:520px;unicode-bidi:isolate}"
    ".gf-v th{font-weight:600;background:rgba(128,128,128,.12);white-space:nowrap}"
    ".gf-v .d{opacity:.68}.gf-v .n{text-align:right!important;font-variant-numeric:tabular-nums}"
    ".gf-v pre{white-space:pre-wrap;border:1px solid rgba(128,128,128,.35);border-radius:5px;padding:6px 9px;margin:4px 0}"
    ".gf-v .var{background:rgba(29,111,143,.2);border-radius:3px;font-weight:600}.gf-v .blk{background:rgba(180,83,9,.2);border-radius:3px}"
    ".gf-v .cmt{opacity:.55;font-style:italic}.gf-v summary{cursor:pointer}"
    ".gf-v .pic svg{max-width:100%;max-height:520px;width:auto;height:auto}.gf-v .head{font-weight:600;font-size:14px}</style>"
)


def shown(value: Any) -> dict[str, str]:
    """The mime bundle of a value."""
    return {"text/html": html_of(value), "text/plain": scrub(repr(value))}


class Shown:
    """A value that shows itself."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return shown(self.value)

    def __repr__(self) -> str:
        return repr(self.value)


def html_of(value: Any) -> str:
    """A value as HTML that may stand anywhere in a page."""
    match value:
        case RunRecord():
            inner = _run(value)
        case Usage():
            inner = _usage(value)
        case Prompt():
            inner = _prompt(value)
        case list() if value and all(isinstance(item, Event) for item in value):
            inner = _events(value)
        case list() if value and all(isinstance(item, BaseModel) for item in value):
            inner = _messages(value)
        case list() if value and all(isinstance(item, Step) for item in value):
            inner = _steps(value)
        case Event():
            inner = f'<div class="head">{xml(value.kind)}</div>{_tree(_plain_event(value))}'
        case _:
            name = type(value).__name__
            inner = f'<div class="head">{xml(name)}</div>{_tree(to_json_value(value))}'
    return f'{STYLE}<div class="gf-v">{inner}</div>'


def html_of_message(value: Any) -> str | None:
    """HTML for a model or event; None for a class that knows better how to show itself."""
    return None if hasattr(type(value), "_repr_html_") else html_of(value)


def html_of_list(value: Any) -> str | None:
    """HTML for a list of messages, events or steps; None for any other, so that it looks as always."""
    kinds = (BaseModel, Event, Step)
    for kind in kinds:
        if value and isinstance(value[0], kind) and all(isinstance(item, kind) for item in value):
            return html_of(value)
    return None


def _text(value: Any, limit: int = LONGEST) -> str:
    return xml(scrub(clean(value, limit)), limit + 60)


def _tree(data: Any, depth: int = 0) -> str:
    """Plain data as nested tables."""
    if isinstance(data, dict) and data and depth < DEEPEST:
        rows = "".join(
            f"<tr><th>{_text(key, 120)}</th><td>{_tree(inner, depth + 1)}</td></tr>"
            for key, inner in list(data.items())[:MOST_ITEMS]
        )
        return f"<table>{rows}</table>{_more(len(data), MOST_ITEMS)}"
    if isinstance(data, list) and data and depth < DEEPEST:
        if all(isinstance(item, (str, int, float, bool)) for item in data) and len(data) <= 6:
            return _text(", ".join(map(str, data)))
        rows = "".join(
            f'<tr><th class="n">{number}</th><td>{_tree(inner, depth + 1)}</td></tr>'
            for number, inner in enumerate(data[:MOST_ITEMS])
        )
        return f"<table>{rows}</table>{_more(len(data), MOST_ITEMS)}"
    return _text(data if isinstance(data, str) else "" if data is None else data)


def _more(count: int, most: int) -> str:
    left = count - most
    return f'<div class="d">{left:,} more {"is" if left == 1 else "are"} not shown</div>' if left > 0 else ""


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already; numbers are told by their heads' leading '#'."""
    numeric = [head.startswith("#") for head in heads]
    top = "".join(f"<th>{xml(head.removeprefix('#'))}</th>" for head in heads)
    body = "".join(
        "<tr>"
        + "".join(f"<td{' class=n' * right}>{cell}</td>" for cell, right in zip(row, numeric, strict=True))
        + "</tr>"
        for row in rows
    )
    return f"<table><tr>{top}</tr>{body}</table>"


def _messages(messages: list[BaseModel]) -> str:
    kinds = list(dict.fromkeys(type(message).__name__ for message in messages))
    fields = list(dict.fromkeys(name for m in messages[:MOST_ROWS] for name in type(m).model_fields))[:12]
    heads = [*(["type"] if len(kinds) > 1 else []), *fields]
    rows = []
    for message in messages[:MOST_ROWS]:
        data = to_json_value(message)
        cells = [_text(type(message).__name__)] if len(kinds) > 1 else []
        rows.append([*cells, *(_tree(data.get(f), 1) if isinstance(data, dict) else "" for f in fields)])
    name = _text(kinds[0]) if len(kinds) == 1 else "messages"
    return f'<div class="head">{len(messages):,} {name}</div>{_table(heads, rows)}{_more(len(messages), MOST_ROWS)}'


def _plain_event(event: Event) -> dict[str, Any]:
    record = to_record(event)
    return {name: value for name, value in record.items() if name != "kind" and value not in ((), [], {}, "", None)}


def _events(events: list[Event]) -> str:
    counts: dict[str, int] = {}
    for event in events:
        counts[event.kind] = counts.get(event.kind, 0) + 1
    told = ", ".join(f"{xml(kind)} {count:,}" for kind, count in sorted(counts.items(), key=lambda p: (-p[1], p[0])))
    kept = [event for event in events if not event.passing]
    rows = []
    for event in kept[:MOST_ROWS]:
        record = _plain_event(event)
        at, frame = record.pop("at", 0.0), record.pop("frame", 0)
        who = record.pop("node", None) or record.pop("source", None) or record.pop("graph", "")
        rest = ", ".join(f"{name}={value!r}" for name, value in record.items() if name not in DULL)
        rows.append((f"{at * 1e3:,.2f}", xml(event.kind), str(frame), _text(who, 80), _text(rest, 240)))
    table = _table(("#ms", "event", "#frame", "node", "what"), rows)
    count = counted(len(events), "event")
    return f'<div class="head">{count}</div><div class="d">{told}</div>{table}{_more(len(kept), MOST_ROWS)}'


def _steps(steps: Sequence[Step]) -> str:
    rows = []
    for step in steps[:MOST_ROWS]:
        answer = _text(error_words(step.error)) if step.error is not None else _short(step.output)
        who = step.node if step.caller is None else f"{step.caller} calls {step.node}"
        sign = "\u2713" if step.error is None else "\u2298" if was_cancelled(step.error) else "\u2717"
        times = (f"{step.started * 1e3:,.1f}", f"{step.seconds * 1e3:,.1f}")
        where = (_text(" > ".join(step.path[1:]), 80), _text(who, 80))
        rows.append((*times, *where, _short(step.input), f"{sign} {answer}"))
    return _table(("#from ms", "#took ms", "in", "node", "input", "answer"), rows) + _more(len(steps), MOST_ROWS)


def _short(value: Any) -> str:
    return _text(value if isinstance(value, str) else json_text(value), 160)


def _usage(usage: Usage) -> str:
    names = (
        "steps",
        "tool_calls",
        "model_calls",
        "input_tokens",
        "output_tokens",
        "cache_read_tokens",
        "reasoning_tokens",
    )
    heads = [f"#{name.replace('_', ' ')}" for name in names if getattr(usage, name)]
    cells = [f"{getattr(usage, name):,}" for name in names if getattr(usage, name)]
    cost = "unknown" if usage.usd is None else f"{usage.usd:.6g}"
    return _table([*heads, "#usd", "#time"], [[*cells, cost, seconds_text(usage.seconds)]])


_JINJA = re.compile(r"(\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\})", re.DOTALL)


def _prompt(prompt: Prompt) -> str:
    kinds: Mapping[str, str] = {"{{": "var", "{%": "blk", "{#": "cmt"}
    pieces = []
    for piece in _JINJA.split(prompt.source[:20_000]):
        kind = kinds.get(piece[:2]) if _JINJA.fullmatch(piece) else None
        text = xml(scrub(piece), 20_000)
        pieces.append(f'<span class="{kind}">{text}</span>' if kind else text)
    names = ", ".join(prompt.names)
    where = f' <span class="d">{xml(prompt.where)}</span>' if prompt.where else ""
    uses = f'<div class="d">uses: {xml(names)}</div>' if names else ""
    return f'<div class="head">prompt{where}</div><pre>{"".join(pieces)}</pre>{uses}'


def _run(run: RunRecord[Any]) -> str:
    head = f'<div class="head">run of {_text(run.graph, 120)}: {xml(run.status)}</div>'
    parts = [head, _usage(run.usage)]
    if run.error is not None:
        parts.append(f"<pre>{_text(error_words(run.error), 2000)}</pre>")
    if run.output is not None:
        parts.append(f'<div class="d">answer</div>{_tree(to_json_value(run.output))}')
    steps = run.steps
    if run.status != "running" and run.declared is not None and len(run.declared.nodes) <= MOST_NODES:
        picture = walked_picture(run, run.declared, run.events)
        if picture is not None:
            parts.append(f'<details open><summary>graph</summary><div class="pic">{picture}</div></details>')
    if run.status != "running" and 0 < len(steps) <= TIMELINE_STEPS:
        svg = Timeline(read_story(run)).svg
        parts.append(f"<details open><summary>timeline</summary>{svg}</details>")
    parts.append(f"<details><summary>{counted(len(steps), 'step')}</summary>{_steps(steps)}</details>")
    return "".join(parts)
