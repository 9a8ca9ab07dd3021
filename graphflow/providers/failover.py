"""Several models as one: which error leads where is declared, and an event tells each switch."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from graphflow.errors import (
    ConnectionFailed,
    DeclarationError,
    ModelError,
    ModelTimeout,
    Overloaded,
    QuotaExceeded,
    RateLimited,
    ServerError,
)
from graphflow.model import Model, ModelEvent, Opened, Request, Restarted, Retried, Switched, UsageDelta
from graphflow.opening import open_model

ON: tuple[type[ModelError], ...] = (
    RateLimited,
    QuotaExceeded,
    Overloaded,
    ServerError,
    ModelTimeout,
    ConnectionFailed,
)
"""Errors that are the provider's state and not the request's: another provider may well answer."""


class Failover:
    """A model that asks the next one when one fails.

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
        on: Sequence[type[ModelError]] = ON,
        route: Mapping[type[ModelError], Model | str] | None = None,
        cooldown_s: float = 30.0,
        restart: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not models or len(models) + len(route or {}) < 2:
            raise DeclarationError("a Failover needs at least two models")
        self.models = models
        self.on = tuple(on)
        self.route = dict(route or {})
        self.cooldown_s = cooldown_s
        self.restart = restart
        self.clock = clock
        self.name = f"failover({', '.join(map(_name, models))})"
        self._opened: dict[str, Model] = {}
        self._resting: dict[str, float] = {}

    def prepare(self) -> None:
        """Opens all models, so that a missing key is told before anything is asked."""
        for model in (*self.models, *self.route.values()):
            self._open(model)

    async def stream(self, request: Request) -> AsyncIterator[ModelEvent]:
        """Yields the answer of the first model that gives one."""
        todo = self._in_order()
        failed: list[tuple[str, ModelError]] = []
        void = False
        while todo:
            model = self._open(todo.pop(0))
            delivered = False
            try:
                async for event in model.stream(request):
                    if void and not isinstance(event, (Retried, Switched)):
                        void = False
                        yield Restarted()
                    delivered = delivered or not isinstance(event, (Opened, UsageDelta, Retried, Switched))
                    yield event
                return
            except ModelError as error:
                if delivered and not self.restart:
                    raise
                void = void or delivered
                failed.append((model.name, error))
                follower = self._follower(error, model, todo)
                if follower is None:
                    for name, before in failed[:-1]:
                        error.add_note(f"before it, {name} failed: {type(before).__name__}: {before}")
                    raise
                yield Switched(model.name, _name(follower), error)

    def _in_order(self) -> list[Model | str]:
        now = self.clock()
        ready = [model for model in self.models if self._resting.get(_name(model), 0.0) <= now]
        return ready or list(self.models)

    def _follower(self, error: ModelError, failed: Model, todo: list[Model | str]) -> Model | str | None:
        """Who is asked next, and first in `todo` then; None if the error ends it."""
        for kind, target in self.route.items():
            if isinstance(error, kind) and _name(target) != failed.name:
                if _name(target) in map(_name, todo):
                    todo[:] = [model for model in todo if _name(model) != _name(target)]
                todo.insert(0, target)
                return target
        if not isinstance(error, self.on):
            return None
        wait = self.cooldown_s if error.retry_after is None else error.retry_after
        self._resting[failed.name] = self.clock() + wait
        return todo[0] if todo else None

    def _open(self, model: Model | str) -> Model:
        if not isinstance(model, str):
            return model
        if model not in self._opened:
            self._opened[model] = open_model(model)
        return self._opened[model]

    def __repr__(self) -> str:
        return f"<{self.name}>"


def _name(model: Model | str) -> str:
    return model if isinstance(model, str) else model.name
