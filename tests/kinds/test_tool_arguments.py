"""Arguments of tools: how what a model wrote, what code gives and what comes along an edge is read."""

from __future__ import annotations

import pytest

from graphflow import END, START, Context, Graph, Retry, ToolError, node, tool
from graphflow.errors import ArgumentsInvalid
from graphflow.testing import both, calls
from tests.conftest import walk
from tests.toolbox import ask, told, wrote

both_ways = pytest.mark.parametrize("observed", [False, True])


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("{'a': 1}", "not valid JSON"),
        ('{"a": 1', "not valid JSON"),
        ("[1, 2]", "write them as a JSON object; it takes a, b"),
        ('"a"', "write them as a JSON object; it takes a, b"),
        ("7", "write them as a JSON object; it takes a, b"),
        ("", "a: Field required; b: Field required"),
        ("null", "a: Field required; b: Field required"),
    ],
)
def test_what_is_no_object_is_told_so(written: str, words: str) -> None:
    @tool
    async def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    result = told(add, written)
    assert not result.ok
    assert words in result.text


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("bees", "bees"),
        ('"bees"', "bees"),
        ('{"query": "bees"}', "bees"),
        ("7", "7"),
        ("true", "true"),
    ],
)
def test_of_an_only_argument_the_bare_value_will_do(written: str, text: str) -> None:
    @tool
    async def search(query: str, *, most: int = 3) -> str:
        """Search."""
        return f"<{query}>"

    assert told(search, written).text == f"<{text}>"


@both_ways
def test_a_message_that_is_json_is_still_the_only_argument(observed: bool) -> None:
    """What a text says must not decide how it is read: on an edge and in code it is a value."""

    @tool
    async def parse(text: str) -> str:
        """Parse."""
        return f"<{text}>"

    @node(calls=[parse])
    async def lead(text: str, ctx: Context) -> str:
        return await ctx.call(parse, text)

    for document in ('{"a": 1}', '{"text": "x"}', "[1]", '{"broken', ""):
        assert (
            walk(Graph("g", START >> parse >> END), document, observed=observed).output
            == f"<{document}>"
        )
        assert (
            walk(Graph("g", START >> lead >> END), document, observed=observed).output
            == f"<{document}>"
        )


def test_code_calls_with_a_dict_a_model_the_only_argument_or_json() -> None:
    @tool
    async def count(words: dict[str, int]) -> int:
        """Count."""
        return sum(words.values())

    @node(calls=[count])
    async def lead(text: str, ctx: Context) -> list[int]:
        whole = count.arguments(words={"a": 1})  # type: ignore[call-arg]
        given = [{"words": {"a": 1}}, {"a": 1, "b": 2}, whole, '{"words": {"a": 4}}']
        answers = [await ctx.call(count, each) for each in given]
        with pytest.raises(ArgumentsInvalid, match=r"words\.a: Input should be a valid integer"):
            await ctx.call(count, {"words": {"a": "x"}})
        return answers

    assert walk(Graph("g", START >> lead >> END), "x").output == [1, 3, 1, 4]


def test_the_required_argument_takes_the_message_wherever_it_stands() -> None:
    @tool
    async def find(*, most: int = 5, query: str) -> str:
        """Find."""
        return f"{query} {most}"

    assert walk(Graph("g", START >> find >> END), "bees").output == "bees 5"


# -- the error is the result of that very call -----------------------------------------------------
@both_ways
def test_wrong_calls_are_errors_of_their_own_and_the_others_are_unharmed(observed: bool) -> None:
    done: list[int] = []

    @tool
    async def square(n: int) -> int:
        """Square."""
        done.append(n)
        if n == 4:
            raise ToolError("four is taken", retry=Retry(attempts=1))
        return n * n

    turn = wrote(
        ("square", '{"n": 2}'),
        ("square", '{"n": "two"}'),
        ("sqare", '{"n": 2}'),
        ("square", "{"),
        ("square", '{"n": 4}'),
        ("square", '{"n": 3}'),
    )
    _, results = ask([square], turn, observed=observed)
    assert [r.id for r in results] == [f"call_1_{i}" for i in range(6)]
    assert [r.name for r in results] == ["square", "square", "sqare", "square", "square", "square"]
    assert [r.ok for r in results] == [True, False, False, False, False, True]
    assert results[0].text == "4"
    assert results[5].text == "9"
    assert "n: Input should be a valid integer" in results[1].text
    assert "there is no tool named 'sqare'; you can call: square" in results[2].text
    assert "not valid JSON" in results[3].text
    assert results[4].text == "ToolError: four is taken"
    assert sorted(done) == [2, 3, 4]


def test_arguments_that_do_not_fit_are_a_step_of_the_walk_like_any_call() -> None:
    @tool
    async def double(n: int) -> int:
        return 2 * n

    run, results = ask([double], both(calls("double", n="two"), calls("double", n=2)))
    assert [r.ok for r in results] == [False, True]
    seen = [(e.kind, getattr(e, "input", None)) for e in run.events if e.kind.startswith("call.")]
    assert ("call.start", "[arguments that do not fit]") in seen
    assert [kind for kind, _ in seen].count("call.error") == 1
    assert run.usage.steps == 3
