"""What one node or one edge did in a walk, counted, and the few words that a picture says of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from graphflow.render.labels import cut
from graphflow.render.timeline.lanes import union

MOST_STRETCHES = 512
"""Stretches of time that are kept apart before those that touch are joined."""


@dataclass(slots=True)
class Tally:
    """What one node did.

    Attributes:
        asking: calls that wait for an approval now.
        stretches: when it was at work; activations side by side overlap here.
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
    stretches: list[tuple[float, float]] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)

    @property
    def ended(self) -> int:
        """Activations that have ended, however they ended."""
        return self.done + self.failed + self.stopped

    @property
    def seconds(self) -> float:
        """How long it was at work by the clock on the wall: what went on side by side counts once."""
        return sum(end - start for start, end in union(self.stretches))

    def worked(self, start: float, end: float) -> None:
        """Notes one stretch of work."""
        self.stretches.append((min(start, end), end))
        if len(self.stretches) > MOST_STRETCHES and len(self.stretches) & (len(self.stretches) - 1) == 0:
            self.stretches = union(self.stretches)

    def add(self, other: Tally, *, whole: bool = True) -> None:
        """Counts what another did; without `whole`, only what it cost."""
        self.tokens += other.tokens
        self.usd += other.usd
        self.asking += other.asking
        if whole:
            self.started += other.started
            self.done += other.done
            self.failed += other.failed
            self.stopped += other.stopped
            self.skipped += other.skipped
            self.retried += other.retried
            self.stretches += other.stretches
            self.error = self.error or other.error


@dataclass(slots=True)
class Passed:
    """What went along one edge."""

    sent: int = 0
    skipped: int = 0


def mark_of(tally: Tally, over: bool) -> str:
    """How a node stands: failures are never covered by what went well."""
    if not over and tally.asking:
        return "asking"
    if not over and tally.started > tally.ended:
        return "running"
    if tally.failed:
        return "mixed" if tally.done else "failed"
    if tally.done:
        return "done"
    if tally.stopped or tally.started:
        return "stopped"
    return "skipped" if tally.skipped else "idle"


def badge_of(tally: Tally) -> str:
    """The figures of a node, small, and in words: how often, how long, tokens, cost, failures."""
    second = [f"{tally.tokens:,} tok"] if tally.tokens else []
    second += [money(tally.usd)] if tally.usd else []
    third = [cut(tally.error.split("\n")[0], 40)] if tally.error else []
    return "\n".join(" \u00b7 ".join(parts) for parts in (_counts(tally), second, third) if parts)


def _counts(tally: Tally) -> list[str]:
    running = tally.started - tally.ended - tally.asking
    parts = [f"{tally.asking} to approve" if tally.asking > 1 else "waits for approval"] if tally.asking else []
    if running > 0:
        parts.append(f"{running} running")
    hows = {"done": tally.done, "failed": tally.failed, "cancelled": tally.stopped, "skipped": tally.skipped}
    told = {how: count for how, count in hows.items() if count}
    if told and (len(told) > 1 or parts or max(told.values()) > 1):
        parts += [f"{count} {how}" for how, count in told.items()]
    elif told and "done" not in told:
        parts += list(told)
    if tally.retried:
        parts.append(f"{tally.retried} retried")
    if tally.ended:
        parts.append(duration(tally.seconds))
    return parts


def passed_words(passed: Passed) -> str:
    """What went along an edge, where once is not worth a word."""
    said = [f"\u00d7{passed.sent}"] if passed.sent > 1 else []
    said += [f"{passed.skipped} skipped"] if passed.skipped and passed.sent else []
    return ", ".join(said)


def duration(seconds: float) -> str:
    """A time as people read it."""
    if seconds < 0.001:
        return "<1 ms" if seconds > 0 else "0 ms"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"


def money(usd: float) -> str:
    """A cost as people read it."""
    return f"${usd:.2f}" if usd >= 1 else f"${usd:.4f}"
