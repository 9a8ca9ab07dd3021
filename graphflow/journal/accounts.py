"""Accounts: how a store counts what runs spend, so that all processes together keep to a budget.

    charge    all that it adds fits under the ceilings: all of it is added; else nothing is, and the balances say why

A charge without ceilings is always added; what it adds may be negative, to take back what was held.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AccountCharge:
    """What is to be added to an account.

    Attributes:
        account: its name.
        tokens: so many.
        nanodollars: so many billionths of a US dollar.
        most_tokens: what it may hold afterwards; one that holds as much already takes nothing more. None: whatever.
        most_nanodollars: the same of dollars.
        until: when the account is over, in seconds since 1970; 0: never. What is over may be removed.
    """

    account: str
    tokens: int = 0
    nanodollars: int = 0
    most_tokens: int | None = None
    most_nanodollars: int | None = None
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class AccountBalance:
    """What an account holds.

    Attributes:
        account: its name.
        tokens: so many.
        nanodollars: so many billionths of a US dollar.
        until: when it is over, in seconds since 1970; 0: never.
    """

    account: str
    tokens: int = 0
    nanodollars: int = 0
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class ChargeOutcome:
    """What came of charges.

    Attributes:
        is_done: whether all of them were added; else none was.
        balances: what the accounts hold now, in the order of the charges.
    """

    is_done: bool
    balances: tuple[AccountBalance, ...]

    @property
    def by_account(self) -> dict[str, AccountBalance]:
        """The balances by the names of their accounts."""
        return {balance.account: balance for balance in self.balances}


def outcome_of(
    charges: Sequence[AccountCharge], known: Mapping[str, AccountBalance]
) -> ChargeOutcome:
    """What comes of charges, where accounts hold what is known; of others nothing is known, and they hold nothing."""
    before: list[AccountBalance] = []
    after: list[AccountBalance] = []
    fits = True
    for charge in charges:
        balance = known.get(charge.account, AccountBalance(charge.account, until=charge.until))
        before.append(balance)
        tokens = balance.tokens + charge.tokens
        nanodollars = balance.nanodollars + charge.nanodollars
        after.append(AccountBalance(charge.account, tokens, nanodollars, balance.until))
        if not _fits(balance.tokens, tokens, charge.most_tokens):
            fits = False
        if not _fits(balance.nanodollars, nanodollars, charge.most_nanodollars):
            fits = False
    return ChargeOutcome(fits, tuple(after if fits else before))


def _fits(balance: int, would_hold: int, most: int | None) -> bool:
    return most is None or (balance < most and would_hold <= most)
