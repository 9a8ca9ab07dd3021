"""How the budgets of a project stand: what is spent in each of their accounts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from graphflow.budgets import NANO, Budget
from graphflow.journal.accounts import AccountBalance
from graphflow.journal.store import Store


@dataclass(frozen=True, slots=True)
class BudgetStanding:
    """One account of a budget.

    Attributes:
        budget: the budget.
        account: whose it is, in words: "user anna, day 2026-01-31".
        tokens: so many are spent.
        usd: so many US dollars are.
        resets_at: when it begins anew, in seconds since 1970; None: it does not.
    """

    budget: Budget
    account: str
    tokens: int
    usd: float
    resets_at: float | None


async def standings(store: Store, budgets: Sequence[Budget]) -> list[BudgetStanding]:
    """How budgets stand, in the order in which they are declared; of each, its accounts that are not over.

    Raises:
        StoreError: the store cannot be read.
    """
    balances = await store.accounts()
    now = await store.now()
    found: list[BudgetStanding] = []
    for budget in budgets:
        for balance in balances:
            is_over = 0 < balance.until <= now
            words = _words_in(balance, budget)
            if words and not is_over:
                standing = _standing(budget, words, balance)
                found.append(standing)
    return found


def _standing(budget: Budget, words: str, balance: AccountBalance) -> BudgetStanding:
    return BudgetStanding(
        budget,
        words,
        balance.tokens,
        balance.nanodollars / NANO,
        balance.until or None,
    )


def _words_in(balance: AccountBalance, budget: Budget) -> str:
    """Whose account it is, in words; "" if it is none of this budget."""
    try:
        parts = json.loads(balance.account)
    except ValueError:
        return ""  # its name was too long, and is a digest
    scopes = tuple(scope for scope, *_ in parts)
    if scopes != budget.scopes:
        return ""
    whose: list[str] = []
    for scope, *names in parts:
        name = " > ".join(names)
        whose.append(f"{scope} {name}")
    return ", ".join(whose)
