"""Budgets: what runs may spend together on models, in whatever processes, counted in the store that keeps them.

    Budget(per="day", usd=5)                          all runs of a store, each day
    Budget(per=("user", "day"), tokens=200_000)       each user, each day
    Budget(per="conversation", usd=0.50)              each conversation, as long as it lasts

Rules:
1. A budget has an account for each of what it is per: for each day, for each user on each day. Budgets that are per the same
   share its accounts, so one that is raised goes on counting.
2. Days are those of UTC: all processes have to agree when one ends.
3. A run that is in no conversation is a conversation of its own. A run that names no user cannot have a budget per user.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Literal, get_args

from graphflow.errors import DeclarationError
from graphflow.keywords import strict_keywords

BudgetScope = Literal["graph", "conversation", "user", "day"]
"""What a budget is per."""
SCOPES: tuple[BudgetScope, ...] = get_args(BudgetScope)
BudgetUnit = Literal["tokens", "usd"]
BudgetData = dict[str, str | float | list[BudgetScope]]
"""A budget as a store keeps it."""
NANO = 1_000_000_000
"""Parts of a dollar that are counted: sums of whole numbers are exact, in whatever order they are made."""
MAX_ACCOUNT = 400
"""Characters of the name of an account; a longer one is known by its digest."""


@strict_keywords
@dataclass(frozen=True, slots=True)
class Budget:
    """What runs may spend together.

    Attributes:
        per: what each account of it is for: "day", "graph", "conversation", "user", or several of these.
        tokens: input plus output tokens of all models; None: they are not limited.
        usd: US dollars; None: they are not limited.
        name: what it is called in errors and events; default: what it is per.
        unpriced: what an answer of unknown cost does where `usd` is limited: "end" (default) ends the run, "tell" is an
            event, `cost.unknown`, and counts tokens alone. A model that is known to have no price is not asked with "end".

    Raises:
        DeclarationError: it limits nothing, or a value cannot be.
    """

    per: BudgetScope | Sequence[BudgetScope]
    tokens: int | None = None
    usd: float | None = None
    name: str = ""
    unpriced: Literal["end", "tell"] = "end"

    def __post_init__(self) -> None:
        ordered = _ordered(self.per)
        # What limits nothing is a slip: whoever wrote it believes to be protected.
        if self.tokens is None and self.usd is None:
            raise DeclarationError(f"Budget(per={self.per!r}): give tokens=, usd=, or both")
        _check_amount("tokens", self.tokens, (int,))
        _check_amount("usd", self.usd, (int, float))
        if self.unpriced not in ("end", "tell"):
            raise DeclarationError(f"Budget(unpriced={self.unpriced!r}): give 'end' or 'tell'")
        if not isinstance(self.name, str):
            raise DeclarationError(f"Budget(name={self.name!r}): give a text")
        # However they were given: what they name is the same.
        object.__setattr__(self, "per", ordered)
        if not self.name:
            listed = " and ".join(ordered)
            object.__setattr__(self, "name", f"per {listed}")

    @property
    def scopes(self) -> tuple[BudgetScope, ...]:
        """What it is per, in a fixed order."""
        return tuple(self.per)  # type: ignore[arg-type]  # no text any more, but a tuple

    def limit(self, unit: BudgetUnit) -> int | None:
        """How much of a unit it allows: tokens, or billionths of a dollar; None: it does not limit that."""
        if unit == "tokens":
            return self.tokens
        # Whole numbers, as an account has them: a sum of floats may miss a limit by a hair.
        if self.usd is None:
            return None
        return nanodollars(self.usd)

    def data(self) -> BudgetData:
        """It as plain data: `budget_from` reads that."""
        stated: BudgetData = {
            "per": list(self.scopes),
            "name": self.name,
            "unpriced": self.unpriced,
        }
        if self.tokens is not None:
            stated["tokens"] = self.tokens
        if self.usd is not None:
            stated["usd"] = self.usd
        return stated


@dataclass(frozen=True, slots=True)
class Spender:
    """For whom a run spends.

    Attributes:
        graph: the name of its graph.
        conversation: the key of its conversation, or its own id.
        user: whom it serves; None: nobody has said.
    """

    graph: str
    conversation: str
    user: str | None


@dataclass(frozen=True, slots=True)
class BudgetAccount:
    """Where a store counts what was spent.

    Attributes:
        name: what the store knows it by.
        resets_at: when another one takes its place, in seconds since 1970; None: never.
    """

    name: str
    resets_at: float | None

    @property
    def until(self) -> float:
        """The same as stores keep it: 0 is never."""
        return self.resets_at or 0.0


def account_of(budget: Budget, spender: Spender, now: float) -> BudgetAccount:
    """The account that a budget has for a spender.

    Args:
        now: seconds since 1970.
    """
    parts: list[list[str]] = []
    resets_at: float | None = None
    for scope in budget.scopes:
        match scope:
            case "day":
                today = datetime.fromtimestamp(now, UTC).date()
                parts.append([scope, today.isoformat()])
                resets_at = _end_of(today)
            case "graph":
                parts.append([scope, spender.graph])
            case "conversation":
                # Two graphs may call theirs alike.
                parts.append([scope, spender.graph, spender.conversation])
            case _:
                user = spender.user or ""
                parts.append([scope, user])
    return BudgetAccount(_name_of(parts), resets_at)


def _end_of(day: date) -> float:
    """When a day ends, in seconds since 1970."""
    # By the calendar and not by adding seconds: a day of UTC may have a second more.
    midnight = datetime.min.time()
    tomorrow = day + timedelta(days=1)
    end = datetime.combine(tomorrow, midnight, UTC)
    return end.timestamp()


def _name_of(parts: Sequence[Sequence[str]]) -> str:
    name = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    if len(name) <= MAX_ACCOUNT:
        return name
    # An index of PostgreSQL takes no more than about 2,700 bytes.
    content = name.encode(errors="surrogatepass")
    return sha256(content).hexdigest()


def check_spender(budgets: Sequence[Budget], user: str | None, whose: str) -> None:
    """Refuses a run that names no user, where a budget is per user: it would spend without being counted.

    Raises:
        DeclarationError: it does.
    """
    for budget in budgets:
        # An account of nobody would be shared by all who forget to say who they are.
        if "user" in budget.scopes and user is None:
            raise DeclarationError(
                f"{whose}: budget {budget.name!r} is per user, and the run names none; give user=... (`--user NAME`)"
            )


def nanodollars(usd: float) -> int:
    """Billionths of a dollar."""
    return round(usd * NANO)


def budget_from(data: object) -> Budget:
    """A budget that was plain data.

    Raises:
        DeclarationError: it is none.
    """
    # A header may have been written by hand, or by a later version.
    if not isinstance(data, dict):
        raise DeclarationError(f"{data!r} is not a budget; give Budget(per=..., usd=...)")
    return Budget(**data)


def _ordered(per: object) -> tuple[BudgetScope, ...]:
    """What a budget is per, in a fixed order.

    Raises:
        DeclarationError: it is nothing, or something else.
    """
    given = (per,) if isinstance(per, str) else per
    if not isinstance(given, (list, tuple)) or not given:
        raise DeclarationError(f"Budget(per={per!r}): say what it is per, such as 'day'")
    for scope in given:
        if scope not in SCOPES:
            known = ", ".join(map(repr, SCOPES))
            raise DeclarationError(f"Budget(per={per!r}): it is one of {known}, or several")
    return tuple(scope for scope in SCOPES if scope in given)


def _check_amount(name: str, value: object, kinds: tuple[type, ...]) -> None:
    if value is None or _is_amount(value, kinds):
        return
    words = "a number"
    if kinds == (int,):
        words = "a whole number"
    raise DeclarationError(f"Budget({name}={value!r}): give {words} of at least 0, or leave it out")


def _is_amount(value: object, kinds: tuple[type, ...]) -> bool:
    # True is a number to Python, and NaN is not an amount.
    if isinstance(value, bool) or not isinstance(value, kinds):
        return False
    return bool(value >= 0)  # type: ignore[operator]  # a number
