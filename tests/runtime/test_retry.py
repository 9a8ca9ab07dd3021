"""Retries: what an error itself says about another try, and how long is waited before it."""

from __future__ import annotations

from typing import Any

import pytest

from graphflow import END, START, Agent, Graph, Retry, node, tool
from graphflow.errors import AuthError, BadRequest, DeclarationError, Overloaded, QuotaExceeded, RateLimited, Refused
from graphflow.events import NodeRetried
from graphflow.testing import ScriptedModel, calls, fails
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


@pytest.mark.parametrize("error", [RateLimited("slow down", retry_after=0.02), Busy(retry_after=0.02)])
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

    asked = ScriptedModel(fails(RateLimited("slow", retry_after=0.01)), fails(AuthError("no")), "never asked for")
    run = walk(Graph("g", START >> Agent("a", input=str, retry=Retry(5, wait_s=0)) >> END), "x", model=asked)
    assert isinstance(run.error, AuthError)
    assert len(asked.requests) == 2


def test_jitter_is_checked_and_written() -> None:
    with pytest.raises(DeclarationError, match="jitter"):
        Retry(jitter=-1)
    agent = Agent("a", input=str, model="local:smollm2", retry=Retry(2, jitter=0.5))
    assert "jitter: 0.5" in Graph("g", START >> agent >> END).to_yaml()
