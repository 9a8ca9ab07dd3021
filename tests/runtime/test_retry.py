"""Retries: what an error itself says about another attempt, and how long is waited before it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from graphflow import END, START, Agent, Graph, Retry, node, tool
from graphflow.errors import (
    AuthError,
    BadRequest,
    DeclarationError,
    Overloaded,
    QuotaExceeded,
    RateLimited,
    Refused,
    ToolError,
)
from graphflow.events import CallStarted, NodeRetried, to_record
from graphflow.run import Run
from graphflow.runtime.executor import begin, drive
from graphflow.testing import ScriptedModel, both, calls, fails
from tests.conftest import walk


class Busy(Exception):
    """An error of somebody else's library."""

    def __init__(self, retry_after: Any = None, retryable: Any = None) -> None:
        super().__init__("busy")
        self.retry_after = retry_after
        if retryable is not None:
            self.retryable = retryable


def failing(error: Exception, retry: Retry) -> tuple[int, list[float]]:
    """Tries in all, and the waits between them."""
    tries = 0

    @node(retry=retry)
    async def step(n: int) -> int:
        nonlocal tries
        tries += 1
        raise error

    run = walk(Graph("g", START >> step >> END), 1)
    assert run.error is error
    return tries, [event.wait_s for event in run.events if isinstance(event, NodeRetried)]


@pytest.mark.parametrize(
    ("error", "on", "tries"),
    [
        (AuthError("no"), (Exception,), 1),
        (QuotaExceeded("spent"), (Exception,), 1),
        (BadRequest("what"), (Exception,), 1),
        (Busy(retryable=False), (Exception,), 1),
        (Busy(retryable=True), (Exception,), 3),
        (Busy(), (Exception,), 3),
        (Overloaded("later"), (Exception,), 3),
        (ValueError("x"), (Exception,), 3),
        (ValueError("x"), (KeyError,), 1),
        (Refused("no"), (Refused,), 3),  # whoever names the class knows better
        (Busy(retryable=False), (Busy,), 3),
        (Refused("no"), (Refused, Exception), 3),
    ],
    ids=repr,
)
def test_what_an_error_says_of_another_try(error: Exception, on: Any, tries: int) -> None:
    assert failing(error, Retry(3, wait_s=0, on=on))[0] == tries


@pytest.mark.parametrize(
    "error", [RateLimited("slow down", retry_after=0.02), Busy(retry_after=0.02)]
)
def test_at_least_as_long_is_waited_as_was_asked_for(error: Exception) -> None:
    tries, waits = failing(error, Retry(3, wait_s=0, jitter=0))
    assert (tries, waits) == (3, [0.02, 0.02])


def test_the_longer_of_both_waits_holds() -> None:
    retry = Retry(5, wait_s=1, factor=2, max_wait_s=10)
    error = Busy(retry_after=3)
    assert [retry.wait_before(attempt, error) for attempt in (2, 3, 4, 5)] == [3, 3, 4, 8]


def test_who_asks_for_more_than_may_be_waited_gets_no_further_try() -> None:
    assert failing(Busy(retry_after=3600), Retry(3, wait_s=0, max_wait_s=5)) == (1, [])
    assert failing(Busy(retry_after=float("inf")), Retry(3, wait_s=0)) == (1, [])
    for nonsense in (float("nan"), "soon", None, -1):
        assert failing(Busy(retry_after=nonsense), Retry(2, wait_s=0))[0] == 2


class BusyTool(ToolError):
    """A tool's own request for a retry that also says how long to wait."""

    def __init__(
        self, retry: Retry, retry_after: float | None = None, retryable: bool | None = None
    ) -> None:
        super().__init__("busy", retry=retry)
        self.retry_after = retry_after
        self.retryable = retryable


@pytest.mark.parametrize(
    "options", [{}, {"timeout_s": 60}, {"retry": Retry(9, wait_s=0)}], ids=["bare", "timed", "own"]
)
@pytest.mark.parametrize("plain", [True, False], ids=["straight", "general"])
def test_what_a_tool_asks_for_holds_but_for_too_long_a_wait(options: Any, plain: bool) -> None:
    def tries_of(error: BusyTool) -> int:
        tries = 0

        @tool(**options)
        async def look(n: int) -> int:
            """Look."""
            nonlocal tries
            tries += 1
            raise error

        assert walk(Graph("g", START >> look >> END), 1, plain=plain).error is error
        return tries

    assert tries_of(BusyTool(Retry(3, wait_s=0, on=(KeyError,)))) == 3
    assert tries_of(BusyTool(Retry(3, wait_s=0), retryable=False)) == 3
    assert tries_of(BusyTool(Retry(3, wait_s=0, max_wait_s=1), retry_after=0.001)) == 3
    assert tries_of(BusyTool(Retry(3, wait_s=0, max_wait_s=1), retry_after=3600)) == 1


@pytest.mark.parametrize("options", [{}, {"retry": Retry(9, wait_s=0)}], ids=["bare", "own"])
@pytest.mark.parametrize("plain", [True, False], ids=["straight", "general"])
def test_a_request_to_stop_that_is_older_than_the_walk_forbids_no_retry(
    options: Any, plain: bool
) -> None:
    tries = 0

    @tool(**options)
    async def look(n: int) -> int:
        """Look."""
        nonlocal tries
        tries += 1
        if tries < 3:
            raise ToolError("busy", retry=Retry(3, wait_s=0))
        return n

    graph = Graph("g", START >> look >> END)

    async def main() -> int:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:  # what was told to stop still tidies up
            run, frame, checked = begin(graph, 1, Run, plain=plain, observed=False)
            await drive(run, frame, checked)
            return run.output
        raise AssertionError("nobody was cancelled")

    assert asyncio.run(main()) == 1
    assert tries == 3


@pytest.mark.usefixtures("jumping_clock")
@pytest.mark.parametrize("options", [{}, {"retry": Retry(2, wait_s=0)}], ids=["bare", "own"])
@pytest.mark.parametrize("observed", [False, True], ids=["derived", "observed"])
def test_a_retry_names_its_call(options: Any, observed: bool) -> None:
    tried: list[int] = []

    @tool(**options)
    async def look(n: int) -> int:
        """Look."""
        tried.append(n)
        if tried.count(n) == 1:
            await asyncio.sleep(0.01 * (3 - n))
            raise ToolError(f"busy {n}", retry=Retry(2, wait_s=0))
        return n

    model = ScriptedModel(both(calls("look", n=1), calls("look", n=2)), "end")
    agent = Agent("agent", input=str, tools=[look])
    run = walk(Graph("g", START >> agent >> END), "x", model=model, observed=observed)
    numbers = {event.input.n: event.call for event in run.events if isinstance(event, CallStarted)}
    retried = [(event.call, event.error) for event in run.events if isinstance(event, NodeRetried)]
    assert retried == [(numbers[2], "ToolError: busy 2"), (numbers[1], "ToolError: busy 1")]
    marks = [
        text
        for span in run.timeline().story.spans
        if span.label == "look"
        for _, text in span.marks
    ]
    assert marks == ["attempt 2: ToolError: busy 1", "attempt 2: ToolError: busy 2"]

    tried.clear()
    run = walk(Graph("g", START >> look >> END), 1, observed=observed)
    [on_arrow] = [event for event in run.events if isinstance(event, NodeRetried)]
    assert on_arrow.call is None
    assert to_record(on_arrow)["call"] is None


def test_jitter_only_makes_a_wait_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    chances = iter([0.0, 0.5, 1.0])
    monkeypatch.setattr("graphflow.runtime.attempts.random", lambda: next(chances))
    tries, waits = failing(ValueError("x"), Retry(4, wait_s=0.001, factor=1, jitter=0.2))
    assert tries == 4
    assert waits == pytest.approx([0.001, 0.0011, 0.0012])
    assert Retry(9, wait_s=1, max_wait_s=2, jitter=1).wait_before(9, None, 1.0) == 4
    assert Retry(2000, wait_s=1).wait_before(1999) == 30


def test_a_tool_and_a_model_are_no_exceptions() -> None:
    tries = 0

    @tool(retry=Retry(3, wait_s=0))
    async def look() -> str:
        nonlocal tries
        tries += 1
        raise AuthError("no entry") if tries == 1 else ValueError("x")

    model = ScriptedModel(calls("look"), "sorry")
    walk(Graph("g", START >> Agent("a", input=str, tools=[look]) >> END), "x", model=model)
    assert tries == 1

    asked = ScriptedModel(
        fails(RateLimited("slow", retry_after=0.01)), fails(AuthError("no")), "never asked for"
    )
    run = walk(
        Graph("g", START >> Agent("a", input=str, retry=Retry(5, wait_s=0)) >> END),
        "x",
        model=asked,
    )
    assert isinstance(run.error, AuthError)
    assert len(asked.requests) == 2


def test_jitter_is_checked_and_written() -> None:
    with pytest.raises(DeclarationError, match="jitter"):
        Retry(jitter=-1)
    agent = Agent("a", input=str, model="local:smollm2", retry=Retry(2, jitter=0.5))
    assert "jitter: 0.5" in Graph("g", START >> agent >> END).to_yaml()
