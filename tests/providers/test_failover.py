"""Failover, keys in turn, pace and prices: which error leads where, and what is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphflow import END, START, Agent, Failover, Graph, connect, errors
from graphflow.errors import DeclarationError
from graphflow.events import ModelRetried, ModelSwitched
from graphflow.model.prices import (
    Price,
    context_window,
    cost_of,
    estimate_tokens,
    price_of,
    set_price,
)
from graphflow.model.reply import Reply, gather
from graphflow.model.seam import Finished, ModelEvent, Opened, Request, Switched, TextDelta
from graphflow.model.turns import UserTurn
from graphflow.providers import Pace, RetryPolicy
from graphflow.providers.keys import Key, Keyring
from graphflow.providers.pace import Bucket
from graphflow.testing import ScriptedModel, fails, says
from tests.conftest import walk
from tests.providers.raw_server import RawServer, reply
from tests.providers.test_faults import CHAT, RATE, head

ASKED = Request((UserTurn("Hi"),))


class Half:
    """A model that breaks off half way."""

    name = "half"

    async def stream(self, request: Request) -> AsyncIterator[ModelEvent]:
        yield Opened("x")
        yield TextDelta("Hel")
        raise errors.ConnectionFailed("cut")


def named(name: str, *replies: Any) -> ScriptedModel:
    model = ScriptedModel(*replies)
    model.name = name
    return model


def ask(model: Any, heard: list[ModelEvent] | None = None) -> Reply:
    return asyncio.run(gather(model.stream(ASKED), None if heard is None else heard.append))


# -- failover --------------------------------------------------------------------------------------
def test_the_next_model_answers_and_the_switch_is_told_in_the_journal() -> None:
    one = named("one", fails(errors.Overloaded("busy")))
    graph = Graph("g", START >> Agent("a") >> END, model=Failover(one, named("two", says("yes"))))
    run = walk(graph, "x")
    assert run.output == "yes"
    [switch] = [event for event in run.events if isinstance(event, ModelSwitched)]
    assert (switch.source, switch.target) == ("one", "two")
    assert "busy" in switch.error


def test_an_error_of_the_request_leads_nowhere() -> None:
    two = named("two", says("never"))
    with pytest.raises(errors.BadRequest):
        ask(Failover(named("one", fails(errors.BadRequest("bad"))), two))
    assert not two.requests


def test_an_error_may_lead_to_a_model_of_its_own() -> None:
    small = named("small", fails(errors.ContextOverflow("long")))
    big, other = named("big", says("read it all")), named("other", says("no"))
    assert ask(Failover(small, other, route={errors.ContextOverflow: big})).text == "read it all"
    assert not other.requests


def test_the_last_error_tells_of_those_before_it() -> None:
    both = Failover(
        named("one", fails(errors.Overloaded("busy"))),
        named("two", fails(errors.RateLimited("slow"))),
    )
    with pytest.raises(errors.RateLimited) as caught:
        ask(both)
    assert "before it, one failed: Overloaded: busy" in caught.value.__notes__[0]


def test_a_model_that_failed_rests_and_comes_back() -> None:
    now = [0.0]
    one = named("one", fails(errors.RateLimited("slow", retry_after=10)), says("back"))
    two = named("two", says("a"), says("b"))
    both = Failover(one, two, clock=lambda: now[0])
    assert ask(both).text == "a"
    now[0] = 9.0
    assert ask(both).text == "b"
    assert len(one.requests) == 1  # it was not even asked
    now[0] = 11.0
    assert ask(both).text == "back"


def test_half_an_answer_is_not_continued_by_another_model_unless_asked_for() -> None:
    with pytest.raises(errors.ConnectionFailed):
        ask(Failover(Half(), named("two", says("whole"))))
    assert ask(Failover(Half(), named("two", says("whole")), restart=True)).text == "whole"


def test_one_model_is_no_failover_and_a_missing_key_is_told_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(DeclarationError, match="at least two"):
        Failover("openai:a")
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    first = named("one", says("spent"))
    graph = Graph("g", START >> Agent("a") >> END, model=Failover(first, "anthropic:b"))
    with pytest.raises(errors.KeyMissing, match="ANTHROPIC_API_KEY"):
        asyncio.run(graph.run("x"))
    assert not first.requests


# -- keys ------------------------------------------------------------------------------------------
def test_keys_are_used_in_turn() -> None:
    ring = Keyring([Key(f"key-{n}", f"no. {n}") for n in range(3)], clock=lambda: 0.0)
    assert [key.label for _ in range(4) if (key := ring.take())] == [
        "no. 0",
        "no. 1",
        "no. 2",
        "no. 0",
    ]


@given(
    st.lists(
        st.tuples(st.sampled_from(["take", "rest", "refuse", "wait"]), st.integers(0, 3)),
        max_size=40,
    )
)
@settings(max_examples=100, deadline=None)
def test_a_key_that_rests_or_was_refused_is_never_taken(steps: list[tuple[str, int]]) -> None:
    now = [0.0]
    keys = [Key(f"key-{n}", f"no. {n}") for n in range(4)]
    ring = Keyring(keys, clock=lambda: now[0])
    until, refused = dict.fromkeys(range(4), 0.0), set()
    for step, number in steps:
        match step:
            case "rest":
                ring.rest(keys[number], 5)
                until[number] = now[0] + 5
            case "refuse":
                ring.refuse(keys[number])
                refused.add(number)
            case "wait":
                now[0] += number
            case _:
                free = [n for n in range(4) if n not in refused and until[n] <= now[0]]
                taken = ring.take()
                assert (taken is None) == (not free)
                assert taken is None or keys.index(taken) in free


def test_a_refused_key_is_dropped_and_a_limited_one_rests() -> None:
    wrong = reply(b'{"error":{"message":"no","code":"invalid_api_key"}}', 401)
    heard: list[Any] = []
    with RawServer(
        wrong, reply(RATE, 429, retry_after="30"), [head() + CHAT], [head() + CHAT]
    ) as raw:
        model: Any = connect("openai:m", keys=["key-aaa", "key-bbb", "key-ccc"], base_url=raw.url)
        assert ask(model, heard).text == "Hello world"
        assert ask(model).text == "Hello world"
        sent = [request.split(b"Bearer ")[1][:7] for request in raw.requests]
    assert sent == [b"key-aaa", b"key-bbb", b"key-ccc", b"key-ccc"]
    assert [type(e.error).__name__ for e in heard if isinstance(e, Switched)] == [
        "AuthError",
        "RateLimited",
    ]
    assert model.keys.state["openai key 1"] == "refused"
    assert model.keys.state["openai key 2"].startswith("resting")
    assert "key-" not in repr(heard)


def test_several_keys_in_one_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "key-one, key-two")
    model: Any = connect("groq:m")
    assert [key.reveal() for key in model.keys.keys] == ["key-one", "key-two"]
    monkeypatch.setenv("MY_OWN", "key-mine")
    assert connect("groq:m", key="$MY_OWN").keys.take().reveal() == "key-mine"  # type: ignore[attr-defined]


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "schlüssel", " ", "\x00"])
def test_what_cannot_be_a_key_is_told_without_it(key: str) -> None:
    with pytest.raises(errors.AuthError) as caught:
        connect("openai:m", key=key)
    assert key.strip() == "" or key not in str(caught.value)


def test_a_retry_is_told_in_the_journal() -> None:
    graph = Graph("g", START >> Agent("a") >> END)
    with RawServer(reply(RATE, 429, retry_after_ms="1"), [head() + CHAT]) as raw:
        run = walk(graph, "x", model=connect("openai:m", key="k", base_url=raw.url))
    [retry] = [event for event in run.events if isinstance(event, ModelRetried)]
    assert (retry.attempt, "slow down" in retry.error) == (2, True)
    assert run.usage.model_calls == 1


# -- retry and pace --------------------------------------------------------------------------------
@given(st.integers(2, 12), st.floats(0, 300), st.none() | st.floats(0, 1000))
def test_waits_keep_to_their_bounds(attempt: int, waited: float, asked: float | None) -> None:
    policy = RetryPolicy(attempts=8)
    wait = policy.wait_before(attempt, errors.RateLimited("x", retry_after=asked), waited)
    if wait is None:
        assert (
            attempt > 8
            or waited + (asked if asked is not None else policy.wait_s) * 1.1 > policy.total_s * 0.5
        )
    else:
        assert waited + wait <= policy.total_s
        assert wait <= policy.max_wait_s if asked is None else asked <= wait <= asked * 1.1
    assert policy.wait_before(2, errors.BadRequest("x"), 0) is None


@given(
    st.lists(st.tuples(st.floats(0, 20), st.floats(1, 30)), min_size=1, max_size=60),
    st.floats(1, 600),
)
@settings(deadline=None)
def test_no_minute_sees_more_than_two_buckets(
    calls: list[tuple[float, float]], rate: float
) -> None:
    now = [0.0]
    bucket = Bucket(rate, clock=lambda: now[0])
    admitted: list[tuple[float, float]] = []
    for pause, amount in calls:
        now[0] += pause
        admitted.append((now[0] + bucket.take(amount), min(amount, rate)))
    for start, _ in admitted:
        used = sum(amount for at, amount in admitted if start <= at < start + 60)
        assert used <= 2 * rate + 1e-6  # a full bucket, and what flows in during a minute


def test_a_pace_delays_and_is_corrected_by_what_was_used() -> None:
    now = [0.0]
    pace = Pace(rpm=60, tpm=600, clock=lambda: now[0])
    assert pace.tokens is not None
    assert pace.requests is not None

    async def main() -> None:
        await pace.admit(500)
        pace.settle(500, 100)
        assert pace.tokens is not None
        assert pace.tokens.level == 500

    asyncio.run(main())
    for bad in (0, -1):
        with pytest.raises(DeclarationError):
            Pace(rpm=bad)


# -- prices ----------------------------------------------------------------------------------------
def test_prices_of_the_table_cached_tokens_and_tiers() -> None:
    assert cost_of("openai:gpt-5-mini", 1_000_000, 0) == pytest.approx(0.25)
    assert cost_of("openai:gpt-5-mini", 1_000_000, 0, 1_000_000) == pytest.approx(0.025)
    assert cost_of("openai:gpt-5-mini-2025-08-07", 0, 1_000_000) == pytest.approx(2.0)
    low, high = (
        cost_of("google:gemini-2.5-pro", 200_000, 0),
        cost_of("google:gemini-2.5-pro", 200_001, 0),
    )
    assert low == pytest.approx(0.25)
    assert high == pytest.approx(0.5000025)
    assert context_window("anthropic:claude-3-5-haiku-latest") == 200_000


def test_an_unknown_price_is_none_and_can_be_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert cost_of("openai:no-such-model", 10, 10) is None
    assert cost_of("nobody:x", 10, 10) is None
    set_price("openai:no-such-*", Price(1, 2))
    try:
        assert cost_of("openai:no-such-model", 1_000_000, 1_000_000) == 3
    finally:
        set_price("openai:no-such-*", None)
    table = tmp_path / "prices.json"
    table.write_text('{"compatible:mine": {"input": 4, "output": 5}}')
    monkeypatch.setenv("GRAPHFLOW_PRICES", str(table))
    found = price_of("compatible:mine")
    assert found is not None
    assert found.output == 5
    (tmp_path / "bad.json").write_text("[1]")
    monkeypatch.setenv("GRAPHFLOW_PRICES", str(tmp_path / "bad.json"))
    with pytest.raises(errors.FileUnreadable, match="not a table of prices"):
        price_of("compatible:mine")


def test_the_cost_of_a_walk_and_of_its_parts() -> None:
    usage = CHAT.replace(b'"prompt_tokens":3', b'"prompt_tokens":1000')
    graph = Graph("g", START >> Agent("first") >> Agent("second") >> END)
    with RawServer([head() + usage]) as raw:
        known = walk(graph, "x", model=connect("openai:gpt-5-mini", key="k", base_url=raw.url))
        unknown = walk(
            graph, "x", model=connect("openai:gpt-unheard-of", key="k", base_url=raw.url)
        )
    assert known.usage.usd == pytest.approx(2 * (1000 * 0.25 + 2 * 2.0) / 1e6)
    assert known.usage_by_node["g > second"].usd == pytest.approx(known.usage.usd / 2)
    assert known.usage_by_node["g > first"].model_calls == 1
    assert known.usage_by_frame["g",].input_tokens == 2000
    assert unknown.usage.usd is None


def test_bounds_know_a_cost_where_prices_do() -> None:
    graph = Graph("g", START >> Agent("a", model="openai:gpt-5-mini", repairs=0) >> END)
    bound = graph.bounds().usd
    assert bound == pytest.approx(400_000 * 2.25 / 1e6)
    assert (
        Graph("g", START >> Agent("a", model="openai:gpt-unheard-of") >> END).bounds().usd is None
    )


def test_tokens_are_estimated_without_network() -> None:
    assert estimate_tokens("") == 0
    assert estimate_tokens("word " * 100) == 125


def test_a_finished_stream_is_needed() -> None:
    async def events() -> AsyncIterator[ModelEvent]:
        yield TextDelta("half")

    with pytest.raises(errors.MalformedReply) as caught:
        asyncio.run(gather(events()))
    assert caught.value.partial.text == "half"
    assert Finished("stop").raw == ""


def test_tokens_of_tries_that_failed_are_counted() -> None:
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":100,"completion_tokens":5}}\n\n'
    broken = CHAT[: CHAT.index(b"data: [DONE]")].replace(b"data: {", usage + b"data: {", 1)
    failing = (
        broken[: broken.index(b' world"')]
        + b'"}}]}\n\ndata: {"error":{"message":"busy","code":"overloaded_error"}}\n\n'
    )
    graph = Graph("g", START >> Agent("a") >> END)
    with RawServer([head() + failing], [head() + CHAT]) as raw:
        policy = RetryPolicy(wait_s=0.001, restart=True)
        run = walk(
            graph, "x", model=connect("openai:gpt-5-mini", key="k", base_url=raw.url, retry=policy)
        )
    assert run.output == "Hello world"
    assert (run.usage.input_tokens, run.usage.output_tokens) == (103, 7)
    assert run.usage.usd == pytest.approx((103 * 0.25 + 7 * 2.0) / 1e6)
    with RawServer([head() + failing]) as raw:
        failed = walk(
            graph, "x", model=connect("openai:gpt-5-mini", key="k", base_url=raw.url, retry=1)
        )
    assert isinstance(failed.error, errors.Overloaded)
    assert failed.usage.input_tokens == 100
