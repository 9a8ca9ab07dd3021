"""How the code reads, held against budgets that only go down: `tests/tools/budgets.py` says how."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.tools.budgets import SLACK, budgets, figures
from tests.tools.measures import measure, strict_complexity

BUDGETS = budgets()
measured = cache(figures)
"""All files are read for it: not while tests are only being collected."""


def test_every_room_has_budgets_and_no_budget_is_for_a_room_that_is_gone() -> None:
    assert set(BUDGETS) == set(measured()), "run python tests/tools/budgets.py --tighten"


@pytest.mark.parametrize("room", sorted(BUDGETS))
def test_a_room_keeps_to_its_budgets(room: str) -> None:
    kept = BUDGETS[room]
    over = [
        f"{name}: {figure}, and the budget is {kept[name]}"
        for name, figure in measured()[room].items()
        if figure > kept[name] * SLACK
    ]
    assert not over, f"{room} has become harder to read"


@pytest.mark.parametrize("room", sorted(BUDGETS))
def test_budgets_follow_what_has_become_better(room: str) -> None:
    generous = [
        name
        for name, figure in measured()[room].items()
        if BUDGETS[room][name] > figure * SLACK + 0.1
    ]
    assert not generous, "run python tests/tools/budgets.py --tighten"


def test_what_a_line_holds_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "dense.py"
    path.write_text('"""A docstring is no code."""\n\n# a comment\nx = 1\ny = (\n    x\n)\n')
    found = measure(path)
    assert (found.nodes, found.lines, found.comments) == (6 + 2, 4, 1)


def test_every_branch_in_an_expression_counts() -> None:
    text = "def f(a, b):\n    return [x for x in a if x and b] if a or b else None\n"
    function = ast.parse(text).body[0]
    assert isinstance(function, ast.FunctionDef)
    assert strict_complexity(function) == 1 + 2 + 1 + 1 + 1
