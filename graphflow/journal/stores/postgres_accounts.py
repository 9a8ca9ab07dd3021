"""Accounts in PostgreSQL: what is done with them in a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from graphflow.journal.accounts import (
    AccountBalance,
    AccountCharge,
    ChargeOutcome,
    outcome_of,
)

Database: TypeAlias = Any
"""A connection of asyncpg, which has no types."""
_BALANCE = "SELECT account, tokens, nanodollars, until FROM graphflow_accounts"


async def charge_in(db: Database, charges: Sequence[AccountCharge]) -> ChargeOutcome:
    """Adds to accounts, if all of it fits. Their lines are held until the transaction is over."""
    # In one order, whoever charges what: else two could wait for each other.
    ordered = sorted(charges, key=lambda charge: charge.account)
    names = [charge.account for charge in ordered]
    await db.execute(
        "INSERT INTO graphflow_accounts (account, tokens, nanodollars, until)"
        " SELECT name, 0, 0, over FROM unnest($1::text[], $2::float8[]) AS new(name, over)"
        " ORDER BY name ON CONFLICT DO NOTHING",
        names,
        [charge.until for charge in ordered],
    )
    found = await db.fetch(
        f"{_BALANCE} WHERE account = ANY($1::text[]) ORDER BY account FOR UPDATE", names
    )
    known = {row["account"]: AccountBalance(*row) for row in found}
    outcome = outcome_of(charges, known)
    if outcome.is_done:
        await db.executemany(
            "UPDATE graphflow_accounts SET tokens = $2, nanodollars = $3 WHERE account = $1",
            [(each.account, each.tokens, each.nanodollars) for each in outcome.balances],
        )
    return outcome


async def accounts_in(db: Database) -> list[AccountBalance]:
    """What all accounts hold, by their names."""
    found = await db.fetch(f'{_BALANCE} ORDER BY account COLLATE "C"')
    return [AccountBalance(*row) for row in found]


async def drop_accounts_in(db: Database, over_since: float) -> int:
    """Removes the accounts that were over then; how many."""
    dropped = await db.fetch(
        "DELETE FROM graphflow_accounts WHERE until > 0 AND until < $1 RETURNING account",
        over_since,
    )
    return len(dropped)
