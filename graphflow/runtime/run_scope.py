"""What all frames of a run have in common, and what ends with the run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary, WeakValueDictionary

from graphflow.declaration.background import Background
from graphflow.declaration.node import AnyNode
from graphflow.model.resolve import open_model
from graphflow.model.seam import Model
from graphflow.model.stand_ins import stand_in_for
from graphflow.policy import Approve
from graphflow.runtime.cache import Cache, lasting
from graphflow.runtime.past import Past
from graphflow.runtime.quotas import QuotaBook
from graphflow.runtime.run_record import RunRecord, TurnsBefore
from graphflow.runtime.sitting import Sitting
from graphflow.runtime.sources import Sources

if TYPE_CHECKING:
    from graphflow.runtime.budget_keeper import BudgetKeeper
    from graphflow.runtime.recorder import RunRecorder
    from graphflow.runtime.run_mask import RunMask

H = TypeVar("H")
GRACE_S = 5.0
"""Seconds that background calls get to end when the run does."""
Turns = WeakValueDictionary[AnyNode, asyncio.Lock]
_TURNS: WeakKeyDictionary[asyncio.AbstractEventLoop, Turns] = WeakKeyDictionary()
"""Locks of nodes that must not run twice at a time, for as long as somebody holds or awaits them."""


class RunScope:
    """The run's own: its models, background calls, servers, and answers that are kept for its time."""

    __slots__ = (
        "_quotas",
        "allowed",
        "approve",
        "backgrounds",
        "budgets",
        "cache",
        "calls",
        "holds",
        "mask",
        "model",
        "models",
        "past",
        "plain",
        "questions",
        "recorder",
        "run",
        "session",
        "sitting",
        "sources",
        "talk",
    )

    def __init__(
        self,
        run: RunRecord[Any],
        model: Model | str | None,
        session: str | None,
        approve: Approve | None,
        *,
        plain: bool,
    ) -> None:
        self.run = run
        self.model = model
        self.models: dict[str, Model] | None = None
        self.session = session
        self.approve = approve
        self.plain = plain
        """Whether straight graphs may be walked straight."""
        self.calls = 0
        self.questions = 0
        self.backgrounds: dict[str, Background] = {}
        self.holds: dict[str, Any] = {}
        self.cache: Cache | None = None
        self.sources: Sources | None = None
        self.recorder: RunRecorder | None = None
        """What keeps the record of the run; None: it lives and dies with its process."""
        self.past: Past | None = None
        """What earlier sittings of the run have left."""
        self.sitting: Sitting | None = None
        """What moves in this one; None: nothing of the run can wait for an answer from outside."""
        self._quotas: QuotaBook | None = None
        self.budgets: BudgetKeeper | None = None
        """What keeps it within its budgets; None: it has none."""
        self.mask: RunMask | None = None
        """What masks its secrets; None: it has none."""
        self.talk: TurnsBefore | None = None
        """What was said before: in its conversation, or in a history that it was given; None: nothing."""
        self.allowed: frozenset[str] = frozenset()
        """Nodes of which somebody has said that they may always be called in this run."""

    def open(self, named: str) -> Model:
        """The model of that name, opened once a run."""
        if self.models is None:
            self.models = {}
        if named not in self.models:
            self.models[named] = open_model(named)
        return self.models[named]

    def model_of(self, named: Model | str) -> Model:
        """A model, by its name or as it is, or what stands in for it."""
        stand_in = stand_in_for(named)
        if stand_in is not None:
            return stand_in
        return self.open(named) if isinstance(named, str) else named

    async def artifact(self, digest: str) -> bytes | None:
        """The bytes of an artifact of the run, or of an earlier one of its conversation; None: nobody has them."""
        content = self.run.kept.get(digest)
        if content is None and self.talk is not None:
            content = await self.talk.artifact(digest)
        return content

    def turn_of(self, node: AnyNode) -> asyncio.Lock:
        """What a node holds that must not run twice at a time, in whatever run of this event loop."""
        turns = _TURNS.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
        return turns.setdefault(node, asyncio.Lock())

    def cache_of(self, node: AnyNode) -> Cache:
        """Where a node's answers are kept: with the run, or with the process if the node says for how long."""
        if node.cache is not True:
            return lasting()
        if self.cache is None:
            self.cache = Cache()
        return self.cache

    @property
    def quotas(self) -> QuotaBook:
        """What nodes with a quota have used in the run, earlier sittings included."""
        if self._quotas is None:
            self._quotas = QuotaBook(self.run.facts)
        return self._quotas

    def hold(self, name: str, make: Callable[[], H]) -> H:
        """What nodes of this run share under that name, made once; its `close()` is awaited at the run's end."""
        if name not in self.holds:
            self.holds[name] = make()
        resource: H = self.holds[name]
        return resource

    @property
    def is_over(self) -> bool:
        """Whether the sitting has ended because nothing could move any more."""
        return self.sitting is not None and self.sitting.is_over

    @property
    def idle(self) -> bool:
        """Whether nothing has to be ended with the run."""
        return not self.backgrounds and self.sources is None and not self.holds

    async def close(self) -> None:
        """Ends background calls, then the servers that were started for the run."""
        await self._end_backgrounds()
        for resource in self.holds.values():
            await resource.close()
        if self.sources is not None:
            await self.sources.close()

    async def _end_backgrounds(self) -> None:
        tasks = []
        for background in self.backgrounds.values():
            task = background.task
            if task is None or task.done():
                continue
            # Cancelled with its run, a call has been cancelled; cut off because the run has ended, it has failed.
            if not self.run._cancelled:
                background.note_cut_off()
            task.cancel()
            tasks.append(task)
        if tasks:
            await asyncio.wait(tasks, timeout=GRACE_S)
        for background in self.backgrounds.values():
            task = background.task
            if task is not None and task.done() and not task.cancelled():
                task.exception()  # told by its event; asyncio need not complain that nobody asked
