"""The page of limits says what the code does: each number stands where it names, each limit of a walk stops it."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, START, Agent, Graph, Limits, errors, node, tool
from graphflow.limits import DEFAULT_DEPTH, DEFAULT_LAPS
from graphflow.testing import ScriptedModel, calls
from tests.conftest import walk

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "limits.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ")
]
PLACED = [row for row in ROWS if re.match(r"`(graphflow|nodes)\.", row[-1])]
"""Rows that name where their number stands."""
WALKED = {row[0].strip("`"): row for row in ROWS if row[0].strip("`") in Limits.__slots__}
UNITS = {"KiB": 2**10, "MiB": 2**20}


def number_in(row: list[str]) -> float:
    """The number of a row, in the unit that code counts in."""
    [(digits, unit)] = re.findall(r"^([\d,.]+) ?(s|KiB|MiB)?$", "\n".join(row[:-1]), re.MULTILINE)
    return float(digits.replace(",", "")) * UNITS.get(unit, 1)


def number_of(place: str) -> float:
    """What stands at a place: a name of a module, or in parentheses what a callable takes when nobody says otherwise."""
    dotted, _, parameter = place.rstrip(")").partition("(")
    module, _, name = dotted.rpartition(".")
    found: Any = getattr(import_module(module), name)
    if parameter:
        return float(default_of(found, parameter))
    return float(found)


def default_of(found: Any, parameter: str) -> float:
    """The default of one of its parameters, which a class may have from the one below it."""
    for each in getattr(found, "__mro__", [found]):
        known = inspect.signature(each).parameters
        if parameter in known:
            value: float = known[parameter].default
            return value
    raise LookupError(f"{found} has no parameter {parameter}")


@pytest.mark.parametrize("row", PLACED, ids=lambda row: row[-1].strip("`"))
def test_a_number_is_what_stands_in_the_code(row: list[str]) -> None:
    assert number_in(row) == number_of(row[-1].strip("`"))


def test_every_table_is_held_against_the_code() -> None:
    assert len(PLACED) > 60
    held = {tuple(row) for row in [*PLACED, *WALKED.values()]}
    others = [row[0] for row in ROWS if tuple(row) not in held]
    assert sorted(set(others)) == ["limit", "seconds of one attempt, `timeout_s=`", "tool", "what"]


def test_every_error_that_is_named_is_one() -> None:
    named = re.findall(
        r"`([A-Z]\w+(?:Exceeded|Error|Invalid|Failed|Timeout|Unreadable|Lost))`", PAGE
    )
    assert len(set(named)) > 10
    assert [name for name in named if not hasattr(errors, name)] == []


def test_every_limit_of_a_walk_has_its_row() -> None:
    assert set(WALKED) == {field.name for field in fields(Limits)}
    stated = {name: row[1] for name, row in WALKED.items() if row[1] != "none"}
    assert stated == {
        "depth": str(DEFAULT_DEPTH),
        "laps": str(DEFAULT_LAPS),
        "unpriced": '`"tell"`',
    }


# -- what it says of a walk ------------------------------------------------------------------------
@tool
async def look_up(word: str) -> str:
    """Look a word up."""
    return word


@node
async def same(text: str) -> str:
    return text


def never(text: str) -> bool:
    return not text


def busy() -> Graph[str, str]:
    """A graph that uses something of everything."""
    clerk = Agent("clerk", input=str, tools=[look_up])
    inner: Graph[str, str] = Graph("inner", START >> clerk >> END)
    around = START >> same >> inner
    return Graph("busy", around, inner.when(never) >> END, inner.otherwise >> same)


STOPPING = [field.name for field in fields(Limits) if field.name not in ("concurrency", "unpriced")]
"""All that stop a walk: of these two, one only holds up, and one says what another means."""


@pytest.mark.parametrize("limit", STOPPING)
@pytest.mark.usefixtures("jumping_clock")
def test_a_limit_stops_the_walk_and_names_itself(limit: str) -> None:
    answers = [calls("look_up", word="bee"), "a bee"] * 4
    model = ScriptedModel(*answers, usd=0.5)
    least = 1 if limit == "laps" else 0
    run = walk(busy(), "bees", model=model, limits=Limits(**{limit: least}))
    assert isinstance(run.error, errors.LimitExceeded)
    assert (run.error.limit, run.error.value, run.status) == (limit, least, "limited")
    assert isinstance(run.error, errors.DepthExceeded) == (limit == "depth")
    assert run.usage.tool_calls <= 1 or limit == "laps"
