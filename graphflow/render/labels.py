"""What stands on an edge and beside a node, in words: the same in every form of picture."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from graphflow.declaration.handoffs import HandTo
from graphflow.declaration.node import Node
from graphflow.limits import Limits
from graphflow.messages.types import type_name
from graphflow.proofs.edge_types import TypedEdge
from graphflow.proofs.program import JoinSpec
from graphflow.proofs.proven import AnyGraph
from graphflow.redaction import current

LONG = 24
"""Characters of a name before it is wrapped."""
MOST = 12
"""Lines of a name that are shown."""
LONGEST = 600
"""Characters of what a pointer is told."""


def label_parts(declared: TypedEdge, graph: AnyGraph) -> tuple[str, ...]:
    """What an edge carries, part by part: `each`, its arm or label, guard, laps, `collect`."""
    origin = declared.edge.origin
    carried = _carried(declared.carries)
    laps: list[str] = []
    if declared.lap_of is not None:
        most = graph.laps_of(declared)
        laps = [f"at most {most} lap{'s' if most != 1 else ''}"]
    if isinstance(origin.arm, HandTo):
        return (f"hand over {carried}", *(["conversation"] if origin.arm.handoff.conversation else []), *laps)
    parts = [_at_port(declared) + (repr(origin.arm) if isinstance(origin.arm, str) else carried)]
    if origin.each:
        parts.insert(0, "each")
    if origin.guard is not None:
        named = getattr(origin.guard, "__name__", "").replace("<lambda>", "...")
        parts.append("otherwise" if origin.guard == "otherwise" else f"when {named}")
    return (*parts, *laps, *(["collect"] if declared.collects else []))


def _at_port(declared: TypedEdge) -> str:
    """The port that an edge leads to, where its target has several to choose from."""
    ports = getattr(declared.edge.target, "ports", ())
    return f"{ports[declared.port].name}: " if len(ports) > 1 else ""


def join_words(join: JoinSpec | None) -> str:
    """What a node waits for before it begins; nothing where every message begins it."""
    if join is None:
        return ""
    if join.take is not None:
        return f"waits for the first {join.take}" if join.take > 1 else "takes the first"
    required = [port for port in join.ports if port not in join.collects]
    if join.collects:
        return "waits for all branches"
    return "waits for both" if len(required) == 2 else f"waits for all {len(required)}" if len(required) > 2 else ""


def option_words(node: Node[Any, Any]) -> tuple[str, ...]:
    """What is special about how a node is run, each in a word or two."""
    words = ["needs approval"] if node.approval else []
    if node.retry is not None and node.retry.attempts > 1:
        words.append(f"{node.retry.attempts} tries")
    if node.timeout_s is not None:
        words.append(f"at most {node.timeout_s:g} s")
    if node.cache:
        words.append("cached")
    if node.policy is not None:
        words.append("policy")
    if node.in_background:
        words.append("in background")
    target, limits = node.entry()
    own = limits if limits is not None else getattr(target, "limits", None)
    if isinstance(own, Limits):
        words += _limit_words(own)
    return tuple(words)


def _limit_words(limits: Limits) -> list[str]:
    """At most two limits in words; a pointer is told of all."""
    named = {
        "model_calls": "model calls",
        "tool_calls": "tool calls",
        "steps": "steps",
        "tokens": "tokens",
        "seconds": "s",
    }
    set_ = [f"{value:,g} {word}" for name, word in named.items() if (value := getattr(limits, name)) is not None]
    if limits.usd is not None:
        set_.append(f"${limits.usd:g}")
    return [f"at most {', '.join(set_[:2])}" + (", ..." if len(set_) > 2 else "")] if set_ else []


@lru_cache(maxsize=512)
def _carried(kinds: tuple[Any, ...]) -> str:
    return " | ".join(type_name(kind) for kind in kinds)


def about_edge(names: tuple[str, str], parts: tuple[str, ...], style: str) -> str:
    """What a pointer on an edge is told."""
    source, target = (cut(name, 200) for name in names)
    return (
        f"{source} calls {target}" if style == "call" else cut(f"{source} \u2192 {target}: {', '.join(parts)}", LONGEST)
    )


def about_node(node: Node[Any, Any]) -> str:
    """What a pointer on a node is told."""
    taken = ", ".join(f"{port.name}: {type_name(port.type)}" for port in node.ports)
    told = f"{node.kind} {cut(node.name, 200)}({taken}) \u2192 {type_name(node.output)}"
    more = [", ".join(option_words(node)), node.description]
    return cut("\n".join([told, *(part for part in more if part)]), LONGEST)


def cut(text: str, length: int) -> str:
    """A text that is no longer than so much."""
    return text if len(text) <= length else text[: length - 1] + "\u2026"


def clean(text: str) -> str:
    """A text without what no picture can show: control characters, halves of characters; and without secrets."""
    text = current().name(text)
    if text.isprintable() or text.replace("\n", "").isprintable():
        return text
    return "".join(c if c == "\n" or c.isprintable() else "\ufffd" if "\ud800" <= c <= "\udfff" else " " for c in text)


def wrapped(text: str, width: int = LONG) -> list[str]:
    """A name in lines, broken where its words end; a very long one is cut."""
    text = clean(text)
    if len(text) <= width and "\n" not in text:
        return [text]
    lines: list[str] = []
    for row in text[: width * MOST * 2].split("\n"):
        lines.append("")
        for word in re.split(r"(?<=[_\-.,/ ])", row):
            while len(word) > width:
                room = width - len(lines[-1])
                lines[-1] += word[:room]
                word = word[room:]
                lines.append("")
            if len(lines[-1]) + len(word) > width:
                lines.append("")
            lines[-1] += word
    lines = [line.strip() for line in lines if line.strip()] or [" "]
    return lines if len(lines) <= MOST else [*lines[: MOST - 1], "\u2026"]
