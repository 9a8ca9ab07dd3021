"""The budgets of one run: each question to a model is charged to their accounts, in the store, before it is asked.

    hold      what the question costs at the least     added if it fits under each budget; else the run ends, and nobody is asked
    settle    what the answer has cost, instead        added, whatever it comes to

Rules:
1. Holding is one transaction of the store, so of all questions in all processes that do not fit together some are refused.
   What an answer costs beyond the least is known when it is there. So an account can be exceeded by what the questions under
   way cost beyond what is kept for them, and by no more.
2. What is spent counts for the day on which it was asked for.
3. A process that dies leaves what it has kept for questions under way: they may have been answered, and paid for.
4. A store that cannot be reached refuses: nobody would know what is spent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeAlias

from graphflow import clock
from graphflow.budgets import (
    Budget,
    BudgetAccount,
    BudgetUnit,
    Spender,
    account_of,
    nanodollars,
)
from graphflow.declaration.context import Context
from graphflow.errors import BudgetExceeded, StoreError
from graphflow.events import BudgetWarning, CostUnknown
from graphflow.journal.accounts import AccountCharge, ChargeOutcome
from graphflow.journal.store import LEASE_S, Store
from graphflow.limits import WARN_AT, Answered, Ledger
from graphflow.model.prices import least_cost
from graphflow.model.seam import Model
from graphflow.runtime.budget_breach import BudgetBreach, amount_in, in_units, unpriced_text
from graphflow.runtime.recorder import patiently

UNITS: tuple[BudgetUnit, ...] = ("usd", "tokens")
BudgetNotice: TypeAlias = tuple[str, str, float | None]
"""What was warned of: the budget, the unit, and which of its accounts, by when that resets."""
ChargeTask: TypeAlias = asyncio.Task[ChargeOutcome]


class HeldBudgets:
    """What is kept of budgets for a question under way.

    Attributes:
        model: who is asked.
        accounts: of each budget, in their order.
        tokens: so many.
        nanodollars: so many billionths of a dollar.
    """

    __slots__ = ("_keeper", "accounts", "model", "nanodollars", "tokens")

    def __init__(
        self,
        keeper: BudgetKeeper,
        model: str,
        accounts: tuple[BudgetAccount, ...],
        tokens: int,
        nanodollars: int,
    ) -> None:
        self._keeper = keeper
        self.model = model
        self.accounts = accounts
        self.tokens = tokens
        self.nanodollars = nanodollars

    def amount(self, unit: BudgetUnit) -> int:
        """So much of a unit."""
        if unit == "tokens":
            return self.tokens
        return self.nanodollars

    async def settle(self, reply: Answered, ctx: Context) -> None:
        """Charges what the answer has cost, instead of what was kept for it.

        Raises:
            BudgetExceeded: nobody knows what it has cost, and that is to end the run.
            StoreError: it cannot be counted.
        """
        keeper = self._keeper
        settling = keeper.settling(self, reply)
        outcome = await asyncio.shield(settling)
        keeper.warn(self.accounts, outcome, ctx)
        if reply.usd is None:
            keeper.judge_unpriced(self.model, ctx)

    async def break_off(self, error: BaseException, reply: Answered | None) -> None:
        """Charges what was answered until a question has failed, or was stopped.

        Args:
            error: what it ended with.
            reply: that part; None: there is none.
        """
        settling = self._keeper.settling(self, reply)
        # Whoever is cancelled must not wait; the end of the run does.
        if not isinstance(error, Exception):
            return
        # The question's own error is told, and what was kept stays counted.
        with suppress(StoreError):
            await asyncio.shield(settling)


class BudgetKeeper:
    """Keeps one run within its budgets.

    Args:
        store: where they are counted.
        budgets: what they are; at least one.
        spender: for whom the run spends.

    Attributes:
        warned: what was told of already.
    """

    def __init__(self, store: Store, budgets: Sequence[Budget], spender: Spender) -> None:
        self.store = store
        self.budgets = tuple(budgets)
        self.spender = spender
        self.warned: set[BudgetNotice] = set()
        self._told_unpriced: set[str] = set()
        self._charging: set[ChargeTask] = set()

    async def hold(self, model: Model, least_tokens: int, ctx: Context) -> HeldBudgets:
        """Keeps what a question costs at the least, while it is under way.

        Args:
            model: who is asked.
            least_tokens: what it reads, for certain.
            ctx: the node that asks.

        Raises:
            BudgetExceeded: it does not fit, or nobody knows what an answer costs; the text says which budget, and when it resets.
            StoreError: what is spent cannot be counted.
        """
        self._refuse_unpriced(model, ctx)
        accounts = self._accounts()
        least_usd = least_cost(model.name, least_tokens)
        hold = HeldBudgets(
            self,
            model.name,
            accounts,
            least_tokens,
            nanodollars(least_usd),
        )
        charges = self._charges(hold)
        charging = self._begin(self.store.charge(charges))
        try:
            outcome = await asyncio.shield(charging)
        except asyncio.CancelledError:
            take_back = partial(self._take_back, hold)
            charging.add_done_callback(take_back)
            raise
        if not outcome.is_done:
            # It was counted as a question, and is none.
            ctx.frame.ledger.add("model_calls", -1)
            raise self._exceeded(hold, outcome, ctx)
        self.warn(accounts, outcome, ctx)
        return hold

    async def settled(self) -> None:
        """Waits until all charges under way are over."""
        while self._charging:
            await asyncio.wait(self._charging)

    # -- charges -----------------------------------------------------------------------------------
    def _accounts(self) -> tuple[BudgetAccount, ...]:
        """The account of each budget at this moment."""
        now = clock.now()
        accounts: list[BudgetAccount] = []
        for budget in self.budgets:
            account = account_of(budget, self.spender, now)
            accounts.append(account)
        return tuple(accounts)

    def _charges(self, hold: HeldBudgets) -> list[AccountCharge]:
        """What is charged for a question: budgets of one account are looked at together, and the tightest counts."""
        charges: dict[str, AccountCharge] = {}
        for budget, account in zip(self.budgets, hold.accounts, strict=True):
            most_tokens = budget.limit("tokens")
            most_usd = budget.limit("usd")
            known = charges.get(account.name)
            if known is not None:
                most_tokens = _lower(known.most_tokens, most_tokens)
                most_usd = _lower(known.most_nanodollars, most_usd)
            charges[account.name] = AccountCharge(
                account.name,
                hold.tokens,
                hold.nanodollars,
                most_tokens,
                most_usd,
                account.until,
            )
        return list(charges.values())

    def settling(self, hold: HeldBudgets, reply: Answered | None) -> ChargeTask:
        """Begins to charge what an answer has cost, instead of what was kept for it."""
        tokens = -hold.tokens
        dollars = -hold.nanodollars
        if reply is not None:
            tokens += reply.input_tokens
            tokens += reply.output_tokens
            usd = reply.usd or 0.0
            dollars += nanodollars(usd)
        charges: dict[str, AccountCharge] = {}
        for account in hold.accounts:
            charges[account.name] = AccountCharge(
                account.name,
                tokens,
                dollars,
                until=account.until,
            )
        settling = self._settle(list(charges.values()))
        return self._begin(settling)

    async def _settle(self, charges: Sequence[AccountCharge]) -> ChargeOutcome:
        outcomes: list[ChargeOutcome] = []

        async def charge() -> None:
            outcome = await self.store.charge(charges)
            outcomes.append(outcome)

        await patiently(charge, LEASE_S)
        return outcomes[-1]

    def _take_back(self, hold: HeldBudgets, done: ChargeTask) -> None:
        """Takes back what was kept for a question that was not asked any more."""
        if done.cancelled() or done.exception() is not None:
            return
        if done.result().is_done:
            self.settling(hold, None)

    # Any: what a coroutine takes and gives on its way is nobody's business.
    def _begin(self, charging: Coroutine[Any, Any, ChargeOutcome]) -> ChargeTask:
        """A charge in a task of its own: who is stopped meanwhile must not leave it half done."""
        loop = asyncio.get_running_loop()
        task = loop.create_task(charging)
        self._charging.add(task)
        task.add_done_callback(self._over)
        return task

    def _over(self, task: ChargeTask) -> None:
        self._charging.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits for it is told

    # -- warnings and refusals ---------------------------------------------------------------------
    def warn(self, accounts: Sequence[BudgetAccount], outcome: ChargeOutcome, ctx: Context) -> None:
        """Tells, once a run, of each account that is nearly used up."""
        balances = outcome.by_account
        for budget, account in zip(self.budgets, accounts, strict=True):
            balance = balances[account.name]
            for unit in UNITS:
                spent = amount_in(balance, unit)
                self._warn_of(budget, account, unit, spent, ctx)

    def _warn_of(
        self,
        budget: Budget,
        account: BudgetAccount,
        unit: BudgetUnit,
        spent: int,
        ctx: Context,
    ) -> None:
        most = budget.limit(unit)
        if most is None or spent < WARN_AT * most:
            return
        notice = (budget.name, unit, account.resets_at)
        if notice in self.warned:
            return
        self.warned.add(notice)
        frame = ctx.frame
        event = BudgetWarning(
            frame.clock(),
            frame.number,
            budget.name,
            unit,
            in_units(spent, unit),
            in_units(most, unit),
            account.resets_at,
        )
        frame.tell(event)

    def _exceeded(self, hold: HeldBudgets, outcome: ChargeOutcome, ctx: Context) -> BudgetExceeded:
        """The error of the budget that a question does not fit into; of several, the one that resets last."""
        balances = outcome.by_account
        worst: BudgetBreach | None = None
        for budget, account in zip(self.budgets, hold.accounts, strict=True):
            balance = balances[account.name]
            for unit in UNITS:
                spent = amount_in(balance, unit)
                least = hold.amount(unit)
                breach = BudgetBreach(budget, account, unit, spent, least)
                if breach.is_real and (worst is None or breach.resets > worst.resets):
                    worst = breach
        assert worst is not None  # else the store would have charged
        path = ctx.frame.path[:1]
        error = worst.error(self.spender, path)
        # The outermost: nothing inside may go on without a model.
        error.ledger = _outermost(ctx.frame.ledger)
        return error

    # -- answers that nobody knows the price of ----------------------------------------------------
    def _refuse_unpriced(self, model: Model, ctx: Context) -> None:
        """Refuses a model that is known not to tell what it costs, where dollars are counted."""
        unpriced: Sequence[str] = getattr(model, "unpriced", ())
        for name in unpriced:
            self._end_unpriced(name, "no model was asked", ctx)

    def judge_unpriced(self, model: str, ctx: Context) -> None:
        """Tells of an answer that has not told what it costs, or ends the run.

        Raises:
            BudgetExceeded: that is to end it.
        """
        if all(budget.usd is None for budget in self.budgets):
            return
        # Where dollars are limited, too, that was told already.
        is_told = bool(ctx.frame.ledger.limiting("usd"))
        if not is_told and model not in self._told_unpriced:
            self._told_unpriced.add(model)
            event = CostUnknown(*ctx.stamp, ctx.node.name, model)
            ctx.frame.tell(event)
        self._end_unpriced(model, "its tokens are counted", ctx)

    def _end_unpriced(self, model: str, then: str, ctx: Context) -> None:
        for budget in self.budgets:
            if budget.usd is None or budget.unpriced == "tell":
                continue
            error = BudgetExceeded(
                budget.name,
                "usd",
                budget.usd,
                0.0,
                None,
                ctx.frame.path[:1],
                text=unpriced_text(budget, model, then),
            )
            error.ledger = _outermost(ctx.frame.ledger)
            raise error


def _lower(one: int | None, other: int | None) -> int | None:
    if one is None:
        return other
    if other is None:
        return one
    return min(one, other)


def _outermost(ledger: Ledger) -> Ledger:
    while ledger.parent is not None:
        ledger = ledger.parent
    return ledger
