"""Several models as one: which error leads where is declared, and an event tells each switch."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

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
from graphflow.opening import ENDPOINTS, open_model
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
        if isinstance(on, type):
            on = (on,)
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
        self._resting: dict[str, tuple[float, ModelError]] = {}

    def prepare(self) -> None:
        """Opens all models, so that a missing key is told before anything is asked."""
        for model in (*self.models, *self.route.values()):
            self._open(model)

    async def stream(self, request: Request) -> AsyncIterator[ModelEvent]:
        """Yields the answer of the first model that gives one."""
        todo = self._in_order()
        for model in self.models:
            if todo[0] is not model and _name(model) in self._resting and model not in todo:
                yield Switched(_name(model), _name(todo[0]), self._resting[_name(model)][1])
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
                if delivered and not (self.restart or request.restart):
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
        ready = [m for m in self.models if _name(m) not in self._resting or self._resting[_name(m)][0] <= now]
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
        self._resting[failed.name] = (self.clock() + wait, error)
        return todo[0] if todo else None

    def _open(self, model: Model | str) -> Model:
        if not isinstance(model, str):
            return model
        if model not in self._opened:
            last = model == self.models[-1]
            impatient: dict[str, Any] = (
                {} if last or ":" not in model or not _takes_retry(model) else {"retry": IMPATIENT}
            )
            self._opened[model] = open_model(model, **impatient)
        return self._opened[model]

    def __repr__(self) -> str:
        return f"<{self.name}>"


def _takes_retry(named: str) -> bool:
    return named.split(":", 1)[0] in ENDPOINTS


def _name(model: Model | str) -> str:
    return model if isinstance(model, str) else model.name
