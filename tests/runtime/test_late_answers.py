"""Answers that a run is resumed with, and that come too late: the first answer counts, and whoever gives another is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from graphflow import END, START, Graph, Human, Store
from graphflow.errors import AnswerExists, QuestionUnknown

pytestmark = pytest.mark.usefixtures("jumping_clock")
Again = Callable[..., Awaitable[Any]]

first = Human("first", input=str, output=str)
second = Human("second", input=str, output=str)
desk = Graph("desk", START >> first >> second >> END)


def asked_by(work: Callable[[Store, Again], Awaitable[None]]) -> None:
    """Does something in a run that waits for its first answer."""

    async def main() -> None:
        store = Store.open("memory:")
        run = await desk.run("x", store=store, id="r")
        assert [question.node for question in run.pending] == ["first"]

        async def again(**answers: str) -> Any:
            return await desk.resume("r", store=store, answers=answers)

        await work(store, again)

    asyncio.run(main())


def test_whoever_is_too_late_is_told_who_was_first_and_nothing_is_lost() -> None:
    async def work(store: Store, again: Again) -> None:
        await store.answer("r", "first", "hers", by="Eve")
        with pytest.raises(AnswerExists, match="by Eve") as late:
            await again(first="mine")
        assert late.value.run.status == "waiting"
        # And once more, when hers was taken over long ago.
        with pytest.raises(AnswerExists, match="by Eve") as later:
            await again(first="mine")
        assert [question.node for question in later.value.run.pending] == ["second"]
        done = await again(second="yours")
        assert done.output == "yours"

    asked_by(work)


def test_by_the_id_of_its_question_a_late_answer_is_refused_before_anything_moves() -> None:
    async def work(store: Store, again: Again) -> None:
        waiting = await again()
        (question,) = waiting.pending
        await again(first="mine")
        with pytest.raises(AnswerExists):
            await again(**{question.id: "another", "second": "yours"})
        assert (await store.header("r")).status == "waiting"

    asked_by(work)


def test_of_a_run_that_has_ended_other_answers_are_refused_and_the_same_are_no_news() -> None:
    async def work(store: Store, again: Again) -> None:
        await again(first="mine", second="yours")
        done = await again(first="mine", second="yours")
        assert (done.status, done.output) == ("completed", "yours")
        with pytest.raises(AnswerExists, match="the first answer counts"):
            await again(first="another")
        with pytest.raises(QuestionUnknown, match=r"has ended \(completed\).*third"):
            await again(third="?")
        assert (await again()).output == "yours"

    asked_by(work)


def test_the_name_of_a_node_means_the_question_that_it_is_going_to_ask() -> None:
    editor = Human("editor", input=str, output=str)
    loop = Graph(
        "loop",
        START >> editor,
        editor.when(lambda words: words != "enough").limit(5) >> editor,
        editor.otherwise >> END,
    )

    async def main() -> None:
        store = Store.open("memory:")
        await loop.run("x", store=store, id="r")
        await loop.resume("r", store=store, answers={"editor": "more"})
        done = await loop.resume("r", store=store, answers={"editor": "enough"})
        assert done.output == "enough"

    asyncio.run(main())
