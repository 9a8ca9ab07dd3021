"""A walk's picture that says why a node ran, or why it did not: what led to it stands out, and the reasons stand under its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graphflow import END, START, Graph, Message, node
from graphflow.errors import DeclarationError, PlaceUnknown
from graphflow.render.picture import Picture, Shape
from graphflow.render.writing import walked


class Refund(Message):
    """Money back."""

    text: str


class Words(Message):
    """An answer."""

    text: str


def shop() -> Graph[str, Any]:
    @node(effects=[])
    async def read(text: str) -> str:
        return text

    @node(effects=[])
    async def decide(text: str) -> Refund | Words:
        return Words(text=text)

    @node(effects=[])
    async def pay(refund: Refund) -> str:
        return refund.text

    @node(effects=[])
    async def check(text: str) -> str:
        return text

    @node(effects=[])
    async def answer(words: Words) -> str:
        return words.text

    inner = Graph("refunds", START >> pay >> check >> END)
    return Graph(
        "shop",
        START >> read >> decide,
        decide[Refund] >> inner >> END,
        decide[Words] >> answer >> END,
    )


def shapes(picture: Picture) -> dict[str, Shape]:
    return {shape.name: shape for shape in picture.every_shape() if not shape.is_end}


def sent(picture: Picture) -> set[tuple[str, str]]:
    return {line.names for line in picture.lines if line.mark == "sent"}


def test_of_a_node_that_ran_what_it_was_given_stands_out() -> None:
    run = shop().run_sync("hello")
    picture = walked(run, why="answer")
    assert picture.headline == "why answer ran"
    assert sent(picture) == {("decide", "answer")}
    marks = {name: shape.mark for name, shape in shapes(picture).items()}
    assert (marks["decide"], marks["answer"], marks["read"]) == ("done", "done", "idle")
    reasons = " ".join(shapes(picture)["answer"].badge.split())
    assert "it got Words(text='hello') from decide[Words]" in reasons


def test_of_a_node_that_did_not_run_the_way_up_to_the_other_arm_stands_out() -> None:
    run = shop().run_sync("hello")
    picture = walked(run, why="refunds", open=0)
    assert picture.headline == "why refunds did not run"
    assert sent(picture) == {("decide", "answer")}
    skipped = {line.names for line in picture.lines if line.mark == "skipped"}
    assert skipped == {("decide", "refunds")}
    reasons = " ".join(shapes(picture)["refunds"].badge.split())
    assert "decide[Refund] was not taken: 'decide' answered Words" in reasons


def test_the_whole_picture_is_as_it_was_without_a_question() -> None:
    run = shop().run_sync("hello")
    assert run.to_svg(prefix="p") == run.to_svg(prefix="p", why=None)
    assert run.to_svg(prefix="p") != run.to_svg(prefix="p", why="answer")


@pytest.mark.parametrize("ending", [".svg", ".mmd", ".txt", ".dot"])
def test_every_form_has_the_reasons(ending: str, tmp_path: Path) -> None:
    run = shop().run_sync("hello")
    path = run.draw(str(tmp_path / f"why{ending}"), why="answer")
    text = Path(path).read_text()
    assert "it got" in text


def test_what_is_not_there_is_refused() -> None:
    run = shop().run_sync("hello")
    with pytest.raises(PlaceUnknown, match=r"no node 'answr'.*'answer'"):
        run.to_svg(why="answr")
    with pytest.raises(DeclarationError, match="draw the run itself"):
        walked(run.events, run.declared, why="answer")
