"""`graphflow budgets`: what is spent of the budgets of the project."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pydantic import BaseModel

from graphflow.budgets import Budget
from graphflow.cli.printing import note, out, out_json
from graphflow.cli.show import table
from graphflow.cli.stored_runs import with_store
from graphflow.project.here import project_here
from graphflow.project.standings import BudgetStanding, standings


class BudgetLine(BaseModel):
    """An account of a budget, in a table."""

    budget: str
    account: str
    tokens: str
    usd: str
    resets: str


def show_budgets(address: str | None, *, as_json: bool) -> None:
    """Prints how the budgets of the project stand.

    Args:
        address: where runs are kept, if somebody has said.
        as_json: whether it is printed as JSON.

    Raises:
        RunUnknown: no runs are kept here.
    """
    project = project_here()
    budgets: Sequence[Budget] = () if project is None else project.budgets
    if not budgets:
        note("there are no [budgets] in the project file")
    found = with_store(address, lambda store, _: standings(store, budgets))
    if as_json:
        out_json([_as_data(each) for each in found])
        return
    if budgets and not found:
        note("nothing is spent")
    if found:
        out(table([_as_line(each) for each in found]))


def _as_line(standing: BudgetStanding) -> BudgetLine:
    budget = standing.budget
    return BudgetLine(
        budget=budget.name,
        account=standing.account,
        tokens=_of(f"{standing.tokens:,}", budget.tokens),
        usd=_of(f"{standing.usd:.4f}", budget.usd),
        resets=_left(standing.resets_at),
    )


def _of(spent: str, most: float | None) -> str:
    return spent if most is None else f"{spent} of {most:,}"


def _left(resets_at: float | None) -> str:
    """In how long an account begins anew."""
    if resets_at is None:
        return "never"
    seconds = max(0.0, resets_at - time.time())
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"in {hours} h {minutes} min"


def _as_data(standing: BudgetStanding) -> dict[str, object]:
    budget = standing.budget
    return {
        "budget": budget.name,
        "per": list(budget.scopes),
        "account": standing.account,
        "tokens": standing.tokens,
        "max_tokens": budget.tokens,
        "usd": standing.usd,
        "max_usd": budget.usd,
        "resets_at": standing.resets_at,
    }
