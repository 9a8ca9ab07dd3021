"""Items of OpenAI Responses: streamed, told again at the end, and matched by what they are and not by where they stand."""

from __future__ import annotations

from typing import Any

import pytest

from graphflow import END, START, Agent, Graph, tool
from graphflow.events import ModelDelta
from graphflow.run import Run
from tests.conftest import heard, walk
from tests.providers.raw_server import RawServer
from tests.providers.spelled import Json, asked_at, says, streamed

done: list[tuple[str, int]] = []


@tool
async def pay(to: str = "nobody", cents: int = 0) -> str:
    """Pay somebody."""
    done.append((to, cents))
    return "paid"


@pytest.fixture(autouse=True)
def nothing_done() -> None:
    done.clear()


def run(*events: Json, seen: bool = False) -> tuple[Run[Any], list[bytes]]:
    """A walk whose model streams these events first, and then says that it is done."""
    graph = Graph("g", START >> Agent("a", tools=[pay]) >> END)
    with RawServer(streamed("openai-responses", *events), says("openai-responses", "done")) as raw:
        ended = walk(graph, "go", model=asked_at("openai-responses", raw), observed=seen)
        return ended, raw.requests


def call(name: str = "A", arguments: str = '{"to": "A", "cents": 5}', **more: Any) -> Json:
    return {
        "type": "function_call",
        "id": f"fc_{name}",
        "call_id": f"call_{name}",
        "name": "pay",
        "arguments": arguments,
        **more,
    }


def reasoning(encrypted: str = "secret") -> Json:
    return {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": encrypted}


def message(text: str, id: str | None = "msg_1") -> Json:
    return {"type": "message", "content": [{"type": "output_text", "text": text}]} | (
        {"id": id} if id else {}
    )


def added(index: int, item: Json) -> Json:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def item_done(index: int, item: Json) -> Json:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def delta(index: int, piece: str, kind: str = "function_call_arguments", **more: Any) -> Json:
    return {"type": f"response.{kind}.delta", "output_index": index, "delta": piece, **more}


def completed(*output: Json, **more: Any) -> Json:
    return {
        "type": "response.completed",
        "response": {"status": "completed", "output": list(output), **more},
    }


def test_a_call_whose_place_has_shifted_in_the_terminal_output_runs_once() -> None:
    whole = call()
    streamed_call = (
        added(1, call(arguments="")),
        delta(1, whole["arguments"]),
        item_done(1, whole),
    )
    ended, requests = run(
        added(0, reasoning()), item_done(0, reasoning()), *streamed_call, completed(whole)
    )
    assert ended.output == "done"
    assert done == [("A", 5)]
    sent = requests[1]
    # What was streamed goes back, though the end lacked it.
    assert sent.index(b"rs_1") < sent.index(b"fc_A")
    assert sent.count(b'"function_call_output"') == 1


@pytest.mark.parametrize("ids", [True, False], ids=["by id", "without ids"])
def test_a_text_whose_place_has_shifted_is_said_once(ids: bool) -> None:
    said = message("Hello", "msg_1" if ids else None)
    events = (
        added(0, reasoning()),
        item_done(0, reasoning()),
        added(1, said),
        delta(1, "Hello", "output_text"),
    )
    ended, _ = run(*events, completed(said), seen=True)
    assert ended.output == "Hello"
    assert [e.text for e in heard(ended) if isinstance(e, ModelDelta)] == ["Hello"]


def test_a_call_whose_ids_change_from_event_to_event_runs_once() -> None:
    ended, _ = run(
        added(0, {**call(arguments=""), "id": "fc_x"}),
        delta(0, call()["arguments"], item_id="fc_y"),
        item_done(0, {**call(), "id": "fc_z"}),
        completed({**call(), "id": "fc_w"}),
    )
    assert (ended.output, done) == ("done", [("A", 5)])


@pytest.mark.parametrize("told", ["arguments", "item"])
def test_arguments_that_come_only_when_they_are_done_are_not_lost(told: str) -> None:
    whole = call()
    last: Json = {
        "type": "response.function_call_arguments.done",
        "output_index": 0,
        "arguments": whole["arguments"],
    }
    events = [last] if told == "arguments" else [item_done(0, whole)]
    ended, _ = run(added(0, call(arguments="")), *events, completed())
    assert (ended.output, done) == ("done", [("A", 5)])


def test_a_call_of_which_only_the_beginning_came_is_not_run_with_its_defaults() -> None:
    ended, requests = run(added(0, call(arguments="")), completed())
    assert (ended.output, done) == ("done", [])
    assert b"cut off" in requests[1]
    ended, requests = run(added(0, call()), completed(call(arguments="", status="incomplete")))
    assert (ended.output, done) == ("done", [])


@pytest.mark.parametrize("told", ["text", "part", "item"])
def test_a_text_that_comes_only_when_it_is_done_is_not_lost(told: str) -> None:
    place = {"output_index": 0, "content_index": 0}
    events = {
        "text": {"type": "response.output_text.done", "text": "Hello", **place},
        "part": {
            "type": "response.content_part.done",
            "part": message("Hello")["content"][0],
            **place,
        },
        "item": item_done(0, message("Hello")),
    }
    ended, _ = run(added(0, message("")), events[told], completed())
    assert ended.output == "Hello"
    everything = (delta(0, "Hel", "output_text", content_index=0), *events.values())
    ended, _ = run(added(0, message("")), *everything, completed(message("Hello")))
    assert ended.output == "Hello"


def test_texts_of_two_parts_are_joined_once() -> None:
    whole = message("Hello")
    whole["content"].append({"type": "output_text", "text": " world"})
    first = {
        "type": "response.output_text.done",
        "output_index": 0,
        "content_index": 0,
        "text": "Hello",
    }
    second = {
        "type": "response.output_text.done",
        "output_index": 0,
        "content_index": 1,
        "text": " world",
    }
    ended, _ = run(first, second, item_done(0, whole), completed())
    assert ended.output == "Hello world"
    ended, _ = run(first, second, item_done(0, whole), completed(whole))
    assert ended.output == "Hello world"


def test_what_the_end_says_otherwise_begins_the_answer_again() -> None:
    ended, _ = run(delta(0, "Hallo", "output_text"), completed(message("Hello")), seen=True)
    assert ended.output == "Hello"
    assert "restart" in [e.channel for e in heard(ended) if isinstance(e, ModelDelta)]


def test_reasoning_that_only_the_end_tells_goes_back_before_its_call() -> None:
    ended, requests = run(
        added(0, call(arguments="")), item_done(0, call()), completed(reasoning(), call())
    )
    assert (ended.output, done) == ("done", [("A", 5)])
    sent = requests[1]
    assert 0 < sent.index(b"rs_1") < sent.index(b"fc_A")


def test_calls_that_only_the_end_tells_are_run_too() -> None:
    ended, _ = run(
        item_done(0, call("A")), completed(call("A"), call("B", '{"to": "B", "cents": 7}'))
    )
    assert ended.output == "done"
    assert sorted(done) == [("A", 5), ("B", 7)]


def test_a_refusal_that_comes_only_when_it_is_done_is_one() -> None:
    refused = {
        "type": "response.refusal.done",
        "output_index": 0,
        "content_index": 0,
        "refusal": "I will not.",
    }
    ended, _ = run(refused, completed())
    assert "I will not." in str(ended.error)


def test_an_answer_that_waits_in_a_queue_first_is_read() -> None:
    queued = {
        "type": "response.queued",
        "response": {"id": "resp_9", "model": "gpt-5", "status": "queued"},
    }
    ended, _ = run(queued, delta(0, "Hello", "output_text"), completed(message("Hello")))
    assert ended.output == "Hello"
