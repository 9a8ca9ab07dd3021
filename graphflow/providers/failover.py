"""Several models as one: which error leads where is declared, and an event tells each switch."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any

from graphflow.errors import (
    ConnectionFailed,
    ContentFiltered,
    DeclarationError,
    ModelError,
    ModelTimeout,
    Overloaded,
    QuotaExceeded,
    RateLimited,
    Refused,
    ServerError,
    ToolUseFailed,
)
from graphflow.model.resolve import ENDPOINTS, open_model
from graphflow.model.seam import (
    Finished,
    Model,
    ModelEvent,
    Opened,
    RefusalDelta,
    Request,
    Restarted,
    Retried,
    Switched,
    UsageDelta,
)
from graphflow.providers.closing import aclosing
from graphflow.providers.retry import RetryPolicy

ON: tuple[type[ModelError], ...] = (
    RateLimited,
    QuotaExceeded,
    Overloaded,
    ServerError,
    ModelTimeout,
    ConnectionFailed,
)
"""Errors that are the provider's state and not the request's: another provider may well answer."""


LONGEST_REST_S = 3600.0
"""Seconds that a model rests at most, whatever its provider asks for."""
IMPATIENT = RetryPolicy(attempts=2, total_s=2.0)
"""How long a model is tried that another one stands behind."""


class Failover:
    """A model that asks the next one when one fails.

    A model given as a string is tried twice at most, and waited for two seconds at most, unless it is the last one; one
    that was opened by `connect` keeps its own `retry`.

    Args:
        models: models or model strings, in the order in which they are asked.
        on: errors that lead to the next model.
        route: errors that lead to a model of their own ({ContextOverflow: "google:gemini-2.5-pro"}).
        cooldown_s: seconds for which a model that failed is passed over, unless its error says how long.
        restart: whether another model begins the answer again when one broke off half way.

    Raises (from `stream`):
        ModelError: the last model's, with a note for each one before it.
    """

    def __init__(
        self,
        *models: Model | str,
        on: Sequence[type[ModelError]] | type[ModelError] = ON,
        route: Mapping[type[ModelError], Model | str] | None = None,
        cooldown_s: float = 30.0,
        restart: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        wrong = next((model for model in models if not isinstance(model, str) and not hasattr(model, "stream")), None)
        if wrong is not None:
            raise DeclarationError(f"a Failover takes models one by one, Failover(first, second), and not {wrong!r}")
        if isinstance(cooldown_s, bool) or not isinstance(cooldown_s, (int, float)) or not cooldown_s >= 0:
            raise DeclarationError(f"Failover(cooldown_s={cooldown_s!r}): give seconds")
        if isinstance(on, type):
            on = (on,)
        if not models or len(models) + len(route or {}) < 2:
            raise DeclarationError("a Failover needs at least two models")
        self.members = [_Member(model, last=position == len(models) - 1) for position, model in enumerate(models)]
        self.on = tuple(on)
        self.route = {kind: self._routed(model) for kind, model in (route or {}).items()}
        self.cooldown_s = cooldown_s
        self.restart = restart
        self.clock = clock
        self.name = f"failover({', '.join(member.name for member in self.members)})"

    def _routed(self, model: Model | str) -> _Member:
        """The member that a route leads to: one of those in line, if it is the very same."""
        same = (member for member in self.members if member.given is model or member.given == model)
        return next(same, None) or _Member(model, last=True)

    @property
    def top_logprobs(self) -> int:
        """Of how many likeliest tokens all of them tell the probability."""
        members = (*self.members, *self.route.values())
        return min(int(getattr(member.open(), "top_logprobs", 0)) for member in members)

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Those of them of which nobody will know what an answer costs."""
        members = (*self.members, *self.route.values())
        return tuple(name for member in members for name in getattr(member.open(), "unpriced", ()))

    def prepare(self) -> None:
        """Opens all models, so that a missing key is told before anything is asked."""
        for member in (*self.members, *self.route.values()):
            member.open()

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """Yields the answer of the first model that gives one."""
        now = self.clock()
        todo = [member for member in self.members if member.rests_until <= now] or list(self.members)
        for passed in self.members[: self.members.index(todo[0])]:
            if passed.why is not None:
                yield Switched(passed.name, todo[0].name, passed.why)
        failed: list[tuple[_Member, ModelError]] = []
        void = False
        while True:
            member = todo.pop(0)
            delivered = False
            try:
                async with aclosing(self._heard(member, request)) as events:
                    async for event in events:
                        if void and not isinstance(event, (Retried, Switched)):
                            void = False
                            yield Restarted()
                        delivered = delivered or not isinstance(event, (Opened, UsageDelta, Retried, Switched))
                        yield event
                return
            except ModelError as error:
                failed.append((member, error))
                void = void or delivered
                stays = delivered and not (self.restart or request.restart)
                follower = None if stays else self._follower(error, member, todo, [m for m, _ in failed])
                if follower is None:
                    for before, why in failed[:-1]:
                        error.add_note(f"before it, {before.name} failed: {type(why).__name__}: {why}")
                    raise
                yield Switched(member.name, follower.name, error)

    async def _heard(self, member: _Member, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """What a member says; a refusal is held back until it is known whether another one is asked, and is an error then."""
        refused: list[ModelEvent] = []
        async with aclosing(member.open().stream(request)) as events:
            async for event in events:
                if isinstance(event, RefusalDelta) and self._leads(Refused):
                    refused.append(event)
                    continue
                if isinstance(event, Finished):
                    if (error := self._declined(event, refused)) is not None:
                        raise error
                    for held in refused:
                        yield held
                yield event

    def _leads(self, kind: type[ModelError]) -> bool:
        """Whether an error of that kind leads to another model."""
        return any(issubclass(kind, each) for each in (*self.on, *self.route))

    def _declined(self, end: Finished, refused: list[ModelEvent]) -> ModelError | None:
        """The error of an answer that is none, where such an error leads somewhere."""
        if end.reason == "content_filter" and self._leads(ContentFiltered):
            return ContentFiltered(f"a content filter stopped the answer ({end.raw})", code=end.raw)
        if (refused or end.reason == "refusal") and self._leads(Refused):
            text = "".join(event.text for event in refused if isinstance(event, RefusalDelta))
            return Refused(text or "the model declined to answer", code=end.raw)
        if end.reason == "error" and self._leads(ToolUseFailed):
            return ToolUseFailed(f"the reply was unusable ({end.raw})", code=end.raw)
        return None

    def _follower(
        self, error: ModelError, member: _Member, todo: list[_Member], failed: list[_Member]
    ) -> _Member | None:
        """Who is asked next, and first in `todo` then; None if the error ends it. Nobody is asked twice."""
        for kind, target in self.route.items():
            if isinstance(error, kind) and target not in failed:
                if target in todo:
                    todo.remove(target)
                todo.insert(0, target)
                return target
        if not isinstance(error, self.on):
            return None
        wait = self.cooldown_s if error.retry_after is None else min(error.retry_after, LONGEST_REST_S)
        member.rests_until, member.why = self.clock() + wait, error
        return todo[0] if todo else None

    def __repr__(self) -> str:
        return f"<{self.name}>"


class _Member:
    """One model in line: opened when it is needed, and how long it rests after it has failed."""

    __slots__ = ("given", "last", "opened", "rests_until", "why")

    def __init__(self, given: Model | str, *, last: bool) -> None:
        self.given = given
        self.last = last
        self.opened: Model | None = None if isinstance(given, str) else given
        self.rests_until = 0.0
        self.why: ModelError | None = None

    @property
    def name(self) -> str:
        return self.given if isinstance(self.given, str) else self.given.name

    def open(self) -> Model:
        if self.opened is None:
            assert isinstance(self.given, str)
            impatient = not self.last and self.given.split(":", 1)[0] in ENDPOINTS
            options: dict[str, Any] = {"retry": IMPATIENT} if impatient else {}
            self.opened = open_model(self.given, **options)
        return self.opened
