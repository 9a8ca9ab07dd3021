"""Routers: by rule, by model, by similarity; they always tell why."""

from __future__ import annotations

import math
from enum import Enum
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphflow import END, START, Graph, GraphError, Router, node
from graphflow.errors import DeclarationError, OutputInvalid
from graphflow.events import RouteDecided
from graphflow.kinds import decision
from graphflow.kinds.decision import label_probabilities
from graphflow.model.seam import Likely
from graphflow.testing import FakeEmbedder, ScriptedModel, gives, weighs
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
    graph = Graph(
        "g", START >> router, router["odd"] >> left >> END, router["even"] >> right >> END
    )
    run = walk(graph, Msg(n=3))
    assert run.output == "left 3"
    [why] = decided(run)
    assert (why.choice, why.reason) == ("odd", "rule by_label")


def test_by_enum() -> None:
    router: Router[Msg, Msg] = Router("r", by_enum)
    graph = Graph(
        "g", START >> router, router[Size.SMALL] >> left >> END, router[Size.BIG] >> right >> END
    )
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

    return Graph(
        "g", START >> router, router["one"] >> one >> END, router["two"] >> two >> END, input=str
    )


def test_by_model_labels_are_the_schema() -> None:
    model = ScriptedModel(gives({"label": "two"}))
    run = walk(
        two_ways(Router("r", input=str, labels={"one": "the first", "two": "the second"})),
        "hey",
        model=model,
    )
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
    run = walk(
        two_ways(Router("r", input=str, labels=["one", "two"])),
        "x",
        model=ScriptedModel("three", "four"),
    )
    assert isinstance(run.error, OutputInvalid)
    run = walk(
        two_ways(Router("r", input=str, labels=["one"], otherwise="two")),
        "x",
        model=ScriptedModel("three", "four"),
    )
    assert run.output == "two: x"


def test_by_similarity_with_scores() -> None:
    examples = {"one": ["red apple", "green apple"], "two": ["fast car", "old car"]}
    run = walk(
        two_ways(Router("r", input=str, examples=examples, embedder=FakeEmbedder())), "an apple"
    )
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


# -- guards ----------------------------------------------------------------------------------------
def test_the_first_guard_that_holds() -> None:
    guards = {"one": lambda text: "a" in text, "two": lambda text: "b" in text}
    router: Router[str, str] = Router("r", input=str, guards=guards, otherwise="two")
    for text, way in (("ab", "one"), ("b", "two"), ("c", "two")):
        run = walk(two_ways(router), text)
        assert run.output == f"{way}: {text}"
    assert [why.reason for why in decided(walk(two_ways(router), "b"))] == ["guard of 'two'"]
    assert [why.reason for why in decided(walk(two_ways(router), "c"))] == ["no guard holds"]
    assert not two_ways(router).needs_models


def test_guards_want_a_way_for_what_none_of_them_takes() -> None:
    router: Router[str, str] = Router("r", input=str, guards={"one": bool, "two": bool})
    with pytest.raises(
        GraphError, match="where no guard holds nothing is chosen; give it otherwise"
    ):
        two_ways(router)


def test_a_rule_may_abstain() -> None:
    def rule(text: str) -> Literal["one"] | None:
        return "one" if text == "1" else None

    router: Router[str, str] = Router("r", rule, otherwise="two")
    assert walk(two_ways(router), "1").output == "one: 1"
    assert walk(two_ways(router), "2").output == "two: 2"

    def either(text: str) -> Literal["one", "two"] | None:
        return None

    with pytest.raises(GraphError, match="where its rule returns None nothing is chosen"):
        two_ways(Router("r", either))


# -- probabilities ---------------------------------------------------------------------------------
DESCRIBED = {"one": "the first", "two": "the second"}


@pytest.fixture(autouse=True)
def _no_bias_known() -> None:
    decision._biases.clear()


def test_probabilities_are_corrected_for_what_the_model_says_anyway() -> None:
    router: Router[str, str] = Router("r", input=str, labels=DESCRIBED, probabilities=True)
    says_one = ScriptedModel(
        weighs(one=0.6, two=0.4), weighs(one=0.9, two=0.1), weighs(one=0.7, two=0.3)
    )
    run = walk(two_ways(router), "hey", model=says_one)
    assert run.output == "two: hey"  # 0.4 / 0.2 beats 0.6 / 0.8
    [why] = decided(run)
    assert why.scores == {
        "one": pytest.approx(0.2727, abs=1e-3),
        "two": pytest.approx(0.7273, abs=1e-3),
    }
    assert "likeliest (0.73, calibrated)" in why.reason
    assert [request.turns[0].text for request in says_one.requests] == [
        "hey",
        "the first",
        "the second",
    ]  # type: ignore[union-attr]  # a user's
    assert all(request.top_logprobs == 20 for request in says_one.requests)
    assert str(two_ways(router).bounds().model_calls["r"]) == "4"
    later = ScriptedModel(weighs(one=0.9, two=0.1))  # the bias is known by now
    assert walk(two_ways(router), "ho", model=later).output == "one: ho"


def test_below_a_probability_it_abstains() -> None:
    flat = (weighs(one=0.5, two=0.5), weighs(one=0.5, two=0.5))
    router: Router[str, str] = Router(
        "r", input=str, labels=DESCRIBED, probabilities=True, threshold=0.8, otherwise="two"
    )
    run = walk(two_ways(router), "hey", model=ScriptedModel(weighs(one=0.7, two=0.3), *flat))
    assert run.output == "two: hey"
    assert "below 0.8" in decided(run)[0].reason
    run = walk(two_ways(router), "hey", model=ScriptedModel(weighs(one=0.9, two=0.1)))
    assert run.output == "one: hey"


def test_a_model_that_tells_no_probabilities_chooses_a_label() -> None:
    class Silent(ScriptedModel):
        top_logprobs = 0

    router: Router[str, str] = Router("r", input=str, labels=DESCRIBED, probabilities=True)
    silent = Silent(gives({"label": "two"}))
    run = walk(two_ways(router), "x", model=silent)
    assert (run.output, decided(run)[0].scores) == ("two: x", {})
    assert silent.requests[0].top_logprobs == 0
    # It could, and did not.
    run = walk(two_ways(router), "x", model=ScriptedModel(gives({"label": "two"})))
    assert run.output == "two: x"


def test_no_label_is_repaired_beside_probabilities() -> None:
    model = ScriptedModel("none of them", gives({"label": "two"}))
    router: Router[str, str] = Router("r", input=str, labels=DESCRIBED, probabilities=True)
    assert walk(two_ways(router), "x", model=model).output == "two: x"


def places(*tokens: tuple[str, dict[str, float]]) -> tuple[Likely, ...]:
    return tuple(
        Likely(text, tuple((t, math.log(p)) for t, p in {**top}.items())) for text, top in tokens
    )


def test_probabilities_are_read_token_by_token() -> None:
    """Labels that begin alike are told apart where they part; a token may hold the quote and the label."""
    answer = places(
        ('{"label', {'{"label': 1.0}),
        ('": "', {'": "': 1.0}),
        ("ord", {"ord": 0.8, "price": 0.1, "Nonsense": 0.05}),
        ("er", {"er": 0.6, "inary": 0.3, "s": 0.1}),
        ('"}', {'"}': 1.0}),
    )
    text = '{"label": "order"}'
    found = label_probabilities(text, answer, ["order", "ordinary", "price", "chat"])
    assert found is not None
    assert found[:3] == [pytest.approx(0.48), pytest.approx(0.24), pytest.approx(0.1)]
    assert found[3] == pytest.approx(0.05)  # no likelier than the last that is told
    joined = places(
        ('{"label":', {'{"label":': 1.0}),
        (' "two', {' "two': 0.7, ' "one': 0.2}),
        ('"}', {'"}': 1.0}),
    )
    assert label_probabilities('{"label": "two"}', joined, ["one", "two"]) == [
        pytest.approx(0.2),
        pytest.approx(0.7),
    ]
    prefix = places(('{"label": "', {}), ("in", {"in": 1.0}), ('"', {'"': 0.9, "voice": 0.1}))
    assert label_probabilities('{"label": "in"}', prefix, ["in", "invoice"]) == [
        pytest.approx(0.9),
        pytest.approx(0.1),
    ]
    fenced = (*places(("```", {"```": 1.0})), *joined)
    assert label_probabilities('{"label": "two"}', fenced, ["one", "two"]) == [
        pytest.approx(0.2),
        pytest.approx(0.7),
    ]
    assert label_probabilities("order", answer, ["order"]) is None
    assert label_probabilities(text, (), ["order"]) is None


@given(
    st.lists(st.text('abc"\\ ', min_size=1, max_size=5), min_size=1, max_size=8),
    st.lists(st.text("abc", min_size=1, max_size=4), min_size=2, max_size=5, unique=True),
)
def test_reading_probabilities_never_fails(tokens: list[str], labels: list[str]) -> None:
    text = '{"label": "' + "".join(tokens)
    likely = places(
        ('{"label": "', {}), *((token, {token: 0.5, labels[0]: 0.3}) for token in tokens)
    )
    found = label_probabilities(text, likely, labels)
    assert found is None or (len(found) == len(labels) and all(0 < p <= 1.0000001 for p in found))


def test_a_model_says_why() -> None:
    router: Router[str, str] = Router("r", input=str, labels=DESCRIBED, explain=True)
    model = ScriptedModel(gives({"reason": "it comes after the first", "label": "two"}))
    run = walk(two_ways(router), "hey", model=model)
    assert decided(run)[0].reason == "it comes after the first"
    schema = model.requests[0].output_schema
    assert schema is not None
    assert list(schema["properties"]) == ["reason", "label"]


# -- cascades --------------------------------------------------------------------------------------
def cascade(**options: Any) -> Router[str, str]:
    stages: list[Router[Any, Any]] = [
        Router(
            "guards",
            input=str,
            guards={"one": lambda text: text.startswith("!"), "two": lambda text: "?" in text},
        ),
        Router(
            "meaning",
            input=str,
            examples={"one": ["red apple"], "two": ["fast car"]},
            threshold=0.6,
            embedder=FakeEmbedder(),
        ),
        Router("model", input=str, labels=DESCRIBED),
    ]
    return Router("r", input=str, cascade=stages[: options.pop("stages", 3)], **options)


def test_each_stage_that_abstains_leaves_it_to_the_next() -> None:
    for text, way, reasons in (
        ("!x", "one", 1),
        ("a fast car", "two", 2),
        ("nothing like it", "two", 3),
    ):
        model = ScriptedModel(gives({"label": "two"}))
        run = walk(two_ways(cascade()), text, model=model)
        assert run.output == f"{way}: {text}"
        why = decided(run)[0]
        assert len(why.reason.split("; ")) == reasons
        assert len(model.requests) == (reasons == 3)
    assert (
        "guards: no guard holds; meaning: no label is as near as 0.6 (nearest: one); model: model scripted"
        in why.reason
    )
    assert why.scores == {}  # who decided had none
    assert two_ways(cascade()).needs_models
    assert str(two_ways(cascade()).bounds().model_calls["r"]) == "2"


def test_who_always_abstains_wants_otherwise() -> None:
    run = walk(two_ways(cascade(stages=2, otherwise="two")), "nothing like it")
    assert run.output == "two: nothing like it"
    run = walk(two_ways(cascade(stages=2)), "nothing like it")
    assert isinstance(run.error, OutputInvalid)
    assert "give it otherwise" in str(run.error)
    with pytest.raises(GraphError, match="or a last stage that always decides"):
        two_ways(cascade(stages=1))


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (
            lambda: Router("r", by_label, guards={"a": bool}),
            "has rule and guards; it decides by one of them",
        ),
        (lambda: Router("r", guards={"a": bool}, examples={"a": ["x"]}), "has guards and examples"),
        (
            lambda: Router("r", guards={"a": 3, "b": bool}),
            "the guard of 'a' must be a plain function",
        ),  # type: ignore[dict-item]
        (
            lambda: Router("r", guards={"a": by_enum, "b": bool}),
            "the guard of 'a' must be a plain function",
        ),  # type: ignore[dict-item]
        (lambda: Router("r", cascade=[left]), "in its cascade is not a router"),  # type: ignore[list-item]
        (lambda: Router("r", cascade=[Router("s", by_type)]), "chooses messages, not labels"),
        (
            lambda: Router("r", cascade=[Router("s", labels=["a"], otherwise="b")]),
            "would never abstain; give it to the cascade",
        ),
    ],
)
def test_wrong_declarations(make: Any, problem: str) -> None:
    with pytest.raises(DeclarationError, match=problem):
        make()
