"""What one node or one edge did in a walk, counted, and the few words that a picture shows for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from graphflow.render.timeline.lanes import time_of, union
from graphflow.render.timeline.spans import Interval
from graphflow.render.xml import clip

MAX_INTERVALS = 512
"""Intervals of time that are kept apart before those that touch are joined."""
MAX_ERROR = 40
"""Characters of an error beside a node."""


@dataclass(slots=True)
class Tally:
    """What one node did.

    Attributes:
        asking: calls that wait for an approval now.
        intervals: when it was at work; activations side by side overlap here.
        answers: how often it gave each answer, by a digest of it; kept only where walks are compared.
    """

    started: int = 0
    done: int = 0
    failed: int = 0
    stopped: int = 0
    skipped: int = 0
    retried: int = 0
    asking: int = 0
    tokens: int = 0
    usd: float = 0.0
    error: str = ""
    intervals: list[Interval] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)

    @property
    def ended(self) -> int:
        """Activations that have ended, however they ended."""
        return self.done + self.failed + self.stopped

    @property
    def seconds(self) -> float:
        """How long it was at work by the clock on the wall: what went on side by side counts once."""
        return time_of(self.intervals)

    @property
    def outcomes(self) -> dict[str, int]:
        """How often its activations ended in each way that occurred, in words."""
        counts = {
            "done": self.done,
            "failed": self.failed,
            "cancelled": self.stopped,
            "skipped": self.skipped,
        }
        occurring: dict[str, int] = {}
        for word, count in counts.items():
            if count:
                occurring[word] = count
        return occurring

    def add_interval(self, start: float, end: float) -> None:
        """Counts one interval of work."""
        begin = min(start, end)
        interval = Interval(begin, end)
        self.intervals.append(interval)
        count = len(self.intervals)
        # Joining costs a sort: it is done at 1,024, 2,048, 4,096..., so that each interval is sorted a few times at most.
        is_power_of_two = count & (count - 1) == 0
        if count > MAX_INTERVALS and is_power_of_two:
            self.intervals = union(self.intervals)

    def add(self, other: Tally, *, whole: bool = True) -> None:
        """Counts what another did; without `whole`, only what it cost."""
        self.tokens += other.tokens
        self.usd += other.usd
        self.asking += other.asking
        if not whole:
            return
        self.started += other.started
        self.done += other.done
        self.failed += other.failed
        self.stopped += other.stopped
        self.skipped += other.skipped
        self.retried += other.retried
        self.intervals += other.intervals
        self.error = self.error or other.error


@dataclass(slots=True)
class Traffic:
    """What went along one edge."""

    sent: int = 0
    skipped: int = 0

    def add(self, other: Traffic) -> None:
        """Counts what went along another edge."""
        self.sent += other.sent
        self.skipped += other.skipped


def mark_of(tally: Tally, over: bool) -> str:
    """How a node stands: failures are never covered by what went well."""
    if not over:
        if tally.asking:
            return "asking"
        if tally.started > tally.ended:
            return "running"
    if tally.failed:
        # Before what went well: a node that failed once and succeeded after is not "done".
        return "mixed" if tally.done else "failed"
    if tally.done:
        return "done"
    if tally.stopped or tally.started:
        return "stopped"
    if tally.skipped:
        return "skipped"
    return "idle"


def badge_of(tally: Tally) -> str:
    """The figures of a node, small, and in words: how often, how long, tokens, cost, failures."""
    counts = _count_words(tally)
    costs: list[str] = []
    if tally.tokens:
        costs.append(f"{tally.tokens:,} tok")
    if tally.usd:
        cost = money(tally.usd)
        costs.append(cost)
    first_line, _, _ = tally.error.partition("\n")
    error = clip(first_line, MAX_ERROR)
    # What there is none of takes no line.
    lines = filter(None, (_with_dots(counts), _with_dots(costs), error))
    return "\n".join(lines)


def _with_dots(words: Iterable[str]) -> str:
    return " \u00b7 ".join(words)


def _count_words(tally: Tally) -> list[str]:
    words: list[str] = []
    if tally.asking == 1:
        words.append("waits for approval")
    elif tally.asking:
        words.append(f"{tally.asking} to approve")
    running = tally.started - tally.ended - tally.asking
    if running > 0:
        words.append(f"{running} running")
    is_alone = not words
    words += _outcome_words(tally.outcomes, is_alone)
    if tally.retried:
        words.append(f"{tally.retried} retried")
    if tally.ended:
        took = duration(tally.seconds)
        words.append(took)
    return words


def _outcome_words(outcomes: dict[str, int], alone: bool) -> list[str]:
    """How activations ended; for a single one that went well, its mark is enough, and for another its word."""
    count = sum(outcomes.values())
    if alone and count == 1:
        return [word for word in outcomes if word != "done"]
    return [f"{count} {word}" for word, count in outcomes.items()]


def traffic_words(traffic: Traffic) -> str:
    """What went along an edge, where once is not worth a word."""
    words: list[str] = []
    if traffic.sent > 1:
        words.append(f"\u00d7{traffic.sent}")
    if traffic.skipped and traffic.sent:
        words.append(f"{traffic.skipped} skipped")
    return ", ".join(words)


def duration(seconds: float) -> str:
    """A time as people read it."""
    if seconds <= 0:
        return "0 ms"
    if seconds < 0.001:
        return "<1 ms"
    if seconds < 1:
        milliseconds = seconds * 1000
        return f"{milliseconds:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(seconds // 60)
    rest = int(seconds % 60)
    return f"{minutes} min {rest:02d} s"


def money(usd: float) -> str:
    """A cost as people read it."""
    if usd >= 1:
        return f"${usd:.2f}"
    # Most calls of a model cost less than a cent.
    return f"${usd:.4f}"
