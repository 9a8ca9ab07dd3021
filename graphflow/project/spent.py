"""What the runs of a store have spent, by day, graph, node, model or conversation."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from graphflow.journal.spending import ModelSpending, RunSpending, read_spending
from graphflow.journal.store import Store
from graphflow.journal.stored import RunHeader
from graphflow.limits import Usage
from graphflow.runtime.talk import conversation_of

Grouping = Literal["day", "graph", "node", "model", "conversation"]
"""What a group is about."""
NO_CONVERSATION = "(none)"
"""The group of runs that are in no conversation."""


@dataclass(frozen=True, slots=True)
class WantedUsage:
    """What is asked for.

    Attributes:
        by: what one row is about.
        since: what was spent since, in seconds since 1970; None: all.
        graph: of runs of the graph of this name; None: of all.
        limit: how many rows are shown.
    """

    by: Grouping
    since: float | None
    graph: str | None
    limit: int = 31


@dataclass(slots=True)
class Spent:
    """What a group has spent.

    Attributes:
        name: of the group.
        runs: that have done something in it.
        calls: answers of models.
        input_tokens: tokens the models read.
        output_tokens: tokens they wrote.
        usd: US dollars, of the answers whose price is known.
        unpriced: the other answers.
    """

    name: str
    runs: int = 0
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float = 0.0
    unpriced: int = 0

    @property
    def tokens(self) -> int:
        """Input plus output tokens."""
        return self.input_tokens + self.output_tokens

    def count(self, answer: ModelSpending) -> None:
        """Counts one answer of a model."""
        self.calls += 1
        self.input_tokens += answer.input_tokens
        self.output_tokens += answer.output_tokens
        if answer.usd is None:
            self.unpriced += 1
        else:
            self.usd += answer.usd


def _weight(spent: Spent) -> tuple[float, int, int]:
    """By what groups are ordered: dollars, where there are none tokens, where there are none runs."""
    return spent.usd, spent.tokens, spent.runs


@dataclass(slots=True)
class UsageOfStore:
    """What was spent, by group and in all.

    Attributes:
        wanted: what was asked for.
        groups: by their names.
        total: of all runs.
        damaged: the ids of runs of which not all could be read.
    """

    wanted: WantedUsage
    groups: dict[str, Spent] = field(default_factory=dict)
    total: Spent = field(default_factory=lambda: Spent("all"))
    damaged: list[str] = field(default_factory=list)

    def add(self, run: RunSpending) -> None:
        """Counts a run."""
        self.total.runs += 1
        if run.damage is not None:
            self.damaged.append(run.header.id)
        own = _group_of_run(run.header, self.wanted)
        # A run counts once in each group that it has done something in.
        names: set[str] = set()
        if own is not None:
            names.add(own)
        for answer in run.answers:
            name = _group_of_answer(answer, self.wanted.by)
            if name is None:
                name = own or NO_CONVERSATION
            names.add(name)
            self._group(name).count(answer)
            self.total.count(answer)
        for name in names:
            self._group(name).runs += 1

    def _group(self, name: str) -> Spent:
        group = self.groups.get(name)
        if group is None:
            group = self.groups[name] = Spent(name)
        return group

    def ordered(self) -> list[Spent]:
        """The groups: days in their order, others by what they have spent."""
        names = sorted(self.groups)
        rows = [self.groups[name] for name in names]
        # Sorting is stable, so what has spent alike stays in the order of names.
        if self.wanted.by != "day":
            rows.sort(key=_weight, reverse=True)
        return rows

    def shown(self) -> list[Spent]:
        """As many as are wanted: the newest days, or the groups that have spent most."""
        rows = self.ordered()
        limit = self.wanted.limit
        if self.wanted.by == "day":
            return rows[-limit:]
        return rows[:limit]


def _group_of_run(header: RunHeader, wanted: WantedUsage) -> str | None:
    """The group that a run belongs to even if it has asked no model; None: there is none."""
    if wanted.by == "graph":
        return header.graph
    if wanted.by == "day":
        since = wanted.since or 0
        # One that began before has only come back since.
        return None if header.began < since else _day(header.began)
    if wanted.by == "conversation":
        key = conversation_of(header)
        return NO_CONVERSATION if key is None else f"{header.graph}: {key}"
    return None


def _group_of_answer(answer: ModelSpending, by: Grouping) -> str | None:
    """The group of an answer; None: that of its run."""
    if by == "day":
        return _day(answer.at)
    if by == "node":
        return answer.node
    if by == "model":
        return answer.model
    return None


def _day(seconds: float) -> str:
    """The day of a moment, in this time zone."""
    moment = datetime.fromtimestamp(seconds)
    return moment.date().isoformat()


async def usage_of(store: Store, wanted: WantedUsage) -> UsageOfStore:
    """What was spent. It takes time for each row that is kept, and memory for a few runs."""
    found = UsageOfStore(wanted)
    spending = read_spending(store, graph=wanted.graph, since=wanted.since)
    async for run in spending:
        found.add(run)
    return found


def summed(one: Usage, other: Usage) -> Usage:
    """What two runs have used together."""
    amounts: Counter[str] = Counter()
    for usage in (one, other):
        for name in ("steps", "tool_calls", "model_calls", "input_tokens", "output_tokens"):
            amounts[name] += getattr(usage, name)
        for name in ("seconds", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens"):
            amounts[name] += getattr(usage, name)
    # Where one of them has no price, nobody knows the sum.
    usd = None if one.usd is None or other.usd is None else one.usd + other.usd
    return Usage(**amounts, usd=usd)
