"""Limits of a walk, what has been used of them, and the one place where they are enforced.

Rules:
1. Every frame has a ledger; what a frame uses counts for all its ancestors, so what is left of a parent's limits is its
   child's ceiling without anybody handing numbers down.
2. `charge` refuses *before* the work for what can be counted ahead (steps, calls, depth), and after it for what a
   model only tells afterwards (tokens, usd); then the next charge is refused.
3. Nobody else compares a number with a limit.
4. Time is looked at wherever something is charged: a timer of the event loop comes too late for what blocks the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, fields
from math import inf
from typing import Any, Literal, Protocol, get_args

from graphflow.display import Displayed
from graphflow.errors import DeclarationError, DepthExceeded, LimitExceeded
from graphflow.keywords import strict_keywords

Meter = Literal[
    "steps",
    "tool_calls",
    "model_calls",
    "tokens",
    "input_tokens",
    "output_tokens",
    "usd",
    "output_bytes",
]
METERS: tuple[Meter, ...] = get_args(Meter)
SPENT: tuple[Meter, ...] = ("tokens", "input_tokens", "output_tokens", "usd")
"""What an answer of a model uses, and tells of only afterwards."""

DEFAULT_DEPTH = 5
"""Levels of sub-agents below the outermost walk when nobody says otherwise: five, as voxagent promised its users."""
DEFAULT_LAPS = 100
"""Laps of a cycle whose edges have no limit of their own: what Haystack and Agent Framework chose, too."""
WARN_AT = 0.8
"""Share of a limit at which `limit.warning` is emitted, once."""


@strict_keywords
@dataclass(frozen=True, slots=True)
class Limits:
    """What a walk may use. `None` means not stated here; where several limits apply, the tightest wins.

    Attributes:
        depth: nested frames below this one (0 = no sub-agent or graph may be entered). Default 5.
        steps: activations of nodes, calls included.
        laps: rounds of a cycle that has no `.limit(n)` of its own. Default 100.
        tokens: input plus output tokens of all models.
        input_tokens: those that models read, whatever their cache had of them; a question that is longer than what is left of
            them, by the least that its text can be, is refused before it is asked.
        output_tokens: those that models wrote, reasoning included. Counted after each answer: the last may overshoot, by
            `max_tokens` of its agent at most.
        usd: cost. Counted after each answer, as tokens are: the last may overshoot. A run is refused where a model is known
            to have no price (`PriceUnknown`); an answer that does not tell its cost counts nothing, and that is said.
        seconds: wall clock, from when the walk begins; what blocks the event loop is stopped as soon as it gives way.
        tool_calls: calls of tools along call edges.
        model_calls: requests to models.
        concurrency: activations of one frame that run at the same time.
        output_bytes: bytes of what calls answer, as texts or JSON; the answer that would be more is not handed on.
        unpriced: what an answer of unknown cost does where `usd` is limited: "tell" (default) is an event, `cost.unknown`;
            "end" ends the walk as well.
    """

    depth: int | None = None
    steps: int | None = None
    laps: int | None = None
    tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    usd: float | None = None
    seconds: float | None = None
    tool_calls: int | None = None
    model_calls: int | None = None
    concurrency: int | None = None
    output_bytes: int | None = None
    unpriced: Literal["tell", "end"] | None = None

    def __post_init__(self) -> None:
        if self.unpriced not in (None, "tell", "end"):
            raise DeclarationError(
                f"Limits(unpriced={self.unpriced!r}): give 'tell' or 'end', or leave it out"
            )
        for field in fields(self)[:-1]:
            name, value = field.name, getattr(self, field.name)
            # No lap and nobody at work would be a walk that cannot move; none of the others is a fair limit.
            floor = 1 if name in ("laps", "concurrency") else 0
            if value is not None and not _is_number_from(floor, value):
                raise DeclarationError(
                    f"Limits({name}={value!r}): give a number of at least {floor}, or leave it out"
                )

    def tightest(self, other: Limits | None) -> Limits:
        """Both limits at once: for each field the smaller of the two that are stated."""
        if other is None:
            return self
        merged: dict[str, float | str] = {}
        for name, value in (*self._stated(), *other._stated()):
            # Of texts, too: "end" is tighter than "tell", and comes before it.
            merged[name] = min(merged[name], value) if name in merged else value
        return Limits(**merged)  # type: ignore[arg-type]  # ints stay ints: min() returns one of its arguments

    def _stated(self) -> list[tuple[str, Any]]:
        """The limits that are stated here."""
        stated: list[tuple[str, Any]] = []
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None:
                stated.append((field.name, value))
        return stated

    def __repr__(self) -> str:
        stated = ", ".join(f"{name}={value!r}" for name, value in self._stated())
        return f"Limits({stated})"


@strict_keywords
@dataclass(frozen=True, slots=True)
class Quota:
    """What a node may use in one run, wherever in it the node stands. None = as much as it takes.

    Attributes:
        calls: how often it may be called or activated; further attempts (`retry=`) and cached answers do not count.
        seconds: how long it may be at work in all, in seconds; what is under way when they are over is stopped.
        tokens: input plus output tokens of the models that it asks itself. Counted after each answer, so the last may overshoot.
    """

    calls: int | None = None
    seconds: float | None = None
    tokens: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None:
                continue
            is_whole = isinstance(value, int) or field.name == "seconds"
            if not is_whole or not _is_number_from(0, value):
                raise DeclarationError(
                    f"Quota({field.name}={value!r}): give a number of at least 0, or leave it out"
                )


def _is_number_from(floor: int, value: object) -> bool:
    """Whether a value is a number of at least so much. NaN is not, and neither is True."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return value >= floor


UNLIMITED = Limits()


@dataclass(slots=True, repr=False)
class Usage(Displayed):
    """What a run has used: counts, tokens, and cost where every price was known (else None).

    Attributes:
        steps: activations of nodes, calls included.
        tool_calls: calls of tools.
        model_calls: requests to models.
        input_tokens: tokens the models read.
        output_tokens: tokens the models wrote.
        usd: cost in US dollars, or None if any call's price is unknown.
        seconds: wall clock from start to end.
        cache_read_tokens: of the input, what came from a prompt cache.
        cache_write_tokens: of the input, what was written to a prompt cache.
        reasoning_tokens: of the output, what was reasoning.
    """

    steps: int = 0
    tool_calls: int = 0
    model_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = None
    seconds: float = 0.0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0

    def __repr__(self) -> str:
        """What was used at all; seconds and dollars rounded."""
        shown: list[str] = []
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "seconds":
                value = round(value, 3)
            elif field.name == "usd" and value is not None:
                value = round(value, 6)
            # Dollars always: None says that nobody knows what it cost, and 0.0 that it cost nothing.
            if value or field.name == "usd":
                shown.append(f"{field.name}={value}")
        return f"Usage({', '.join(shown)})"

    @property
    def tokens(self) -> int:
        """Input plus output tokens."""
        return self.input_tokens + self.output_tokens

    def count(self, reply: Answered) -> None:
        """Counts one answer of a model."""
        self.model_calls += 1
        self.input_tokens += reply.input_tokens
        self.output_tokens += reply.output_tokens
        self.cache_read_tokens += reply.cache_read_tokens or 0
        self.cache_write_tokens += reply.cache_write_tokens or 0
        self.reasoning_tokens += reply.reasoning_tokens or 0
        # One answer of unknown price makes the sum unknown, and it stays so.
        if self.usd is None or reply.usd is None:
            self.usd = None
        else:
            self.usd += reply.usd


class Answered(Protocol):
    """What a ledger asks of an answer: `Reply`, and the event that tells of one."""

    @property
    def input_tokens(self) -> int: ...
    @property
    def output_tokens(self) -> int: ...
    @property
    def usd(self) -> float | None: ...
    @property
    def cache_read_tokens(self) -> int | None: ...
    @property
    def cache_write_tokens(self) -> int | None: ...
    @property
    def reasoning_tokens(self) -> int | None: ...


class Ledger:
    """What one frame has used, under which limits, and under whose ledger."""

    # What begins alike for all of them stands here: each run has a ledger, and most count next to nothing.
    deadline: float | None = None
    """When `seconds` are over, by the event loop's clock; set when the frame is walked."""
    tool_calls = 0
    model_calls = 0
    input_tokens = 0
    output_tokens = 0
    tokens = 0
    cache_read_tokens = 0
    cache_write_tokens = 0
    reasoning_tokens = 0
    output_bytes = 0
    usd: float = 0.0
    """Dollars of the answers whose price is known."""
    unpriced: bool = False
    """Whether there were others."""
    warned: set[str] | None = None
    """What has been told once already."""

    def __init__(
        self,
        path: tuple[str, ...],
        limits: Limits,
        parent: Ledger | None = None,
        on_warning: Callable[[Ledger, str, float], None] | None = None,
    ) -> None:
        self.path = path
        self.limits = limits
        self.parent = parent
        self.on_warning = on_warning
        self.timed: bool = parent is not None and parent.timed
        """Whether there is a deadline here or above: else nobody asks the clock."""
        self.steps = 0
        self.limits_steps = limits.steps is not None
        """Whether steps are limited here or above: else they are only counted."""
        self.limits_output = limits.output_bytes is not None
        """The same for bytes of answers: else they are not even counted."""
        if parent is None:
            self.depth = 0
            """Frames around this one."""
            self.ceiling = DEFAULT_DEPTH if limits.depth is None else limits.depth
            """The depth that nothing below may exceed: a child's own limit can only lower it."""
            return
        self.depth = parent.depth + 1
        self.ceiling = parent.ceiling
        if limits.depth is not None:
            self.ceiling = min(parent.ceiling, self.depth + limits.depth)
        self.limits_steps = self.limits_steps or parent.limits_steps
        self.limits_output = self.limits_output or parent.limits_output

    def __deepcopy__(self, memo: object) -> Ledger:
        """Itself: an error that is copied still tells whose limit it was."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """What was used; in another process there is no frame whose limit it could be."""
        counted = {name: getattr(self, name) for name in _COUNTED}
        return _alone, (self.path, self.limits, counted)

    @property
    def at_depth_limit(self) -> bool:
        """Whether no frame may be entered below this one."""
        return self.depth >= self.ceiling

    def check_depth(self, name: str) -> None:
        """Raises `DepthExceeded` if a frame of that name may not be entered below this one."""
        if self.depth >= self.ceiling:
            raise DepthExceeded((*self.path, name), self.ceiling)

    def enter(self, name: str, limits: Limits | None) -> Ledger:
        """The ledger of a child frame, or `DepthExceeded` before the child exists."""
        self.check_depth(name)
        path = (*self.path, name)
        return Ledger(path, limits or UNLIMITED, self, self.on_warning)

    def begin(self, seconds: float) -> float:
        """Sets the deadline of this ledger's frame, which is walked from now on; returns it."""
        now = asyncio.get_running_loop().time()
        self.deadline = now + seconds
        self.timed = True
        return self.deadline

    def check_time(self) -> None:
        """Raises `LimitExceeded` if time is over, here or above, for the outermost deadline that has passed."""
        if not self.timed:
            return
        # The outermost: an inner frame whose time is over may be mended by those around it, and must not hide that theirs
        # is over, too.
        now = asyncio.get_running_loop().time()
        late: Ledger | None = None
        book: Ledger | None = self
        while book is not None:
            if book.deadline is not None and now >= book.deadline:
                late = book
            book = book.parent
        if late is not None:
            raise late.exceeded("seconds")

    def charge(self, meter: Meter, amount: float = 1) -> None:
        """Counts `amount` here and in every ancestor, or raises `LimitExceeded` for the outermost limit it would break.

        Nothing is charged when time is over.
        """
        if self.timed:
            self.check_time()
        if self.parent is None and getattr(self.limits, meter) is None:  # nothing to look at
            setattr(self, meter, getattr(self, meter) + amount)
            return
        # Looked at in all books first and counted in them afterwards, so that what is refused is counted nowhere.
        book: Ledger | None = self
        broken: Ledger | None = None
        while book is not None:
            limit = getattr(book.limits, meter)
            if limit is not None and getattr(book, meter) + amount > limit:
                broken = book
            book = book.parent
        if broken is not None:
            raise broken.exceeded(meter)
        self.add(meter, amount)

    def count_steps(self, amount: int = 1) -> None:
        """Counts steps where neither steps nor seconds are limited, here or above."""
        book: Ledger | None = self
        while book is not None:
            book.steps += amount
            book = book.parent

    def add(self, meter: Meter, amount: float) -> None:
        """Counts what has already happened; never refuses."""
        book: Ledger | None = self
        while book is not None:
            used = getattr(book, meter) + amount
            setattr(book, meter, used)
            limit = getattr(book.limits, meter)
            if limit is not None and used >= WARN_AT * limit:
                book.warn(meter, used)
            book = book.parent

    def add_model_call(self, reply: Answered) -> None:
        """Counts one answer of a model, here and in every ancestor."""
        book: Ledger | None = self
        while book is not None:
            book.cache_read_tokens += reply.cache_read_tokens or 0
            book.cache_write_tokens += reply.cache_write_tokens or 0
            book.reasoning_tokens += reply.reasoning_tokens or 0
            if reply.usd is None:
                book.unpriced = True
            book = book.parent
        self.add("input_tokens", reply.input_tokens)
        self.add("output_tokens", reply.output_tokens)
        self.add("tokens", reply.input_tokens + reply.output_tokens)
        if reply.usd is not None:
            self.add("usd", reply.usd)

    def limiting(self, meter: Meter) -> list[Ledger]:
        """This ledger and its ancestors, as far as they limit that meter; the innermost first."""
        found: list[Ledger] = []
        book: Ledger | None = self
        while book is not None:
            if getattr(book.limits, meter) is not None:
                found.append(book)
            book = book.parent
        return found

    def check_spent(self) -> None:
        """Raises if tokens, of whatever kind, or usd are used up here or above: nothing more may be asked of a model."""
        book: Ledger | None = self
        while book is not None:
            for meter in SPENT:
                limit = getattr(book.limits, meter)
                if limit is not None and getattr(book, meter) >= limit:
                    raise book.exceeded(meter)
            book = book.parent

    def check_input(self, least: int) -> None:
        """Raises if a question of so many tokens at least is more than what is left of `input_tokens`, here or above."""
        broken: Ledger | None = None
        for book in self.limiting("input_tokens"):
            limit = book.limits.input_tokens
            if limit is not None and book.input_tokens + least > limit:
                broken = book
        if broken is not None:
            used = broken.input_tokens
            detail = f"{used:,} are used, and the next question has {least:,} at least"
            raise broken.exceeded("input_tokens", detail)

    def first_deadline(self) -> Ledger | None:
        """Of this ledger and its ancestors the one whose time is over first."""
        first: Ledger | None = None
        earliest = inf
        book: Ledger | None = self
        while book is not None:
            if book.deadline is not None and book.deadline < earliest:
                first, earliest = book, book.deadline
            book = book.parent
        return first

    def metered(self, meter: Meter) -> bool:
        """Whether this ledger or an ancestor limits that meter."""
        book: Ledger | None = self
        while book is not None:
            if getattr(book.limits, meter) is not None:
                return True
            book = book.parent
        return False

    def left(self) -> Limits:
        """What is left of the limits, ancestors' included: what `ctx.limits` shows."""
        left = Limits(
            depth=self.ceiling - self.depth,
            laps=self.limits.laps,
            concurrency=self.limits.concurrency,
            unpriced=self.limits.unpriced,
        )
        first = self.first_deadline()
        if first is not None and first.deadline is not None:
            now = asyncio.get_running_loop().time()
            seconds = max(0.0, first.deadline - now)
            left = left.tightest(Limits(seconds=seconds))
        book: Ledger | None = self
        while book is not None:
            left = left.tightest(book._own_left())
            book = book.parent
        return left

    def _own_left(self) -> Limits:
        """What is left of what this very ledger limits and counts."""
        left: dict[str, Any] = {}
        for meter in METERS:
            limit = getattr(self.limits, meter)
            if limit is not None:
                left[meter] = max(0, limit - getattr(self, meter))
        return Limits(**left)

    def exceeded(self, limit: str, detail: str = "") -> LimitExceeded:
        """The error that names this ledger's limit."""
        value = getattr(self.limits, limit) or 0
        error = LimitExceeded(limit, value, self.path, detail)
        error.ledger = self
        return error

    def warn(self, meter: str, used: float) -> None:
        """Warns, once, that a limit is nearly used up."""
        if self.warned is None:
            self.warned = set()
        if meter not in self.warned and self.on_warning is not None:
            self.warned.add(meter)
            self.on_warning(self, meter, used)

    def first_time(self, what: str) -> bool:
        """Whether something is to be told of this ledger for the first time."""
        if self.warned is None:
            self.warned = set()
        is_new = what not in self.warned
        self.warned.add(what)
        return is_new

    def contains(self, other: object) -> bool:
        """Whether `other` is this ledger or one of its ancestors: its limit ends this frame, too."""
        book: Ledger | None = self
        while book is not None:
            if book is other:
                return True
            book = book.parent
        return False

    def usage(self, seconds: float = 0.0) -> Usage:
        """What has been used, as a plain value."""
        return Usage(
            steps=self.steps,
            tool_calls=self.tool_calls,
            model_calls=self.model_calls,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            usd=None if self.unpriced else self.usd,
            seconds=seconds,
            cache_read_tokens=self.cache_read_tokens,
            cache_write_tokens=self.cache_write_tokens,
            reasoning_tokens=self.reasoning_tokens,
        )


_COUNTED = (
    *METERS,
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "unpriced",
)


def _alone(path: tuple[str, ...], limits: Limits, counted: dict[str, Any]) -> Ledger:
    """A ledger as another process knows it: what was used, under nobody."""
    book = Ledger(path, limits)
    for name, value in counted.items():
        setattr(book, name, value)
    return book


def tightest(*all_limits: Limits | None) -> Limits:
    """All stated limits at once."""
    merged = UNLIMITED
    for limits in all_limits:
        if limits is not None:
            merged = limits if merged is UNLIMITED else merged.tightest(limits)
    return merged
