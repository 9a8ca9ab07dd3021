"""Runs that wait: for people, for time, for messages. Each sitting is as if in another process, and nothing is done twice."""

from __future__ import annotations

import asyncio
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from graphflow import END, START, Graph, Human, Receive, Store, TimedOut, Wait, node
from graphflow.errors import AnswerExists, AnswerInvalid, QuestionUnknown, RunUnknown
from graphflow.events import AnswerRefused, QuestionAnswered, QuestionAsked
from tests import programs
from tests.conftest import ended, kinds
from tests.runtime.waits import Approved, Desk, Draft, Rejected
from tests.waiting import eventually

done: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    done.clear()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "runs.db")


@node
async def write(text: str) -> Draft:
    done.append(f"write {text}")
    return Draft(text=text)


@node
async def publish(approved: Approved) -> str:
    done.append(f"publish {approved.text}")
    return approved.text


@node
async def drop(rejected: Rejected) -> str:
    return f"dropped: {rejected.why}"


editor: Human[Any, Any] = Human("editor", input=Draft, output=Approved | Rejected)
DESK = Graph(
    "desk",
    START >> write >> editor,
    editor[Approved] >> publish >> END,
    editor[Rejected] >> drop >> END,
)


def test_a_run_waits_is_answered_elsewhere_and_goes_on(desk: Desk) -> None:
    run = desk.run(DESK, "hello")
    assert run.status == "waiting"
    (question,) = run.pending
    assert (question.node, question.path, question.about, question.due) == (
        "editor",
        ("desk",),
        "human",
        None,
    )
    assert question.message == Draft(text="hello")
    assert {arm["$ref"].rpartition("/")[2] for arm in question.schema["anyOf"]} == {
        "Approved",
        "Rejected",
    }
    (seen,) = desk.pending()
    assert (seen.id, seen.message, seen.schema) == (question.id, {"text": "hello"}, question.schema)
    assert abs(seen.asked - question.asked).total_seconds() < 60

    desk.answer("editor", {"text": "hello, world"}, by="Anna")
    run = desk.resume(DESK)
    assert (run.status, run.output) == ("completed", "hello, world")
    assert done == ["write hello", "publish hello, world"]
    assert run.pending == desk.pending() == []
    asked, answered = (
        event for event in run.events if isinstance(event, (QuestionAsked, QuestionAnswered))
    )
    assert asked.kind == "question.asked"
    assert isinstance(answered, QuestionAnswered)
    assert answered.by == "Anna"


def test_who_resumes_too_early_finds_it_waiting(desk: Desk) -> None:
    first = desk.run(DESK, "hello")
    again = desk.resume(DESK)
    assert again.status == "waiting"
    assert [question.id for question in again.pending] == [
        question.id for question in first.pending
    ]
    assert kinds(again).count("question.asked") == 1
    assert done == ["write hello"]


def test_an_answer_may_come_with_the_resume(desk: Desk) -> None:
    desk.run(DESK, "hello")
    run = desk.resume(DESK, answers={"editor": Rejected(why="dull")})
    assert run.output == "dropped: dull"


def test_the_run_goes_on_where_it_is_answered_if_its_graph_is_there(desk: Desk) -> None:
    desk.run(DESK, "hello")
    run = desk.answer("editor", Approved(text="fine"), resume=DESK)
    assert run.output == "fine"


def test_of_two_models_with_the_same_fields_the_one_that_was_meant_is_taken(desk: Desk) -> None:
    class No(Draft):
        pass

    class Yes(Draft):
        pass

    boss: Human[Any, Any] = Human("boss", input=Draft, output=No | Yes)

    @node
    async def tell(verdict: No | Yes) -> str:
        return type(verdict).__name__

    graph = Graph("g", START >> write >> boss >> tell >> END)
    desk.run(graph, "a", id="typed")
    desk.answer("boss", Yes(text="ok"), id="typed")
    assert desk.resume(graph, id="typed").output == "Yes"

    run = desk.run(graph, "a", id="plain")
    desk.answer("boss", {"text": "ok"}, id="plain")
    run = desk.resume(graph, id="plain")
    assert run.status == "waiting"
    (refused,) = (event for event in run.events if isinstance(event, AnswerRefused))
    assert "it fits No and Yes alike; say which is meant: arm='No'" in refused.why
    # What was refused stands in nobody's way.
    desk.answer("boss", {"text": "ok"}, arm="Yes", id="plain")
    assert desk.resume(graph, id="plain").output == "Yes"

    desk.run(graph, "a", id="here")
    with pytest.raises(AnswerInvalid, match="say which is meant"):
        desk.resume(graph, id="here", answers={"boss": {"text": "ok"}})
    desk.answer("boss", {"text": "ok"}, arm="Perhaps", id="here")
    run = desk.resume(graph, id="here")
    (refused,) = (event for event in run.events if isinstance(event, AnswerRefused))
    assert "it has no arm 'Perhaps'; its arms are No, Yes" in refused.why


def test_a_second_answer_is_told_of_the_first(desk: Desk) -> None:
    (question,) = desk.run(DESK, "hello").pending
    desk.answer("editor", {"why": "dull"}, by="Anna")
    with pytest.raises(AnswerExists, match="Anna"):
        desk.answer("editor", {"text": "fine"}, by="Bert")
    assert desk.resume(DESK).output == "dropped: dull"
    with pytest.raises(QuestionUnknown, match="has ended"):
        desk.answer(question.id, {"text": "fine"})


def test_nobody_answers_what_was_never_asked(desk: Desk) -> None:
    (question,) = desk.run(DESK, "hello").pending
    with pytest.raises(
        QuestionUnknown, match=rf"no open question 'writer'; those that are open: '{question.id}'"
    ):
        desk.answer("writer", 1)
    with pytest.raises(RunUnknown):
        desk.answer("editor", 1, id="another")


def test_an_answer_of_another_type_is_none(desk: Desk) -> None:
    async def wrong_then_right(store: Any) -> Any:
        run = await DESK.run("hello", store=store)
        for wrong in (7, "fine", {"text": 7}, None, {"txet": "fine"}):
            with pytest.raises(AnswerInvalid, match=r"wants Approved \| Rejected"):
                await run.answer("editor", wrong)
            with pytest.raises(AnswerInvalid, match=r"wants Approved \| Rejected"):
                await store.answer(run.id, "editor", wrong)
        await run.answer("editor", {"text": "fine"})
        with pytest.raises(AnswerExists):
            await run.answer("editor", {"text": "fine"})
        return await DESK.resume(run.id, store=store)

    assert desk.use(wrong_then_right).output == "fine"


def test_what_no_schema_tells_is_refused_by_the_run_and_answered_again(desk: Desk) -> None:
    from pydantic import BaseModel, field_validator

    class Even(BaseModel):
        n: int

        @field_validator("n")
        @classmethod
        def _even(cls, n: int) -> int:
            if n % 2:
                raise ValueError(f"{n} is odd")
            return n

    graph = Graph("g", START >> Human("boss", input=str, output=Even) >> END)
    desk.run(graph, "even?")
    for odd in (1, 3):
        desk.answer("boss", {"n": odd})
        run = desk.resume(graph)
        assert run.status == "waiting"
    assert [
        event.why.count("is odd") for event in run.events if isinstance(event, AnswerRefused)
    ] == [1, 1]
    desk.answer("boss", {"n": 4})
    assert desk.resume(graph).output == Even(n=4)


def test_branches_beside_go_on_and_joins_behind_wait(desk: Desk) -> None:
    @node
    async def left(text: str) -> int:
        for n in range(20):
            await asyncio.sleep(0)
            done.append(f"left {n}")
        return 20

    @node
    async def after(n: int) -> int:
        done.append("after")
        return n + 1

    @node
    async def join(n: int, answer: str) -> str:
        done.append("join")
        return f"{answer} {n}"

    boss: Human[Any, Any] = Human("boss", input=str, output=str)
    graph = Graph("g", START >> (left, boss), left >> after, (after, boss) >> join >> END)
    run = desk.run(graph, "well?")
    assert run.status == "waiting"
    assert done[-1] == "after"
    assert ended(run) == ["left", "after"]
    desk.answer("boss", "yes")
    assert desk.resume(graph).output == "yes 21"
    assert done[-1] == "join"
    assert done.count("after") == 1


def test_a_branch_that_is_answered_here_goes_on_while_others_do(desk: Desk) -> None:
    gate = asyncio.Event()

    @node
    async def slow(text: str) -> int:
        await gate.wait()
        return 1

    @node
    async def told(answer: str) -> str:
        done.append(answer)
        gate.set()
        return answer

    @node
    async def join(n: int, answer: str) -> str:
        return answer

    boss: Human[Any, Any] = Human("boss", input=str, output=str)
    graph = Graph("g", START >> (slow, boss), boss >> told, (slow, told) >> join >> END)

    async def main(store: Any) -> Any:
        run = graph.start("well?", store=store)
        await eventually(lambda: run.pending)
        assert run.status == "running"
        await run.answer(run.pending[0].id, "yes")
        with pytest.raises(AnswerExists):
            await run.answer("boss", "no")
        return await run

    assert desk.use(main).output == "yes"


def test_an_answer_from_elsewhere_is_found_while_others_go_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from graphflow.runtime import durability

    monkeypatch.setattr(durability, "LOOK_S", 0.01)
    gate = asyncio.Event()

    @node
    async def slow(text: str) -> int:
        await gate.wait()
        return 1

    @node
    async def told(answer: str) -> str:
        gate.set()
        return answer

    @node
    async def join(n: int, answer: str) -> str:
        return answer

    boss: Human[Any, Any] = Human("boss", input=str, output=str)
    graph = Graph("g", START >> (slow, boss), boss >> told, (slow, told) >> join >> END)

    async def main(store: Any) -> Any:
        run = graph.start("well?", store=store, id="r")
        await eventually(lambda: run.pending)
        async with Store.open(desk.address) as other:
            await other.answer("r", "boss", "yes", by="Anna")
        return await run

    assert desk.use(main).output == "yes"


# -- messages --------------------------------------------------------------------------------------
payment: Receive[Any, Any] = Receive("payment", int)


@node
async def more(paid: int) -> str | int:
    done.append(f"paid {paid}")
    return f"thanks for {paid}" if paid >= 10 else paid


SHOP = Graph("shop", START >> payment >> more, more[int].limit(5) >> payment, more[str] >> END)


def test_a_message_lets_a_run_go_on(desk: Desk) -> None:
    run = desk.run(SHOP, "order")
    assert [(question.about, question.node) for question in run.pending] == [("message", "payment")]
    assert desk.send("payment", 12, by="bank", resume=SHOP).output == "thanks for 12"


def test_messages_that_come_early_are_taken_in_order_and_once(desk: Desk) -> None:
    desk.run(SHOP, "order")
    for paid in (1, 2, 3):
        desk.send("payment", paid)
    desk.send("payment", 3, key="n4")
    desk.send("payment", 3, key="n4")
    run = desk.resume(SHOP)
    assert run.status == "waiting"
    assert done == ["paid 1", "paid 2", "paid 3", "paid 3"]
    assert desk.resume(SHOP).status == "waiting"
    assert len(done) == 4
    assert desk.send("payment", 10, resume=SHOP).output == "thanks for 10"
    with pytest.raises(QuestionUnknown, match="has ended"):
        desk.send("payment", 10)


def test_a_message_that_does_not_fit_is_refused_and_the_next_one_is_taken(desk: Desk) -> None:
    @node
    async def first(text: str) -> str:
        return text

    graph = Graph("g", START >> Human("boss", input=str, output=str) >> payment >> END)
    desk.run(graph, "go")
    desk.send("payment", {"amount": 1})  # nobody can tell yet what it is to be
    desk.send("payment", 5)
    desk.answer("boss", "yes")
    run = desk.resume(graph)
    assert run.output == 5
    assert [event.node for event in run.events if isinstance(event, AnswerRefused)] == ["payment"]

    desk.run(graph, "go", id="late")
    desk.answer("boss", "yes", id="late", resume=graph)
    with pytest.raises(AnswerInvalid):
        desk.send("payment", "much", id="late")


# -- time ------------------------------------------------------------------------------------------
class Clock:
    """The time of day as a test wants it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import time

        self._real = time.time
        self.ahead = 0.0
        monkeypatch.setattr(time, "time", lambda: self._real() + self.ahead)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_time_passes_although_the_process_ends(desk: Desk, clock: Clock) -> None:
    graph = Graph("g", START >> write >> Wait("night", seconds=8 * 3600, input=Draft) >> END)
    run = desk.run(graph, "a")
    (question,) = run.pending
    assert (run.status, question.about, question.node) == ("waiting", "time", "night")
    assert question.due is not None
    assert (question.due - question.asked).total_seconds() == pytest.approx(8 * 3600, abs=60)
    clock.ahead = 4 * 3600
    again = desk.resume(graph)
    assert (again.status, again.pending[0].due) == ("waiting", question.due)
    clock.ahead = -3600  # set back: it is still due when it was
    assert desk.resume(graph).pending[0].due == question.due
    clock.ahead = 9 * 3600
    run = desk.resume(graph)
    assert run.output == Draft(text="a")
    assert done == ["write a"]


def test_a_wait_may_be_ended_early(desk: Desk) -> None:
    graph = Graph("g", START >> Wait("night", seconds=8 * 3600, input=str) >> END)
    desk.run(graph, "a")
    assert desk.answer("night", True, resume=graph).output == "a"


def test_a_short_wait_is_waited_for_here(desk: Desk) -> None:
    graph = Graph("g", START >> Wait("moment", seconds=0.05, input=str) >> END)
    run = desk.run(graph, "a")
    assert (run.status, run.output) == ("completed", "a")
    (answered,) = (event for event in run.events if isinstance(event, QuestionAnswered))
    assert answered.by == "the clock"


@pytest.mark.parametrize("kind", ["human", "receive"])
def test_nobody_is_waited_for_longer_than_was_said(desk: Desk, clock: Clock, kind: str) -> None:
    asks: Any = Human("boss", input=str, output=int, timeout=3600)
    if kind == "receive":
        asks = Receive("boss", int, timeout=3600, input=str)

    @node
    async def late(timed_out: TimedOut) -> str:
        return f"{timed_out.node} {timed_out.seconds:g} {timed_out.message}"

    @node
    async def fine(n: int) -> str:
        return f"fine {n}"

    graph = Graph("g", START >> asks, asks[int] >> fine >> END, asks[TimedOut] >> late >> END)
    desk.run(graph, "well?")
    desk.run(graph, "well?", id="answered")
    desk.answer("boss", 5, id="answered")
    clock.ahead = 7200
    if kind == "human":
        with pytest.raises(QuestionUnknown, match="has answered itself"):
            desk.answer("boss", 4)
    assert desk.resume(graph).output == "boss 3600 well?"
    # It came in time, although nobody looked.
    assert desk.resume(graph, id="answered").output == "fine 5"


def test_an_answer_in_the_form_of_a_timeout_is_none(desk: Desk) -> None:
    boss: Human[Any, Any] = Human("boss", input=str, output=int, timeout=3600)
    graph = Graph(
        "g", START >> boss, boss[int] >> END, boss[TimedOut] >> node(name="late")(_late) >> END
    )
    desk.run(graph, "well?")
    with pytest.raises(AnswerInvalid):
        desk.resume(graph, answers={"boss": {"node": "boss", "seconds": 1, "message": "x"}})


async def _late(timed_out: TimedOut) -> int:
    return -1


# -- from elsewhere --------------------------------------------------------------------------------
ELSEWHERE = """
import asyncio, sys
from graphflow import Store
from graphflow.errors import AnswerExists

async def main(address, name):
    async with Store.open(address) as store:
        (question,) = (await store.load("r")).pending
        try:
            await store.answer("r", question.id, {"text": name}, by=name)
        except AnswerExists:
            print("late")
        else:
            print("first")

asyncio.run(main(*sys.argv[1:]))
"""


def test_of_two_processes_that_answer_at_once_one_is_the_first(desk: Desk) -> None:
    desk.run(DESK, "hello")
    answering: dict[str, Any] = {}
    for name in ("Anna", "Bert"):
        answering[name] = programs.start(
            "-c", ELSEWHERE, desk.address, name, stdout=PIPE, text=True
        )
    said = {process.communicate()[0].strip(): name for name, process in answering.items()}
    assert said.keys() == {"first", "late"}
    run = desk.resume(DESK)
    assert run.output == said["first"]
    (answered,) = (event for event in run.events if isinstance(event, QuestionAnswered))
    assert answered.by == said["first"]


def test_a_run_without_a_store_waits_in_memory() -> None:
    async def main() -> Any:
        run = await DESK.run("hello")
        assert run.status == "waiting"
        await run.answer("editor", Approved(text="fine"))
        return await DESK.resume(run.id, store=run.store)

    assert asyncio.run(main()).output == "fine"
    assert done == ["write hello", "publish fine"]


def test_answers_that_nobody_asks_for_are_told_of(desk: Desk) -> None:
    (question,) = desk.run(DESK, "hello").pending
    with pytest.raises(
        QuestionUnknown, match=f"nobody has asked for: 'editr'; it waits for '{question.id}'"
    ):
        desk.resume(DESK, answers={"editr": {"text": "x"}})
    assert desk.resume(DESK, answers={"editor": {"text": "x"}}).output == "x"


def test_any_message_goes_through_a_wait_in_forks_maps_and_loops(desk: Desk) -> None:
    @node(effects=[])
    async def parts(text: str) -> list[Draft]:
        return [Draft(text=text), Draft(text=text * 2)]

    @node(effects=[])
    async def grow(draft: Draft) -> Draft | str:
        return draft.text if len(draft.text) > 3 else Draft(text=f"{draft.text}x")

    @node(effects=[])
    async def join(texts: list[str]) -> str:
        return " ".join(texts)

    moment = Wait("moment", seconds=0)
    graph = Graph(
        "g",
        START >> parts,
        parts.each >> moment >> grow,
        grow[Draft].limit(9) >> moment,
        grow[str] >> join >> END,
    )
    assert desk.run(graph, "a").output == graph.run_sync("a").output == "axxx aaxx"

    @node(effects=[])
    async def text_of(draft: Draft) -> str:
        return draft.text

    fork = Graph(
        "f",
        START >> write >> Wait("w", seconds=0) >> (text_of, text_of.named("other")) >> join >> END,
    )
    assert desk.run(fork, "a", id="f").output == "a a"
    assert desk.use(lambda store: fork.replay("f", store=store)).output == "a a"
