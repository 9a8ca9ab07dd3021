"""Routers: by rule, by model, by similarity; they always tell why."""

from __future__ import annotations

from enum import Enum
from typing import Any, Literal

from graphflow import END, START, Graph, Router, node
from graphflow.errors import OutputInvalid
from graphflow.events import RouteDecided
from graphflow.testing import FakeEmbedder, ScriptedModel, gives
from tests.conftest import A, B, Msg, walk


class Size(Enum):
    SMALL = "small"
    BIG = "big"


def by_label(m: Msg) -> Literal["odd", "even"]:
    return "odd" if m.n % 2 else "even"


async def by_enum(m: Msg) -> Size:
    return Size.BIG if m.n > 9 else Size.SMALL


def by_type(m: Msg) -> A | B:
    return A(n=m.n) if m.n else B()


@node
async def left(m: Msg) -> str:
    return f"left {m.n}"


@node
async def right(m: Msg) -> str:
    return f"right {m.n}"


def decided(run: Any) -> list[RouteDecided]:
    return [e for e in run.events if isinstance(e, RouteDecided)]


def test_by_rule_the_input_travels_on() -> None:
    router: Router[Msg, Msg] = Router("r", by_label)
    graph = Graph("g", START >> router, router["odd"] >> left >> END, router["even"] >> right >> END)
    run = walk(graph, Msg(n=3))
    assert run.output == "left 3"
    [why] = decided(run)
    assert (why.choice, why.reason) == ("odd", "rule by_label")


def test_by_enum() -> None:
    router: Router[Msg, Msg] = Router("r", by_enum)
    graph = Graph("g", START >> router, router[Size.SMALL] >> left >> END, router[Size.BIG] >> right >> END)
    assert walk(graph, Msg(n=30)).output == "right 30"


def test_by_type_the_returned_message_travels_on() -> None:
    router: Router[Msg, Any] = Router("r", by_type)

    @node
    async def take_a(a: A) -> str:
        return f"a {a.n}"

    graph = Graph("g", START >> router, router[A] >> take_a >> END, router[B] >> END)
    assert walk(graph, Msg(n=4)).output == "a 4"
    assert walk(graph, Msg(n=0)).output == B()


def two_ways(router: Router[Any, Any]) -> Graph[Any, Any]:
    @node
    async def one(text: str) -> str:
        return f"one: {text}"

    @node
    async def two(text: str) -> str:
        return f"two: {text}"

    return Graph("g", START >> router, router["one"] >> one >> END, router["two"] >> two >> END, input=str)


def test_by_model_labels_are_the_schema() -> None:
    model = ScriptedModel(gives({"label": "two"}))
    run = walk(two_ways(Router("r", input=str, labels={"one": "the first", "two": "the second"})), "hey", model=model)
    assert run.output == "two: hey"
    schema = model.requests[0].output_schema
    assert schema is not None
    assert schema["properties"]["label"]["enum"] == ["one", "two"]
    assert "the second" in model.requests[0].system
    assert decided(run)[0].reason == "model scripted"


def test_by_model_one_repair() -> None:
    run = walk(
        two_ways(Router("r", input=str, labels=["one", "two"])),
        "x",
        model=ScriptedModel("three", gives({"label": "one"})),
    )
    assert run.output == "one: x"
    run = walk(two_ways(Router("r", input=str, labels=["one", "two"])), "x", model=ScriptedModel("three", "four"))
    assert isinstance(run.error, OutputInvalid)
    run = walk(
        two_ways(Router("r", input=str, labels=["one"], otherwise="two")), "x", model=ScriptedModel("three", "four")
    )
    assert run.output == "two: x"


def test_by_similarity_with_scores() -> None:
    examples = {"one": ["red apple", "green apple"], "two": ["fast car", "old car"]}
    run = walk(two_ways(Router("r", input=str, examples=examples, embedder=FakeEmbedder())), "an apple")
    assert run.output == "one: an apple"
    [why] = decided(run)
    assert why.scores["one"] > why.scores["two"]
    assert "nearest" in why.reason


def test_below_the_threshold_otherwise_is_taken() -> None:
    examples = {"one": ["red apple"]}
    router: Router[str, str] = Router(
        "r", input=str, examples=examples, otherwise="two", threshold=0.5, embedder=FakeEmbedder()
    )
    assert walk(two_ways(router), "something else entirely").output.startswith("two")
    assert walk(two_ways(router), "red apple").output.startswith("one")


def test_only_what_is_asked_of_a_model_needs_one() -> None:
    assert not two_ways(
        Router("r", input=str, examples={"one": ["x"], "two": ["y"]}, embedder=FakeEmbedder())
    ).needs_models
    assert two_ways(Router("r", input=str, labels=["one", "two"])).needs_models
