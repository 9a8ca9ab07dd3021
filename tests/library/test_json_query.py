"""JSON paths: as RFC 9535 has them, compared with a naive reading of it, and bounded."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphflow import ToolError
from nodes.tools.json_query import normalized, query, query_json
from tests.effort import soon
from tests.library.using import asked, refusal, use

STORE = {
    "store": {
        "book": [
            {
                "category": "reference",
                "author": "Nigel Rees",
                "title": "Sayings of the Century",
                "price": 8.95,
            },
            {
                "category": "fiction",
                "author": "Evelyn Waugh",
                "title": "Sword of Honour",
                "price": 12.99,
            },
            {
                "category": "fiction",
                "author": "Herman Melville",
                "title": "Moby Dick",
                "isbn": "0-553",
                "price": 8.99,
            },
            {
                "category": "fiction",
                "author": "J. R. R. Tolkien",
                "title": "The Lord",
                "isbn": "0-395",
                "price": 22.99,
            },
        ],
        "bicycle": {"color": "red", "price": 399},
    }
}
BOOKS = STORE["store"]["book"]


def values(document: Any, path: str) -> list[Any]:
    return [value for _, value in query(document, path)]


def test_a_model_takes_values_out() -> None:
    ok, text = asked(
        query_json,
        "query_json",
        document=json.dumps(STORE),
        path="$.store.book[?@.price < 10].title",
    )
    assert ok
    assert json.loads(text) == {
        "matches": [
            {"path": "$['store']['book'][0]['title']", "value": "Sayings of the Century"},
            {"path": "$['store']['book'][2]['title']", "value": "Moby Dick"},
        ],
        "cut": False,
    }
    ok, text = asked(query_json, "query_json", document="{}", path="store")
    assert (ok, "begins with $" in text) == (False, True)


@pytest.mark.parametrize(
    ("path", "found"),
    [  # RFC 9535, table 2, and its comparisons
        ("$.store.book[*].author", [b["author"] for b in BOOKS]),
        ("$..author", [b["author"] for b in BOOKS]),
        ("$.store.*", [BOOKS, STORE["store"]["bicycle"]]),
        ("$.store..price", [8.95, 12.99, 8.99, 22.99, 399]),
        ("$..book[2].title", ["Moby Dick"]),
        ("$..book[2].publisher", []),
        ("$..book[-1].title", ["The Lord"]),
        ("$..book[0,1].price", [8.95, 12.99]),
        ("$..book[:2].price", [8.95, 12.99]),
        ("$..book[::-2].price", [22.99, 12.99]),
        ("$..book[?@.isbn].price", [8.99, 22.99]),
        ("$..book[?!@.isbn].price", [8.95, 12.99]),
        ("$..book[?(@.price<10 || @.price > 20) && @['isbn']].price", [8.99, 22.99]),
        ("$..book[?@.price == $.store.book[1].price].price", [12.99]),
        ("$..book[?@.none == @.nil].price", [8.95, 12.99, 8.99, 22.99]),
        ("$..book[?@.title >= 'Sword of Honour'].price", [12.99, 22.99]),
        ('$..[?@.color == "red"].price', [399]),
        ("$ ['store'] . book", None),
        ("$", [STORE]),
        ("$..book[5,0].price", [8.95]),
    ],
)
def test_paths(path: str, found: list[Any] | None) -> None:
    if found is None:
        with pytest.raises(ToolError):
            values(STORE, path)
    else:
        assert values(STORE, path) == found


def test_truth_is_no_number_and_null_is_a_value() -> None:
    document = [1, 1.0, True, None, "1", [], {}]
    assert values(document, "$[?@ == 1]") == [1, 1.0]
    assert values(document, "$[?@ == true]") == [True]
    assert values(document, "$[?@ == null]") == [None]
    assert values(document, "$[?@ < 2]") == [1, 1.0]
    assert values([{"a": None}, {}], "$[?@.a]") == [{"a": None}]
    assert values({'it\'s "x" é\n': 1}, r"""$['it\'s "x" \u00e9\n']""") == [1]
    assert normalized(("it's", 0)) == r"$['it\'s'][0]"


@pytest.mark.parametrize(
    "path",
    [
        "",
        " ",
        "$.",
        "$[",
        "$[]",
        "$['a",
        "$[01]",
        "$.a b",
        "$[?]",
        "$[?@.a ==]",
        "$[?1]",
        "$[?@.* == 1]",
        "$[?length(@) > 1]",
        "$[?@.a = 1]",
        "$...a",
        "$[?(@.a]",
        "$['\\q']",
        "$x",
        "$[1",
        "$[1,]",
        "$" + "[?@" * 100,
        "$[?" + "(" * 100,
        "$.a\0",
    ],
)
def test_wrong_paths_say_where(path: str) -> None:
    with pytest.raises(ToolError, match="character"):
        list(query({}, path))


@pytest.mark.parametrize(
    "path",
    [
        "$..*..*..*",
        "$..[?@..[?@..[?@..a]]]",
        "$[*,*,*,*,*,*]..[*,*,*]..*",
        "$..[?@..* && @..a]",
        "$" + "..*" * 100,
    ],
)
def test_no_query_takes_long(path: str) -> None:
    document: Any = {"x": [[list(range(10))] * 10] * 10}
    with soon():
        try:
            use(query_json, document=json.dumps(document), path=path)
        except ToolError as error:
            assert "more than" in str(error)


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"a": [[0] * 1_000] * 1_000}, "$.a[?@ != $.a[0]]"),
        ({"a": [{str(n): 0 for n in range(400)}] * 1_260}, "$.a[?@ != $.a[0]]"),
        ({"a": "x" * 2_000_000, "b": "x" * 2_000_000, "c": [0] * 300_000}, "$.c[?$.a != $.b]"),
        ({"a": "x" * 2_000_000, "b": "x" * 2_000_000, "c": [0] * 300_000}, "$.c[?$.a < $.b]"),
        ([{"a": 1}, *[0] * 300_000], "$[?$..a]"),
    ],
)
def test_what_a_comparison_looks_at_counts(document: Any, path: str) -> None:
    """One is cheap for its query, and reads as much as the whole document: a filter does it for every value."""
    with soon():
        assert "more than" in refusal(query_json, document=json.dumps(document), path=path)


def test_the_same_part_again_and_again_is_cut() -> None:
    document: Any = "x" * 1_000_000
    for _ in range(50):
        document = [document]
    answer = use(query_json, document=json.dumps(document), path="$..*")
    assert answer.cut
    assert 1 < len(answer.matches) < 10


def test_what_is_no_json_or_too_deep_is_told() -> None:
    assert "not JSON" in refusal(query_json, document="{a: 1}", path="$")
    assert refusal(query_json, document="[" * 100_000, path="$")
    assert "NaN is not JSON" in refusal(query_json, document="[NaN]", path="$")
    assert use(query_json, document="[" * 99 + "]" * 99, path="$..*", most=200).matches
    assert "levels deep" in refusal(query_json, document="[" * 800 + "]" * 800, path="$..*")
    many = use(query_json, document=json.dumps(list(range(50))), path="$[*]", most=3)
    assert ([m.value for m in many.matches], many.cut) == ([0, 1, 2], True)


# -- the oracle ------------------------------------------------------------------------------------
documents = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["a", "b", ""]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=15,
)
steps = st.one_of(
    st.tuples(st.just("name"), st.sampled_from("abc")),
    st.tuples(st.just("index"), st.integers(-4, 4)),
    st.tuples(st.just("slice"), st.tuples(*[st.none() | st.integers(-4, 4)] * 3)),
    st.tuples(st.just("all"), st.none()),
    st.tuples(st.just("has"), st.sampled_from("abc")),
)


def written(kind: str, what: Any) -> str:
    match kind:
        case "name":
            return f"'{what}'"
        case "slice":
            return ":".join("" if each is None else str(each) for each in what)
        case "has":
            return f"?@.{what}"
    return "*" if kind == "all" else str(what)


def step(value: Any, kind: str, what: Any) -> list[Any]:
    if isinstance(value, dict):
        if kind == "name":
            return [value[what]] if what in value else []
        inside = list(value.values())
    elif isinstance(value, list):
        if kind == "index":
            return [value[what]] if -len(value) <= what < len(value) else []
        if kind == "slice":
            return value[slice(*what)] if what[2] != 0 else []
        inside = value
    else:
        return []
    if kind == "has":
        return [each for each in inside if isinstance(each, dict) and what in each]
    return inside if kind == "all" else []


def everything(value: Any) -> list[Any]:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [value, *(below for each in inside for below in everything(each))]


@settings(max_examples=300, deadline=None)
@given(
    documents,
    st.lists(st.tuples(st.booleans(), st.lists(steps, min_size=1, max_size=2)), max_size=3),
)
def test_it_agrees_with_a_naive_reading(document: Any, path: list[tuple[bool, list[Any]]]) -> None:
    text, wanted = "$", [document]
    for below, selectors in path:
        text += (
            (".." if below else "") + "[" + ", ".join(written(*each) for each in selectors) + "]"
        )
        starts = [each for start in wanted for each in (everything(start) if below else [start])]
        wanted = [found for start in starts for each in selectors for found in step(start, *each)]
    found = list(query(document, text))
    assert [json.dumps(value) for _, value in found] == [json.dumps(value) for value in wanted]
    for place, value in found[:20]:
        assert [json.dumps(each) for each in values(document, normalized(place))] == [
            json.dumps(value)
        ]
