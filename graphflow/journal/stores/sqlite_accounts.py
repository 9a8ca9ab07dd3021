"""Accounts in a SQLite file: what is done with them in a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from graphflow.journal.accounts import (
    AccountBalance,
    AccountCharge,
    ChargeOutcome,
    outcome_of,
)

_BALANCE = "SELECT account, tokens, nanodollars, until FROM accounts"


def charge_in(db: sqlite3.Connection, charges: Sequence[AccountCharge]) -> ChargeOutcome:
    """Adds to accounts, if all of it fits. Under the write lock, so nobody else does in between."""
    known: dict[str, AccountBalance] = {}
    for charge in charges:
        found = db.execute(f"{_BALANCE} WHERE account = ?", (charge.account,)).fetchone()
        if found is not None:
            known[charge.account] = AccountBalance(*found)
    outcome = outcome_of(charges, known)
    if outcome.is_done:
        rows = [
            (each.account, each.tokens, each.nanodollars, each.until) for each in outcome.balances
        ]
        db.executemany("INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?)", rows)
    return outcome


def accounts_in(db: sqlite3.Connection) -> list[AccountBalance]:
    """What all accounts hold, by their names."""
    found = db.execute(f"{_BALANCE} ORDER BY account")
    return [AccountBalance(*row) for row in found.fetchall()]


def drop_accounts_in(db: sqlite3.Connection, over_since: float) -> int:
    """Removes the accounts that were over then; how many."""
    dropped = db.execute("DELETE FROM accounts WHERE until > 0 AND until < ?", (over_since,))
    return dropped.rowcount
