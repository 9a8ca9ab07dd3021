"""What is said of a budget that a question does not fit into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf

from graphflow import clock
from graphflow.budgets import NANO, Budget, BudgetAccount, BudgetUnit, Spender
from graphflow.errors import BudgetExceeded
from graphflow.journal.accounts import AccountBalance
from graphflow.model.prices import price_cure


@dataclass(frozen=True, slots=True)
class BudgetBreach:
    """A budget, its account, and how much of it there is.

    Attributes:
        budget: the budget.
        account: its account.
        unit: what is looked at: tokens, or dollars.
        spent: how much of it is spent; of dollars, billionths.
        least: how much the next question costs at the least.
    """

    budget: Budget
    account: BudgetAccount
    unit: BudgetUnit
    spent: int
    least: int

    @property
    def is_real(self) -> bool:
        """Whether the question does not fit."""
        most = self.budget.limit(self.unit)
        if most is None:
            return False
        return self.spent >= most or self.spent + self.least > most

    @property
    def resets(self) -> float:
        """When its account begins anew, in seconds since 1970; infinity: never."""
        if self.account.resets_at is None:
            return inf
        return self.account.resets_at

    def error(self, spender: Spender, path: Sequence[str]) -> BudgetExceeded:
        """The error that says so.

        Args:
            spender: for whom the run spends.
            path: the name of its outermost graph.
        """
        budget = self.budget
        most = budget.limit(self.unit) or 0
        spent = _shown(self.spent, self.unit)
        value = _shown(most, self.unit)
        why = f"{spent} of {value} are spent"
        if self.spent < most:
            least = _shown(self.least, self.unit)
            why += f", and the next question costs {least} at the least"
        whom = _whom(budget, spender)
        when = _when(self.account.resets_at)
        return BudgetExceeded(
            budget.name,
            self.unit,
            in_units(most, self.unit),
            in_units(self.spent, self.unit),
            self.account.resets_at,
            path,
            text=f"budget {budget.name!r}{whom}: {why}; no model was asked. {when}",
        )


def amount_in(balance: AccountBalance, unit: BudgetUnit) -> int:
    """How much of a unit an account has; of dollars, billionths."""
    if unit == "tokens":
        return balance.tokens
    return balance.nanodollars


def in_units(amount: int, unit: BudgetUnit) -> float:
    """An amount as people count it."""
    if unit == "tokens":
        return amount
    return amount / NANO


def unpriced_text(budget: Budget, model: str, then: str) -> str:
    """What is said where nobody knows what an answer costs."""
    return (
        f"budget {budget.name!r} counts dollars, and nobody knows what an answer of {model!r} costs; {then}. "
        f"{price_cure(model)}, count tokens instead, or give the budget unpriced='tell'"
    )


def _shown(amount: int, unit: BudgetUnit) -> str:
    if unit == "tokens":
        return f"{amount:,} tokens"
    dollars = f"{amount / NANO:,.6f}"
    short = dollars.rstrip("0").rstrip(".")
    return f"{short} US dollars"


def _whom(budget: Budget, spender: Spender) -> str:
    """Whose account of a budget it is."""
    whose: list[str] = []
    for scope in budget.scopes:
        if scope != "day":
            name = getattr(spender, scope)
            whose.append(f"{scope} {name!r}")
    listed = ", ".join(whose)
    return f" of {listed}" if listed else ""


def _when(resets_at: float | None) -> str:
    if resets_at is None:
        return "It never resets: raise it, and resume the run"
    moment = datetime.fromtimestamp(resets_at, UTC)
    left_s = resets_at - clock.now()
    left = max(0, round(left_s / 60))
    hours, minutes = divmod(left, 60)
    at = f"{moment:%Y-%m-%d %H:%M} UTC"
    return f"It resets at {at}, in {hours} h {minutes} min: resume the run then, or raise it"
