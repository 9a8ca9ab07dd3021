"""Accounts as files, one each: `accounts/NAME.json`.

    {"account": ..., "tokens": 1200, "nanodollars": 35000000, "until": 0.0}

A file is replaced whole, under the lock on the folder. A machine that dies between two of one charge keeps the first: then an
account holds more than the other, and never less than what was spent from it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from graphflow.errors import StoreUnreadable
from graphflow.journal.accounts import (
    AccountBalance,
    AccountCharge,
    ChargeOutcome,
    outcome_of,
)
from graphflow.journal.stores.lines import file_name, remove, write_whole

ENDING = ".json"


class AccountFolder:
    """The accounts in the folder of a store.

    Args:
        folder: where they lie.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever charged."""
        return not self.folder.exists()

    def charge(self, charges: Sequence[AccountCharge]) -> ChargeOutcome:
        """Adds to accounts, if all of it fits."""
        known: dict[str, AccountBalance] = {}
        for charge in charges:
            path = self._path(charge.account)
            if path.exists():
                known[charge.account] = _read(path)
        outcome = outcome_of(charges, known)
        if outcome.is_done:
            self.folder.mkdir(parents=True, exist_ok=True)
            for balance in outcome.balances:
                self._write(balance)
        return outcome

    def every(self) -> list[AccountBalance]:
        """What all accounts hold, by their names."""
        found = [_read(path) for path in self.folder.glob(f"*{ENDING}")]
        return sorted(found, key=lambda balance: balance.account)

    def drop(self, over_since: float) -> int:
        """Removes those that were over then; how many."""
        over = [balance for balance in self.every() if 0 < balance.until < over_since]
        for balance in over:
            remove(self._path(balance.account))
        return len(over)

    def _write(self, balance: AccountBalance) -> None:
        data = {
            "account": balance.account,
            "tokens": balance.tokens,
            "nanodollars": balance.nanodollars,
        }
        text = json.dumps({**data, "until": balance.until})
        write_whole(self._path(balance.account), text.encode())

    def _path(self, account: str) -> Path:
        return self.folder / f"{file_name(account)}{ENDING}"


def _read(path: Path) -> AccountBalance:
    try:
        data = json.loads(path.read_bytes())
        return AccountBalance(**data)
    except (ValueError, TypeError) as error:
        raise StoreUnreadable(f"the account in {path} is damaged: {error}") from None
