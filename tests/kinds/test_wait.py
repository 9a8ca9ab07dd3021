"""Nodes that wait: what they refuse, what they send on, and how a file declares them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, START, Graph, Human, Receive, TimedOut, Wait, node, tool
from graphflow.errors import DeclarationError, OutputInvalid
from graphflow.files import load_graph
from graphflow.files.dump import dump_graph
from tests.conftest import A, B, Msg, walk

NOON = datetime(2030, 1, 31, 12, tzinfo=UTC)


@node
async def first(m: Msg) -> Msg:
    return m


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "give seconds=... or until=..., one of them"),
        ({"seconds": 1, "until": NOON}, "give seconds=... or until=..., one of them"),
        ({"seconds": -1}, "seconds=-1 must be a number of seconds, 0 or more"),
        ({"seconds": True}, "seconds=True must be a number of seconds, 0 or more"),
        ({"until": "noon"}, "is not a time; give a datetime"),
        ({"until": datetime(2030, 1, 1)}, "has no time zone; add tzinfo=UTC"),
    ],
)
def test_a_wait_says_what_it_needs(options: dict[str, Any], says: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        Wait("pause", **options)
    assert f"wait 'pause': {says}" in str(caught.value) or says in str(caught.value)


@pytest.mark.parametrize("seconds", [0, -1, True, "1"])
def test_a_timeout_is_a_positive_number_of_seconds(seconds: Any) -> None:
    with pytest.raises(DeclarationError, match="must be a positive number of seconds"):
        Receive("payment", int, timeout=seconds)
    with pytest.raises(DeclarationError, match="must be a positive number of seconds"):

        @tool(approval=True, approval_timeout_s=seconds if seconds is not True else -1)
        async def pay(amount: int) -> str:
            """Pays."""
            return "paid"


@pytest.mark.usefixtures("jumping_clock")
def test_where_nobody_can_wait_a_wait_sleeps_and_sends_on_what_it_was_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import asyncio
    import time

    started = time.time()
    monkeypatch.setattr(time, "time", lambda: started + asyncio.get_running_loop().time())
    graph = Graph("g", START >> first >> Wait("pause", seconds=3600, input=Msg) >> END)
    run = walk(graph, Msg(n=4))
    assert run.output == Msg(n=4)
    assert graph.output == Msg


def test_what_is_over_is_not_waited_for() -> None:
    past = datetime.now(UTC) - timedelta(days=1)
    graph = Graph(
        "g",
        START
        >> Wait("pause", until=past, input=Msg)
        >> Wait("again", until=lambda m: past, input=Msg)
        >> END,
    )
    assert walk(graph, Msg(n=1)).output == Msg(n=1)


@pytest.mark.parametrize("wrong", ["soon", datetime(2030, 1, 1)])
def test_a_function_that_tells_no_time_is_refused(wrong: Any) -> None:
    run = walk(Graph("g", START >> Wait("pause", until=lambda m: wrong, input=Msg) >> END), Msg())
    assert isinstance(run.error, OutputInvalid)
    assert "the function until= of wait 'pause' returned" in str(run.error)


def test_a_timeout_is_an_arm_of_the_output() -> None:
    assert Receive("payment", A).output == A
    assert Receive("payment", A, timeout=5).output == A | TimedOut
    assert Human("boss", output=B, timeout=5).output == B | TimedOut


MODULE = """
from datetime import UTC, datetime
from pydantic import BaseModel

class Order(BaseModel):
    due: datetime

class Payment(BaseModel):
    amount: int

def due(order):
    return order.due
"""
FILE = """
graph: shop
input: waiting_steps:Order
nodes:
  pause: {kind: wait, seconds: 60, input: "waiting_steps:Order"}
  noon: {kind: wait, until: "2030-01-31T12:00:00Z", input: "waiting_steps:Order"}
  late: {kind: wait, until: "waiting_steps:due", input: "waiting_steps:Order"}
  payment: {kind: receive, type: "waiting_steps:Payment", timeout: 30, description: The payment., approval: true, approval_timeout_s: 9}
  boss: {kind: human, input: "waiting_steps:Payment", output: "str | int"}
  nobody: {kind: human, input: "graphflow.messages:TimedOut", output: "str | int", timeout: 5}
edges:
  - START >> pause >> noon >> late >> payment
  - payment[waiting_steps:Payment] >> boss >> END
  - payment[graphflow.messages:TimedOut] >> nobody
  - nobody[str] >> END
  - nobody[int] >> END
  - nobody[graphflow.messages:TimedOut] >> END
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'shop'\n")
    (tmp_path / "waiting_steps.py").write_text(MODULE)
    file = tmp_path / "shop.yaml"
    file.write_text(FILE)
    return file


def test_a_file_declares_what_waits_and_what_is_written_is_read_again(
    shop: Path, tmp_path: Path
) -> None:
    graph = load_graph(shop, Graph)
    nodes: dict[str, Any] = {node.name: node for node in graph.nodes}
    assert nodes["pause"].seconds == 60
    assert nodes["noon"].until == NOON
    assert nodes["late"].until.__name__ == "due"
    assert nodes["payment"].timeout == 30
    assert nodes["payment"].approval_timeout_s == 9
    assert nodes["boss"].ask is None
    again = tmp_path / "again.yaml"
    again.write_text(dump_graph(graph))
    assert load_graph(again, Graph) == graph


@pytest.mark.parametrize(
    ("made", "instead"),
    [
        (lambda: Human("boss", timeout_s=5), "give timeout="),
        (lambda: Receive("payment", int, timeout_s=5), "give timeout="),
        (lambda: Wait("pause", seconds=3, timeout_s=5), "seconds= and until= say how long"),
    ],
)
def test_what_waits_has_no_time_limit_of_an_attempt(made: Callable[[], Any], instead: str) -> None:
    with pytest.raises(DeclarationError, match=instead):
        made()
    Human("boss", ask=lambda name, message: "yes", timeout_s=5)  # this one works
