"""Quotas at work: what nodes have used in a run, and the refusal of what would be more than they may.

Rules:
1. Nodes of one name share what they have used, wherever in the run they stand: a tool that two agents have is one tool.
2. A use is counted when it begins, whatever comes of it; what was refused, and what a cache has answered, is none.
3. In a run that goes on, what earlier sittings have used is read from its facts. What was under way begins again, and counts once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from graphflow.declaration.node import AnyNode
from graphflow.errors import (
    ApprovalRefused,
    ArgumentsInvalid,
    ClaimRefused,
    GuardRejected,
    LimitExceeded,
    PolicyRefused,
)
from graphflow.events import (
    CallFailed,
    CallFinished,
    Event,
    FrameEntered,
    ModelFinished,
    NodeFailed,
    NodeFinished,
)
from graphflow.limits import Answered, Quota

V = TypeVar("V")
_REFUSED = (
    ApprovalRefused,
    ArgumentsInvalid,
    ClaimRefused,
    GuardRejected,
    LimitExceeded,
    PolicyRefused,
)
"""How a call ends that was none."""


@dataclass(slots=True)
class QuotaUse:
    """What the nodes of one name have used."""

    calls: int = 0
    seconds: float = 0.0
    tokens: int = 0


class QuotaBook:
    """What nodes with a quota have used in one run.

    Args:
        facts: what has happened in it before.
    """

    def __init__(self, facts: Iterable[Event] = ()) -> None:
        self._uses: dict[str, QuotaUse] = {}
        self._entering: set[int | None] = set()
        """The calls that have entered a frame: what was called is an activation there."""
        for fact in facts:
            self._take(fact)

    def _take(self, fact: Event) -> None:
        match fact:
            case FrameEntered():
                self._entering.add(fact.call)
            case NodeFinished() | NodeFailed():
                self._count(fact.node, fact.at - fact.started)
            case CallFinished() if fact.call not in self._entering:
                self._count(fact.node, fact.at - fact.started)
            case CallFailed() if fact.call not in self._entering:
                if not isinstance(fact.error, _REFUSED):
                    self._count(fact.node, fact.at - fact.started)
            case ModelFinished():
                self.add_tokens(fact.node, fact)
            case _:
                pass

    def use_of(self, name: str) -> QuotaUse:
        """What the nodes of a name have used."""
        return self._uses.setdefault(name, QuotaUse())

    def _count(self, name: str, seconds: float) -> None:
        use = self.use_of(name)
        use.calls += 1
        use.seconds += seconds

    def add_tokens(self, name: str, reply: Answered) -> None:
        """Counts what an answer of its model has cost a node."""
        self.use_of(name).tokens += reply.input_tokens + reply.output_tokens

    def check_tokens(self, node: AnyNode, path: tuple[str, ...]) -> None:
        """Refuses a question to a model by a node whose tokens are used up.

        Raises:
            LimitExceeded: they are.
        """
        quota = node.quota
        if quota is None or quota.tokens is None:
            return
        if self.use_of(node.name).tokens >= quota.tokens:
            raise _exceeded(node, "tokens", quota.tokens, path)

    async def within(
        self, node: AnyNode, path: tuple[str, ...], work: Callable[[], Awaitable[V]]
    ) -> V:
        """What comes of the work of a node that has a quota.

        Args:
            node: the node.
            path: names of the frames around it.
            work: begins it.

        Raises:
            LimitExceeded: the quota is used up, or its seconds are over.
        """
        quota = node.quota
        assert quota is not None
        use = self.use_of(node.name)
        left = _seconds_left(quota, use)
        if quota.calls is not None and use.calls >= quota.calls:
            raise _exceeded(node, "calls", quota.calls, path)
        if left is not None and left <= 0:
            raise _exceeded(node, "seconds", quota.seconds, path)
        self.check_tokens(node, path)
        use.calls += 1
        loop = asyncio.get_running_loop()
        began = loop.time()
        timeout = asyncio.timeout(left)
        try:
            async with timeout:
                return await work()
        except TimeoutError:
            if timeout.expired():
                raise _exceeded(node, "seconds", quota.seconds, path) from None
            raise
        finally:
            use.seconds += loop.time() - began


def _seconds_left(quota: Quota, use: QuotaUse) -> float | None:
    if quota.seconds is None:
        return None
    return quota.seconds - use.seconds


def _exceeded(node: AnyNode, what: str, most: float | None, path: tuple[str, ...]) -> LimitExceeded:
    """The error that names the quota of a node. It is not a limit of a frame: whoever called the node may go on without it."""
    value = most or 0
    text = (
        f"{node.kind} {node.name!r} has used up its {what} in this run, {value:g} at most; "
        f"go on without it, or raise its Quota({what}=...)"
    )
    return LimitExceeded(what, value, path, text=text)
