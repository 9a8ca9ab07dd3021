"""What stands on an edge and beside a node, in words: the same in every form of picture."""

from __future__ import annotations

import re
from functools import lru_cache

from graphflow.declaration.guards import Guard
from graphflow.declaration.handoffs import HandTo
from graphflow.declaration.hooks import Hook
from graphflow.declaration.node import AnyNode
from graphflow.limits import Limits, Quota
from graphflow.messages.types import Type, type_name
from graphflow.proofs.edge_types import TypedEdge
from graphflow.proofs.program import JoinSpec
from graphflow.proofs.proven import AnyGraph
from graphflow.redaction import current
from graphflow.render.xml import ELLIPSIS, REPLACEMENT, clip

NAME_WIDTH = 24
"""Characters of a name before it is wrapped."""
MAX_LINES = 12
"""Lines of a name that are shown."""
MAX_NAME = 200
"""Characters of a name in a tooltip."""
MAX_TOOLTIP = 600
"""Characters of a tooltip."""
MAX_LIMITS = 2
"""Limits that are named beside a node; the tooltip of a graph has all of them."""
LIMIT_WORDS = {
    "model_calls": "model calls",
    "tool_calls": "tool calls",
    "steps": "steps",
    "tokens": "tokens",
    "input_tokens": "input tokens",
    "output_tokens": "output tokens",
    "output_bytes": "bytes of answers",
    "seconds": "s",
}
_WORD_ENDS = re.compile(r"(?<=[_\-.,/ ])")


# -- edges -----------------------------------------------------------------------------------------
def label_parts(declared: TypedEdge, graph: AnyGraph) -> tuple[str, ...]:
    """What an edge carries, part by part: `each`, its arm or label, guard, laps, `collect`."""
    origin = declared.edge.origin
    arm = origin.arm
    message = _types_text(declared.carries)
    parts: list[str] = []
    if isinstance(arm, HandTo):
        parts.append(f"hand over {message}")
        if arm.handoff.conversation:
            parts.append("conversation")
        parts += _lap_words(declared, graph)
        return tuple(parts)

    if origin.each:
        parts.append("each")
    what = repr(arm) if isinstance(arm, str) else message
    port = _port_prefix(declared)
    parts.append(port + what)
    if origin.guard is not None:
        condition = _guard_words(origin.guard)
        parts.append(condition)
    parts += _lap_words(declared, graph)
    if declared.collects:
        parts.append("collect")
    return tuple(parts)


def _guard_words(guard: object) -> str:
    if guard == "otherwise":
        return "otherwise"
    name: str = getattr(guard, "__name__", "")
    name = name.replace("<lambda>", "...")
    return f"when {name}"


def _lap_words(declared: TypedEdge, graph: AnyGraph) -> list[str]:
    if declared.lap_of is None:
        return []
    count = graph.laps_of(declared)
    laps = "1 lap" if count == 1 else f"{count} laps"
    return [f"at most {laps}"]


def _port_prefix(declared: TypedEdge) -> str:
    """The port that an edge leads to, where its target has several to choose from."""
    ports = getattr(declared.edge.target, "ports", ())
    if len(ports) < 2:
        return ""
    port = ports[declared.port]
    return f"{port.name}: "


@lru_cache(maxsize=512)
def _types_text(types: tuple[Type, ...]) -> str:
    return " | ".join(map(type_name, types))


def edge_tooltip(names: tuple[str, str], parts: tuple[str, ...], style: str) -> str:
    """The tooltip of an edge."""
    source_name, target_name = names
    source = clip(source_name, MAX_NAME)
    target = clip(target_name, MAX_NAME)
    if style == "state":
        verb = parts[0]
        return f"{target} {verb} {source}" if verb == "reads" else f"{source} {verb} {target}"
    if style == "call":
        return f"{source} calls {target}"
    message = ", ".join(parts)
    tooltip = f"{source} \u2192 {target}: {message}"
    return clip(tooltip, MAX_TOOLTIP)


# -- nodes -----------------------------------------------------------------------------------------
def join_words(join: JoinSpec | None) -> str:
    """What a node waits for before it begins; nothing where every message begins it."""
    if join is None:
        return ""
    if join.take is not None:
        if join.take == 1:
            return "takes the first"
        return f"waits for the first {join.take}"
    if join.collects:
        return "waits for all branches"
    match len(join.ports):
        case 0 | 1:
            return ""
        case 2:
            return "waits for both"
        case count:
            return f"waits for all {count}"


def option_words(node: AnyNode) -> tuple[str, ...]:
    """What is special about how a node is run, each in a word or two."""
    words = _stage_words(node)
    if node.approval:
        words.append("needs approval")
    retry = node.retry
    if retry is not None and retry.attempts > 1:
        words.append(f"{retry.attempts} tries")
    words += _bound_words(node)
    if node.cache:
        words.append("cached")
    if node.policy is not None:
        words.append("policy")
    if node.in_background:
        words.append("in background")
    target, limits = node.entry()
    if limits is None:
        limits = getattr(target, "limits", None)
    if isinstance(limits, Limits):
        words += _limit_words(limits)
    return tuple(words)


def _stage_words(node: AnyNode) -> list[str]:
    """What changes and judges a node's messages: `before: louder, length`, `before its model: dated`."""
    hooks = node.hooks
    stages: dict[str, tuple[Guard | Hook, ...]] = {
        "before": (*hooks.before, *node.before),
        "after": (*hooks.after, *node.after),
        "before its model": hooks.before_model,
        "after its model": hooks.after_model,
    }
    words: list[str] = []
    for stage, each in stages.items():
        names = ", ".join(one.name for one in each)
        if names:
            words.append(f"{stage}: {names}")
    return words


def _bound_words(node: AnyNode) -> list[str]:
    """How long an attempt may take, and what the node may use in a run."""
    words: list[str] = []
    if node.timeout_s is not None:
        words.append(f"at most {node.timeout_s:g} s")
    if node.quota is not None:
        words.append(_quota_words(node.quota))
    return words


def _quota_words(quota: Quota) -> str:
    """What a node may use in a run, in words."""
    amounts = {"calls": quota.calls, "s": quota.seconds, "tokens": quota.tokens}
    stated = [f"{amount:,g} {unit}" for unit, amount in amounts.items() if amount is not None]
    shown = ", ".join(stated)
    return f"at most {shown} a run"


def _limit_words(limits: Limits) -> list[str]:
    """The limits that are set, the first few of them in words."""
    words: list[str] = []
    for name, unit in LIMIT_WORDS.items():
        limit = getattr(limits, name)
        if limit is not None:
            words.append(f"{limit:,g} {unit}")
    if limits.usd is not None:
        words.append(f"${limits.usd:g}")
    if not words:
        return []
    if len(words) > MAX_LIMITS:
        words[MAX_LIMITS:] = ["..."]
    limits_words = ", ".join(words)
    return [f"at most {limits_words}"]


def node_tooltip(node: AnyNode) -> str:
    """The tooltip of a node: what it takes and answers, how it is run, its description."""
    name = clip(node.name, MAX_NAME)
    ports: list[str] = []
    for port in node.ports:
        message = type_name(port.type)
        ports.append(f"{port.name}: {message}")
    takes = ", ".join(ports)
    answers = type_name(node.output)
    signature = f"{node.kind} {name}({takes}) \u2192 {answers}"
    options = option_words(node)
    special = ", ".join(options)
    lines = filter(None, (signature, special, node.description))
    tooltip = "\n".join(lines)
    return clip(tooltip, MAX_TOOLTIP)


# -- names -----------------------------------------------------------------------------------------
def printable(text: str) -> str:
    """A text without what no picture can show: control characters, halves of characters; and without secrets."""
    text = current().name(text)
    # Nearly all texts are: they need not be looked at sign by sign.
    if text.isprintable():
        return text
    without_turns = text.replace("\n", "")
    if without_turns.isprintable():
        return text
    signs = map(_printable_sign, text)
    return "".join(signs)


def one_line(text: str) -> str:
    """A printable text with spaces for its line ends."""
    shown = printable(text)
    return shown.replace("\n", " ")


def _printable_sign(sign: str) -> str:
    if sign == "\n" or sign.isprintable():
        return sign
    # One of a pair that only together is a character.
    is_half = "\ud800" <= sign <= "\udfff"
    if is_half:
        return REPLACEMENT
    return " "


def wrapped(text: str, width: int = NAME_WIDTH) -> list[str]:
    """A name in lines, broken where its words end; a very long one is cut."""
    text = printable(text)
    if len(text) <= width and "\n" not in text:
        return [text]
    lines: list[str] = []
    # Twice as much as is shown: lines are not always full.
    longest = width * MAX_LINES * 2
    start = text[:longest]
    for row in start.split("\n"):
        for broken in _broken(row, width):
            line = broken.strip()
            if line:
                lines.append(line)
    if not lines:
        return [" "]
    if len(lines) > MAX_LINES:
        last = MAX_LINES - 1
        lines[last:] = [ELLIPSIS]
    return lines


def _broken(row: str, width: int) -> list[str]:
    lines: list[str] = []
    line = ""
    for word in _WORD_ENDS.split(row):
        # A word longer than a line is broken anywhere.
        while len(word) > width:
            room = width - len(line)
            beginning = word[:room]
            lines.append(line + beginning)
            line = ""
            word = word[room:]
        length = len(line) + len(word)
        if length > width:
            lines.append(line)
            line = ""
        line += word
    lines.append(line)
    return lines
