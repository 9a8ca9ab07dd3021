"""Guards around nodes, through whole walks: what they reject is not done, not sent and not told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from graphflow import (
    END,
    START,
    Agent,
    Context,
    Failure,
    Graph,
    GraphError,
    Retry,
    SubAgent,
    node,
    tool,
)
from graphflow.errors import DeclarationError, GuardRejected
from graphflow.events import MessageRejected, to_record
from graphflow.security import Expression, Guard, JsonShape, Length, PersonalData, guarded
from graphflow.testing import ScriptedModel, calls
from tests.conftest import walk

both_ways = pytest.mark.parametrize("observed", [False, True])
SECRET = "mail me at anna.petrova@example.org"
done: list[str] = []


class Order(BaseModel, frozen=True):
    item: str
    price: int


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    done.clear()


@node
async def ship(order: str) -> str:
    done.append(order)
    return f"shipped {order}"


@node
async def apologise(failure: Failure) -> str:
    return f"sorry: {failure.kind}: {failure.error}"


def rejections(run: Any) -> list[tuple[str, str, str]]:
    return [(e.node, e.stage, e.guard) for e in run.events if isinstance(e, MessageRejected)]


def agent_behind(**guards: Any) -> Graph[str, str]:
    writer = guarded(Agent("writer", input=str), **guards)
    return Graph("desk", START >> writer >> END)


# -- before and after, agents and steps --------------------------------------------------------------
@both_ways
def test_what_passes_is_answered_as_without_guards(observed: bool) -> None:
    desk = agent_behind(before=[Length(20)], after=[PersonalData()])
    run = walk(desk, "hello", model=ScriptedModel("good day"), observed=observed)
    assert run.output == "good day"
    assert rejections(run) == []


@both_ways
def test_a_model_is_not_asked_about_a_message_that_is_rejected(observed: bool) -> None:
    model = ScriptedModel("never")
    run = walk(agent_behind(before=[Length(4)]), "hello", model=model, observed=observed)
    assert isinstance(run.error, GuardRejected)
    assert str(run.error) == (
        "'writer': length rejected what it was given: it is longer than 4 characters"
    )
    assert (run.error.node, run.error.stage, run.error.guard) == ("writer", "before", "length")
    assert model.requests == []
    assert rejections(run) == [("writer", "before", "length")]


@both_ways
def test_an_answer_that_is_rejected_goes_nowhere(observed: bool) -> None:
    writer = guarded(Agent("writer", input=str), after=[PersonalData("email")])
    desk = Graph("desk", START >> writer >> ship >> END)
    run = walk(desk, "hello", model=ScriptedModel(SECRET), observed=observed)
    assert isinstance(run.error, GuardRejected)
    assert run.error.stage == "after"
    assert done == []
    assert "it holds an e-mail address" in str(run.error)
    assert "anna" not in str(run.error)


@both_ways
def test_a_rejection_goes_along_the_failure_edge(observed: bool) -> None:
    careful = guarded(ship, before=[PersonalData()])
    desk = Graph("desk", START >> careful >> END, careful[Failure] >> apologise >> END)
    run = walk(desk, SECRET, observed=observed)
    assert run.output == (
        "sorry: GuardRejected: 'ship': personal data rejected what it was given: it holds an e-mail address"
    )
    assert done == []


def test_guards_are_asked_in_order_and_none_behind_the_first_that_rejects() -> None:
    asked: list[str] = []

    def first(message: str) -> bool:
        asked.append("first")
        return True

    async def second(message: str) -> str:
        asked.append("second")
        return "too plain"

    def third(message: str) -> bool:
        asked.append("third")
        return True

    desk = Graph("desk", START >> guarded(ship, before=[first, second, third]) >> END)
    run = walk(desk, "box")
    assert asked == ["first", "second"]
    assert str(run.error) == "'ship': second rejected what it was given: too plain"


def test_guards_put_around_guards_are_asked_from_the_outside_in_and_back() -> None:
    asked: list[str] = []

    def noting(name: str) -> Any:
        def note(message: str) -> bool:
            asked.append(name)
            return True

        return note

    inner = guarded(ship, before=[noting("b1")], after=[noting("a1")])
    outer = guarded(inner, before=[noting("b2")], after=[noting("a2")])
    walk(Graph("desk", START >> outer >> END), "box")
    assert asked == ["b2", "b1", "a1", "a2"]


@pytest.mark.parametrize("answer", [None, 1, "", False, object()])
def test_only_true_lets_a_message_pass(answer: object) -> None:
    def odd(message: str) -> Any:
        return answer

    run = walk(Graph("desk", START >> guarded(ship, before=[odd]) >> END), "box")
    assert isinstance(run.error, GuardRejected)
    assert done == []


def test_a_guard_that_raises_rejects_and_does_not_quote_what_it_raised() -> None:
    def broken(message: str) -> bool:
        raise LookupError(f"no rule for {message}")

    run = walk(Graph("desk", START >> guarded(ship, before=[broken]) >> END), "top secret")
    assert str(run.error) == (
        "'ship': broken rejected what it was given: it could not judge it (LookupError)"
    )
    assert isinstance(run.error, GuardRejected)
    assert isinstance(run.error.__cause__, LookupError)
    assert done == []
    [event] = [e for e in run.events if isinstance(e, MessageRejected)]
    assert "top secret" not in str(to_record(event))


# -- tools, routers, graphs, sub-agents --------------------------------------------------------------
@tool(effects=["writes"])
async def pay(to: str, amount: int) -> str:
    """Pay."""
    done.append(f"{to} {amount}")
    return "paid"


@both_ways
def test_a_model_reads_why_its_call_was_rejected(observed: bool) -> None:
    careful = guarded(pay, before=[Expression("amount <= 100")])
    model = ScriptedModel(
        calls("pay", to="Bo", amount=500), calls("pay", to="Bo", amount=5), "done"
    )
    desk = Graph("desk", START >> Agent("clerk", input=str, tools=[careful]) >> END)
    run = walk(desk, "pay", model=model, observed=observed)
    assert run.output == "done"
    assert done == ["Bo 5"]
    [refused] = model.requests[1].turns[-1].results  # type: ignore[union-attr]
    assert not refused.ok
    assert refused.text == (
        "GuardRejected: 'pay': expression 'amount <= 100' rejected what it was given: it does not hold"
    )


@both_ways
def test_a_graph_is_guarded_on_arrows_and_as_a_sub_agent(observed: bool) -> None:
    inner = Graph("inner", START >> ship >> END)
    careful = guarded(inner, before=[Length(5)])
    outer = Graph("outer", START >> careful >> END)
    assert walk(outer, "box", observed=observed).output == "shipped box"
    assert isinstance(walk(outer, "a large box", observed=observed).error, GuardRejected)
    assert done == ["box"]
    boss = Agent("boss", input=str, sub_agents=[careful])
    model = ScriptedModel(calls("inner", order="a large box"), "done")
    run = walk(Graph("outer", START >> boss >> END), "go", model=model, observed=observed)
    assert run.output == "done"
    assert done == ["box"]


@both_ways
def test_an_agent_that_is_called_keeps_its_guards(observed: bool) -> None:
    writer = guarded(Agent("writer", input=str), after=[PersonalData()])
    for callee in (writer, SubAgent(writer, name="author")):
        model = ScriptedModel(calls(callee.name, input="go"), SECRET, "done")
        boss = Agent("boss", input=str, sub_agents=[callee])
        run = walk(Graph("outer", START >> boss >> END), "go", model=model, observed=observed)
        assert run.output == "done", run.error
        [refused] = model.requests[-1].turns[-1].results  # type: ignore[union-attr]
        assert "GuardRejected" in refused.text
        assert "anna" not in refused.text


def test_what_a_person_has_changed_is_judged_again() -> None:
    from graphflow.policy import edit

    careful = guarded(pay.twin(approval=True), before=[Expression("amount <= 100")])
    model = ScriptedModel(calls("pay", to="Bo", amount=5), "done")
    desk = Graph("desk", START >> Agent("clerk", input=str, tools=[careful]) >> END)
    walk(desk, "pay", model=model, approve=lambda use: edit({"to": "Bo", "amount": 500}))
    assert done == []


# -- with the other options --------------------------------------------------------------------------
def test_a_rejected_answer_is_asked_for_again_where_the_node_is_tried_again() -> None:
    writer = Agent("writer", input=str, retry=Retry(attempts=3, wait_s=0))
    desk = Graph("desk", START >> guarded(writer, after=[PersonalData()]) >> END)
    model = ScriptedModel(SECRET, "good day")
    assert walk(desk, "hello", model=model).output == "good day"


def test_a_rejected_message_is_not_judged_again_by_another_try() -> None:
    judged: list[str] = []

    def never(message: str) -> bool:
        judged.append(message)
        return False

    @node(retry=Retry(attempts=3, wait_s=0))
    async def work(text: str) -> str:
        return text

    walk(Graph("desk", START >> guarded(work, before=[never]) >> END), "x")
    assert judged == ["x"]


def test_a_cached_answer_does_not_pass_a_guard_unjudged() -> None:
    @node(cache=True)
    async def work(text: str) -> str:
        done.append(text)
        return text

    careful = guarded(work, before=[Length(3)])

    @node
    async def gather(texts: list[str]) -> list[str]:
        return texts

    fan = Graph("fan", START.each.fork("isolate") >> careful >> gather >> END)
    run = walk(fan, ["abc", "abc", "abcd", "abcd"])
    assert run.output == ["abc", "abc"]
    assert done == ["abc"]


def test_a_store_keeps_the_rejection_and_a_loaded_run_tells_it(tmp_path: Any) -> None:
    from graphflow import Store

    async def main() -> None:
        store = Store.open(f"sqlite:{tmp_path / 'runs.db'}")
        desk = agent_behind(after=[PersonalData()])
        with pytest.raises(GuardRejected):
            await desk.run("hello", model=ScriptedModel(SECRET), store=store, id="one")
        loaded = await store.load("one", desk)
        assert rejections(loaded) == [("writer", "after", "personal data")]
        assert isinstance(loaded.error, GuardRejected)
        assert loaded.error.guard == "personal data"
        await store.aclose()

    asyncio.run(main())


def test_an_explanation_says_which_guard_rejected_what() -> None:
    run = walk(agent_behind(before=[Length(4)]), "hello", model=ScriptedModel())
    assert "length rejected what it was given: it is longer than 4 characters" in str(
        run.explain("writer")
    )


def test_a_picture_shows_what_stands_before_and_after_a_node() -> None:
    desk = agent_behind(before=[Length(4), PersonalData()], after=[JsonShape(Order)])
    text = desk.to_mermaid()
    assert "before: length, personal data" in text
    assert "after: JSON shape" in text


# -- declarations --------------------------------------------------------------------------------------
def test_a_guarded_node_is_the_node_but_for_its_guards() -> None:
    careful = guarded(ship, before=[Length(4)])
    assert careful == guarded(ship, before=[Length(4)])
    assert careful != guarded(ship, before=[Length(5)])
    assert careful != ship
    assert careful.name == "ship"
    assert (ship.before, ship.after) == ((), ())


def test_what_an_expression_names_is_proven_when_the_graph_is_built() -> None:
    @node
    async def take(order: Order) -> str:
        return order.item

    with pytest.raises(GraphError, match=r"uses \{\{ prise \}\}.*did you mean 'price'"):
        Graph("desk", START >> guarded(take, before=[Expression("prise < 5")]) >> END)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: guarded(len, before=[]), "give a node; decorate functions"),  # type: ignore[call-overload]
        (lambda: guarded(ship, before=Length(3)), "give a list"),  # type: ignore[call-overload]
        (lambda: guarded(ship, after=["length"]), "neither a Guard nor a function"),  # type: ignore[list-item]
        (lambda: guarded(ship, after=[Length]), "neither a Guard nor a function"),
        (lambda: Length(3, least=4), "most is at least as much as least"),
        (lambda: PersonalData("names"), "it looks for email, phone"),  # type: ignore[arg-type]
        (lambda: Expression(""), "give an expression in a text"),
        (lambda: Expression("1 }} {{ 2"), "give an expression in a text"),
    ],
)
def test_what_is_no_guard_is_refused(make: Any, words: str) -> None:
    with pytest.raises(DeclarationError, match=words):
        make()


# -- what each guard finds -----------------------------------------------------------------------------
def judged(guard: Guard, message: Any) -> str | None:
    @node
    async def take(given: Any) -> str:
        return "passed"

    run = walk(Graph("desk", START >> guarded(take, before=[guard]) >> END), message)
    if run.output == "passed":
        return None
    assert isinstance(run.error, GuardRejected), run.error
    return str(run.error).partition("given: ")[2]


PERSONAL = {
    "email": ["anna.petrova@example.org", "<Anna+x@mail.example.co.uk>", "mailto:ü@exämple.de"],
    "phone": [
        "+49 30 1234567",
        "0049-30-1234567",
        "(030) 123 4567",
        "212-555-0187",
        "+14155550132",
        "+49\u00a030\u20091234567",
    ],
    "card": [
        "4111 1111 1111 1111",
        "5500-0000-0000-0004",
        "378282246310005",
        "4111\u202f1111\u00a01111\u20111111",
    ],
    "iban": [
        "DE89 3704 0044 0532 0130 00",
        "GB82WEST12345698765432",
        "DE89\u00a03704\u00a00044\u00a00532\u00a00130\u00a000",
    ],
    "ssn": ["078-05-1120"],
    "ip": ["10.0.0.255"],
}
HARMLESS = [
    "order 1234567 of 2026-11-29",
    "4111 1111 1111 1112",
    "version 1.2.3.400 and 1.2.3",
    "12 * 34 = 408, 1,234,567.89",
    "user@localhost",
    "DE11 3704 1144 0532 0130 00",
    "000-12-3456",
    "0000 0000 0000 0000",
    "https://example.org/a/b?c=1",
]


@pytest.mark.parametrize(
    ("kind", "text"), [(kind, text) for kind, texts in PERSONAL.items() for text in texts]
)
def test_personal_data_is_found_anywhere_in_a_message(kind: Any, text: str) -> None:
    assert judged(PersonalData(kind), f"so: {text}.") is not None
    assert judged(PersonalData(kind), {"notes": [{"deep": f"({text})"}]}) is not None
    assert judged(PersonalData(), {text: 1}) is not None


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_like_personal_data_passes(text: str) -> None:
    assert judged(PersonalData(), text) is None


def test_a_number_of_a_card_is_found_where_it_is_an_integer() -> None:
    assert judged(PersonalData("card"), {"card": 4111111111111111}) == (
        "it holds the number of a card"
    )


@pytest.mark.parametrize(
    "letter", ["a", "@", "a.", "1 ", "+1 ", "(1", "AB12 ", "1.1.", "1111 ", "1"]
)
def test_patterns_are_linear_in_what_they_look_at(letter: str) -> None:
    from graphflow.security.personal_data import KINDS, finds

    text = letter * (1_000_000 // len(letter))
    for kind in KINDS:
        finds(kind, text, 0, len(text))  # the limit of time of the test is what would fail


def test_lengths_count_all_texts_of_a_message() -> None:
    assert judged(Length(6), {"ab": ["cd", "ef"]}) is None
    assert judged(Length(5), {"ab": ["cd", "ef"]}) == "it is longer than 5 characters"
    assert judged(Length(9, least=2), " a ") == "1 characters are fewer than 2"


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ('{"item": "box", "price": 3}', None),
        ({"item": "box", "price": 3}, None),
        ("no JSON", "it is not JSON of type Order (json_invalid)"),
        ('{"item": "box"}', "it is not JSON of type Order (price: missing)"),
        ('{"item": "box", "price": "dear"}', "it is not JSON of type Order (price: int_parsing)"),
        ({"secret": 1}, "it is not JSON of type Order (item: missing; price: missing)"),
    ],
)
def test_json_is_held_against_a_type(message: Any, words: str | None) -> None:
    assert judged(JsonShape(Order), message) == words


def test_a_large_text_is_judged_off_the_event_loop() -> None:
    import threading

    seen: list[str] = []

    class Noting(Length):
        def judge(self, texts: Any) -> str | None:
            seen.append(threading.current_thread().name)
            return super().judge(texts)

    assert judged(Noting(10), "x" * 1_000_000) == "it is longer than 10 characters"
    assert judged(Noting(10), "x") is None
    assert seen[0] != threading.main_thread().name
    assert seen[1] == threading.main_thread().name


def test_a_guard_of_ones_own_sees_where_it_stands() -> None:
    class OnlyOutside(Guard):
        name = "depth"

        async def check(self, message: object, ctx: Context) -> str | None:
            return None if ctx.depth == 0 else f"it is {ctx.depth} deep"

    inner = Graph("inner", START >> guarded(ship, before=[OnlyOutside()]) >> END)
    assert walk(inner, "box").output == "shipped box"
    run = walk(Graph("outer", START >> inner >> END), "box")
    assert "it is 1 deep" in str(run.error)
