"""Which arm a value is of, where it fits several: the narrowest, however the union was written."""

from __future__ import annotations

from typing import Any, Literal, get_args

import pytest
from pydantic import BaseModel

from graphflow import END, START, Graph, GraphError, node
from tests.conftest import A, B, Msg, walk


class Wide(BaseModel, frozen=True):
    n: int = 0


class Narrow(Wide, frozen=True):
    pass


class Narrowest(Narrow, frozen=True):
    pass


def sends(kind: Any, value: Any) -> Any:
    async def source(m: Msg) -> Any:
        return value

    source.__annotations__["return"] = kind
    return node(source)


def takes(name: str, kind: Any) -> Any:
    async def body(m: Any) -> str:
        return name

    body.__annotations__["m"] = kind
    return node(name=name)(body)


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("kind", [Wide | Narrow, Narrow | Wide])
@pytest.mark.parametrize(
    ("value", "way"), [(Wide(), "wide"), (Narrow(), "narrow"), (Narrowest(), "narrow")]
)
def test_a_value_goes_the_way_of_the_narrowest_arm_that_it_fits(
    kind: Any, value: Any, way: str, plain: bool
) -> None:
    source = sends(kind, value)
    wide, narrow = takes("wide", Wide), takes("narrow", Narrow)
    graph = Graph(
        "g", START >> source, source[Wide] >> wide >> END, source[Narrow] >> narrow >> END
    )
    assert walk(graph, Msg(), plain=plain).output == way


@pytest.mark.parametrize(
    ("kind", "value", "way"),
    [
        (float | int, 1, "narrow"),
        (float | int, 1.5, "wide"),
        (list | list[int], [1], "narrow"),
        (list | list[int], ["a"], "wide"),
        (str | Literal["yes"], "yes", "narrow"),
        (list[Wide] | list[Narrow], [Narrow()], "narrow"),
        (dict[str, Any] | dict[str, int], {"a": 1}, "narrow"),
    ],
)
def test_what_says_less_of_a_value_is_wider(kind: Any, value: Any, way: str) -> None:
    source = sends(kind, value)
    broad, fine = get_args(kind)
    graph = Graph(
        "g",
        START >> source,
        source[broad] >> takes("wide", broad) >> END,
        source[fine] >> takes("narrow", fine) >> END,
    )
    assert walk(graph, Msg()).output == way


def test_a_wider_arm_takes_a_narrower_one_that_no_edge_names() -> None:
    source = sends(Wide | Narrow | str, Narrow())
    graph = Graph(
        "g",
        START >> source,
        source[Wide] >> takes("wide", Wide) >> END,
        source[str] >> takes("s", str) >> END,
    )
    assert walk(graph, Msg()).output == "wide"


def test_an_arm_that_can_never_be_taken_is_refused() -> None:
    source = sends(list | list[Any], [])
    with pytest.raises(GraphError, match="so that arm is never taken; leave one of them out"):
        Graph(
            "g",
            START >> source,
            source[list] >> takes("a", list) >> END,
            source[list[Any]] >> takes("b", list[Any]) >> END,
        )


def test_a_value_that_fits_two_arms_alike_is_said_by_check() -> None:
    source = sends(list[A] | list[B], [])
    a, b = takes("a", list[A]), takes("b", list[B])
    graph = Graph("g", START >> source, source[list[A]] >> a >> END, source[list[B]] >> b >> END)
    assert any(
        "what is empty fits both list[A] and list[B]" in text for text in graph.check().warnings
    )
    assert walk(graph, Msg()).output == "a"
