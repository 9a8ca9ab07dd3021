"""Chance: within bounds, different at each call, and the same again in a replay."""

from __future__ import annotations

import asyncio
import json

import pytest

from graphflow import END, START, Agent, Graph, Limits, Store
from graphflow.errors import LimitExceeded
from graphflow.model.turns import ToolTurn
from graphflow.testing import ScriptedModel, both, calls, says
from nodes.tools.chance import chance_tools
from tests.library.using import asked


def test_numbers_stay_within_their_bounds() -> None:
    ok, text = asked(chance_tools, "random_numbers", least=1, most=6, count=500)
    assert ok
    assert set(json.loads(text)) == {1, 2, 3, 4, 5, 6}


def test_things_are_picked_without_doubles() -> None:
    items = [str(number) for number in range(50)]
    picked = json.loads(asked(chance_tools, "pick_at_random", items=items, count=50)[1])
    assert sorted(picked) == sorted(items)
    assert picked != items


def test_identifiers_differ() -> None:
    made = json.loads(asked(chance_tools, "new_ids", count=100)[1])
    assert len({*made}) == 100


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("random_numbers", {"least": 2, "most": 1}, "change them round"),
        ("pick_at_random", {"items": ["a"], "count": 2}, "pick fewer"),
        ("new_ids", {"count": 10_000}, "less than or equal to 1000"),
    ],
)
def test_what_cannot_be_is_told(name: str, arguments: dict[str, object], told: str) -> None:
    ok, text = asked(chance_tools, name, **arguments)
    assert not ok
    assert told in text


def test_equal_calls_differ_and_a_run_that_goes_on_has_the_same() -> None:
    roll = calls("random_numbers", least=1, most=10**12)
    model = ScriptedModel(both(roll, roll), calls("new_ids"), says("done"))
    graph = Graph("g", START >> Agent("user", input=str, tools=chance_tools, model=model) >> END)

    async def main() -> None:
        store = Store.open("memory:")
        with pytest.raises(LimitExceeded):
            await graph.run("go", store=store, id="one", limits=Limits(model_calls=2))
        await graph.resume("one", store=store, limits=Limits(model_calls=9))
        assert (await graph.replay("one", store=store)).output == "done"

    asyncio.run(main())
    seen = [turn for turn in model.requests[-1].turns if isinstance(turn, ToolTurn)]
    first, second = (json.loads(result.text) for result in seen[0].results)
    assert first != second
    before = [turn for turn in model.requests[1].turns if isinstance(turn, ToolTurn)]
    assert before[0].results == seen[0].results
