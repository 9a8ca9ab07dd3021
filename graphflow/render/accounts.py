"""What a run used, counted for a page: by node, by frame, and all together."""

from __future__ import annotations

from dataclasses import dataclass, field

from graphflow.render.records import AnyEvent
from graphflow.render.talk import message_text
from graphflow.render.timeline import Span, Story
from graphflow.render.timeline.lanes import time_of
from graphflow.render.timeline.spans import FramePath, Interval
from graphflow.render.xml import seconds_text

STEPS = ("node.start", "call.start")
"""The kinds of events that `run.usage` counts as steps."""


@dataclass(slots=True)
class Account:
    """What a node or a frame has used."""

    name: str
    steps: int = 0
    intervals: list[Interval] = field(default_factory=list)
    requests: int = 0
    read: int = 0
    written: int = 0
    usd: float | None = 0.0

    def count(self, event: AnyEvent) -> None:
        """Counts one answer of a model; once a cost is not known, their sum is not, either."""
        self.requests += 1
        self.read += int(event.input_tokens or 0)
        self.written += int(event.output_tokens or 0)
        if self.usd is None or event.usd is None:
            self.usd = None
        else:
            self.usd += float(event.usd)

    @property
    def seconds(self) -> float:
        """How long it was at work by the clock on the wall: what went on side by side, or one within another, counts once."""
        return time_of(self.intervals)

    @property
    def cost(self) -> str:
        """Its cost in words."""
        if self.usd is None:
            return "unknown"
        if self.usd == 0:
            return "0"
        digits = f"{self.usd:.4f}"
        short = digits.rstrip("0")
        return short.rstrip(".")


@dataclass(slots=True)
class Facts:
    """What the page shows besides pictures and conversations."""

    total: Account = field(default_factory=lambda: Account("all"))
    nodes: dict[str, Account] = field(default_factory=dict)
    frames: dict[FramePath, Account] = field(default_factory=dict)
    given: str = ""
    output: str = ""
    warnings: list[str] = field(default_factory=list)
    retries: int = 0
    skipped: int = 0

    def take(self, event: AnyEvent) -> None:
        """Reads what one event says about the run as a whole."""
        match event.kind:
            case "run.start":
                self.given = message_text(event.input)
            case "run.end":
                self.output = message_text(event.output)
            case "limit.warning":
                used = f"{event.used:g} of {event.value:g} used"
                at = seconds_text(event.at)
                self.warnings.append(f"{event.limit}: {used} after {at}")
            case "cost.unknown":
                self.warnings.append(
                    f"usd: the price of {event.model} is unknown; its answers are counted as free"
                )
            case "node.retry" | "model.retry":
                self.retries += 1
            case "node.skip":
                self.skipped += 1

    def count_span(self, span: Span) -> None:
        """Counts an activation or a call; the activation of a sub-agent in its own frame is counted with its call."""
        if span.what == "model":
            return
        node = span.label
        if span.what == "node":
            node = span.node
            if span.is_alone:
                return
        interval = Interval(span.started, span.ended)
        for account in self.accounts(span.path, node):
            # Intervals are kept, not summed: what goes on side by side counts once.
            account.steps += 1
            account.intervals.append(interval)

    def accounts(self, path: FramePath, node: str) -> list[Account]:
        """The accounts that something counts for: the total, that of its node, those of all frames around it."""
        around = path
        # The frame of a sub-agent alone is named after it: its name would stand twice.
        if len(path) > 1 and path[-1] == node:
            around = path[:-1]
        name = " > ".join((*around, node))
        own = self.nodes.setdefault(name, Account(name))
        accounts = [self.total, own]
        innermost = len(path)
        for depth in range(1, innermost + 1):
            frame = path[:depth]
            frame_name = " > ".join(frame)
            account = self.frames.setdefault(frame, Account(frame_name))
            accounts.append(account)
        return accounts


def read_facts(events: list[AnyEvent], story: Story) -> Facts:
    """What a run used and what happened in it, from its events and its spans."""
    facts = Facts()
    outermost = (story.title,)
    paths: dict[int, FramePath] = {0: outermost}
    steps = 0
    for event in events:
        facts.take(event)
        kind = event.kind
        if kind in STEPS:
            steps += 1
        elif kind == "frame.enter":
            names = map(str, event.path)
            paths[event.frame] = tuple(names)
        elif kind == "model.end":
            path = paths.get(event.frame, outermost)
            node = str(event.node)
            for account in facts.accounts(path, node):
                account.count(event)
    for span in story.spans:
        facts.count_span(span)
    # As `run.usage` counts: the activation of a sub-agent and its call are two steps there.
    facts.total.steps = steps
    return facts
