"""Several models as one: which error leads where is declared, and an event tells each switch."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any

from graphflow.compaction.room import readers_of, window_of
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
from graphflow.model.provider_names import ENDPOINTS
from graphflow.model.resolve import open_model
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
from graphflow.providers.retry import RetryPolicy
from graphflow.providers.streams import aclosing

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
        _check_options(models, route or {}, cooldown_s)
        self.members = [_Member(model, last=False) for model in models]
        self.members[-1].last = True
        self.on = (on,) if isinstance(on, type) else tuple(on)
        self.route = {kind: self._member_for(model) for kind, model in (route or {}).items()}
        self.cooldown_s = cooldown_s
        self.restart = restart
        self.clock = clock
        names = ", ".join(member.name for member in self.members)
        self.name = f"failover({names})"

    def _member_for(self, model: Model | str) -> _Member:
        """The member that a route leads to: one of those in line, if it is the very same."""
        for member in self.members:
            if member.given is model or member.given == model:
                return member
        return _Member(model, last=True)

    @property
    def _everyone(self) -> tuple[_Member, ...]:
        return (*self.members, *self.route.values())

    @property
    def top_logprobs(self) -> int:
        """Of how many likeliest tokens all of them tell the probability."""
        counts = [getattr(member.open(), "top_logprobs", 0) for member in self._everyone]
        return min(map(int, counts))

    @property
    def context_window(self) -> int | None:
        """Tokens that the one with the smallest window reads; None if that of none is known."""
        windows = [window_of(member.open()) for member in self.members]
        known = [window for window in windows if window is not None]
        return min(known, default=None)

    @property
    def readers(self) -> Sequence[str]:
        """All of them, as turns name them."""
        names: list[str] = []
        for member in self._everyone:
            names += readers_of(member.open())
        return names

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Those of them of which nobody will know what an answer costs."""
        names: list[str] = []
        for member in self._everyone:
            names += getattr(member.open(), "unpriced", ())
        return tuple(names)

    def prepare(self) -> None:
        """Opens all models, so that a missing key is reported before anything is asked."""
        for member in self._everyone:
            member.open()

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """Yields the answer of the first model that gives one."""
        queue = self._queue()
        for passed, error in self._passed_over(queue[0]):
            yield Switched(passed.name, queue[0].name, error)
        failed: list[tuple[_Member, ModelError]] = []
        # Whether a model that failed has delivered something, which the next one begins again.
        is_void = False
        while True:
            member = queue.pop(0)
            delivered = False
            try:
                async with aclosing(self._answer(member, request)) as events:
                    async for event in events:
                        # A listener that has seen pieces of an earlier model hears that they are void before the next one's first piece.
                        if is_void and not isinstance(event, (Retried, Switched)):
                            is_void = False
                            yield Restarted()
                        delivered = delivered or not isinstance(
                            event, (Opened, UsageDelta, Retried, Switched)
                        )
                        yield event
                return
            except ModelError as error:
                failed.append((member, error))
                is_void = is_void or delivered
                may_go_on = self.restart or request.restart or not delivered
                follower = self._follower(error, failed, queue) if may_go_on else None
                if follower is None:
                    _note_earlier(error, failed[:-1])
                    raise
                yield Switched(member.name, follower.name, error)

    def _queue(self) -> list[_Member]:
        """Who is asked, in order: those that do not rest; all of them where all rest."""
        now = self.clock()
        ready = [member for member in self.members if member.rests_until <= now]
        return ready or list(self.members)

    def _passed_over(self, first: _Member) -> list[tuple[_Member, ModelError]]:
        """The members before the first that is asked, each with the error for which it rests."""
        before = self.members[: self.members.index(first)]
        return [(member, member.error) for member in before if member.error is not None]

    async def _answer(self, member: _Member, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """What a member says; a refusal is held back until it is known whether another one is asked, and is an error then."""
        refusal: list[RefusalDelta] = []
        async with aclosing(member.open().stream(request)) as events:
            async for event in events:
                if isinstance(event, RefusalDelta) and self._leads(Refused):
                    refusal.append(event)
                    continue
                if isinstance(event, Finished):
                    error = self._error_of(event, refusal)
                    if error is not None:
                        raise error
                    for piece in refusal:
                        yield piece
                yield event

    def _leads(self, kind: type[ModelError]) -> bool:
        """Whether an error of that kind leads to another model."""
        return issubclass(kind, self.on) or issubclass(kind, tuple(self.route))

    def _error_of(self, end: Finished, refusal: list[RefusalDelta]) -> ModelError | None:
        """The error that an answer amounts to, where such an error leads to another model."""
        raw = end.raw
        if end.reason == "content_filter" and self._leads(ContentFiltered):
            return ContentFiltered(
                f"a content filter stopped the answer ({raw})", provider_code=raw
            )
        is_refusal = bool(refusal) or end.reason == "refusal"
        if is_refusal and self._leads(Refused):
            text = "".join(piece.text for piece in refusal)
            return Refused(text or "the model declined to answer", provider_code=raw)
        if end.reason == "error" and self._leads(ToolUseFailed):
            return ToolUseFailed(f"the reply was unusable ({raw})", provider_code=raw)
        return None

    def _follower(
        self, error: ModelError, failed: list[tuple[_Member, ModelError]], queue: list[_Member]
    ) -> _Member | None:
        """Who is asked next, and first in the queue then; None if the error ends it. Nobody is asked twice."""
        asked = [member for member, _ in failed]
        # A route goes before the line: it was declared for this very kind of error.
        for kind, target in self.route.items():
            if isinstance(error, kind) and target not in asked:
                if target in queue:
                    queue.remove(target)
                queue.insert(0, target)
                return target
        if not isinstance(error, self.on):
            return None
        rest_s = self.cooldown_s
        if error.retry_after is not None:
            rest_s = min(error.retry_after, LONGEST_REST_S)
        asked[-1].rest(self.clock() + rest_s, error)
        return queue[0] if queue else None

    def __repr__(self) -> str:
        return f"<{self.name}>"


class _Member:
    """One model in line: opened when it is needed, and how long it rests after it has failed."""

    __slots__ = ("error", "given", "last", "model", "rests_until")

    def __init__(self, given: Model | str, *, last: bool) -> None:
        self.given = given
        self.last = last
        self.model: Model | None = None if isinstance(given, str) else given
        self.rests_until = 0.0
        self.error: ModelError | None = None
        """Why it rests."""

    @property
    def name(self) -> str:
        return self.given if isinstance(self.given, str) else self.given.name

    def open(self) -> Model:
        if self.model is None:
            assert isinstance(self.given, str)
            provider = self.given.partition(":")[0]
            is_impatient = not self.last and provider in ENDPOINTS
            options: dict[str, Any] = {"retry": IMPATIENT} if is_impatient else {}
            self.model = open_model(self.given, **options)
        return self.model

    def rest(self, until: float, error: ModelError) -> None:
        self.rests_until = until
        self.error = error


def _note_earlier(error: ModelError, failed: list[tuple[_Member, ModelError]]) -> None:
    """Adds to the last error what went wrong before it: it alone is raised."""
    for member, earlier in failed:
        kind = type(earlier).__name__
        error.add_note(f"before it, {member.name} failed: {kind}: {earlier}")


def _check_options(
    models: Sequence[Model | str], route: Mapping[type[ModelError], Model | str], cooldown_s: float
) -> None:
    for model in models:
        if not isinstance(model, str) and not hasattr(model, "stream"):
            raise DeclarationError(
                f"a Failover takes models one by one, Failover(first, second), and not {model!r}"
            )
    is_number = isinstance(cooldown_s, (int, float)) and not isinstance(cooldown_s, bool)
    if not is_number or not cooldown_s >= 0:  # NaN is not at least 0
        raise DeclarationError(
            f"Failover(cooldown_s={cooldown_s!r}) must be a number of seconds, at least 0"
        )
    count = len(models) + len(route)
    if not models or count < 2:
        raise DeclarationError("a Failover needs at least two models")
