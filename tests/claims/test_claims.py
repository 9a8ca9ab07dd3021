"""Claims as values: what can be written, what they are asked, how they hold in small graphs."""

from __future__ import annotations

from typing import Literal

import pytest

from graphflow import (
    END,
    START,
    Agent,
    Apart,
    AtLeast,
    AtMost,
    Before,
    Exactly,
    Graph,
    GraphError,
    Never,
    Only,
    Router,
    SubAgent,
    node,
    tool,
)
from graphflow.claims import ClaimVerdict
from graphflow.declaration.claims import Claim
from graphflow.errors import DeclarationError
from graphs.desk import desk


@node
async def look(question: str) -> str:
    return question


@node
async def answer(question: str) -> str:
    return question


@node
async def publish(text: str) -> str:
    return text


async def route(question: str) -> Literal["easy", "hard"]:
    return "easy"


sort = Router("sort", rule=route)
straight = Graph("straight", START >> look >> answer >> publish >> END)
routed = Graph(
    "routed",
    START >> sort,
    sort["hard"] >> look >> answer,
    sort["easy"] >> answer >> END,
)


@tool
async def approve(order: str) -> str:
    """Approves a refund."""
    return order


@tool
async def refund(order: str) -> str:
    """Pays the money back."""
    return order


clerk = Agent("clerk", input=str, tools=[approve, refund], prompt="{{ text }}")


def status(graph: Graph[str, str], claim: Claim) -> str:
    return graph.prove(claim).status


# -- values ----------------------------------------------------------------------------------------
def test_a_claim_is_a_value() -> None:
    assert Before("a", "b") == Before("a", "b") != Before("a", "b", per="f")
    assert len({AtMost("a", 1), AtMost("a", 1), AtMost("a", 2)}) == 2
    with pytest.raises(AttributeError):
        AtMost("a", 1).times = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    "claim",
    [
        Before("critic[Approved]", "publish"),
        Never("mail", after="leak", per="fork"),
        AtMost("charge", 1),
        AtLeast("answer", 1),
        Exactly("answer", 2, per="read"),
        Apart("a", "b"),
        Only("clerk", calls="refund"),
        Only("clerk", calls=["refund", "charge"]),
    ],
)
def test_a_claim_shows_itself_as_it_is_written(claim: Claim) -> None:
    names = {each.__name__: each for each in (Before, Never, AtMost, AtLeast, Exactly, Apart, Only)}
    assert eval(repr(claim), names) == claim  # it is our own text


@pytest.mark.parametrize(
    ("write", "text"),
    [
        (lambda: Before("a", "b[Yes]"), "names an arm"),
        (lambda: AtMost("a", -1), "0 or more"),
        (lambda: AtLeast("a", 0), "1 or more"),
        (lambda: AtMost("a", True), "not a number of times"),
        (lambda: Before("", "b"), "not the name of a node"),
        (lambda: Apart("a", "a"), "two different nodes"),
        (lambda: Only("a", calls=[]), "name what it calls"),
        (lambda: Before("a", "b", per=""), "the name of a fork"),
        (lambda: Before("a", "b", pre="f"), "did you mean per="),
    ],
)
def test_what_means_nothing_is_refused_where_it_is_written(write: object, text: str) -> None:
    assert callable(write)
    with pytest.raises(DeclarationError, match=text):
        write()


def test_claims_of_a_graph_are_a_list_of_claims() -> None:
    with pytest.raises(DeclarationError, match="give a list of claims"):
        Graph("g", START >> look >> END, claims=AtMost("look", 1))  # type: ignore[arg-type]
    with pytest.raises(DeclarationError, match="is not a claim"):
        Graph("g", START >> look >> END, claims=["look once"])  # type: ignore[list-item]
    twice = Graph("g", START >> look >> END, claims=[AtMost("look", 1), AtMost("look", 1)])
    assert twice.claims == (AtMost("look", 1),)
    assert twice != Graph("g", START >> look >> END)


# -- names -----------------------------------------------------------------------------------------
def test_a_claim_that_names_nothing_is_refused_with_near_names() -> None:
    with pytest.raises(GraphError) as refused:
        Graph(
            "g",
            START >> look >> answer >> END,
            claims=[Before("loook", "answer"), AtMost("answer", 1, per="look")],
        )
    text = str(refused.value)
    assert "nothing in 'g' is named 'loook'; did you mean 'look'?" in text
    assert "no node of that name forks" in text
    with pytest.raises(DeclarationError, match="did you mean 'look'"):
        straight.prove(Before("loook", "answer"))


def test_an_arm_has_to_be_one() -> None:
    with pytest.raises(DeclarationError, match="its arms are easy, hard; did you mean 'hard'"):
        routed.prove(Before("sort[hart]", "look"))


def test_targets_count_under_every_name() -> None:
    inner = Graph("inner", START >> look.named("search") >> END)
    outer = Graph("outer", START >> SubAgent(inner, name="desk") >> END)
    for name in ("search", "look", "desk", "inner", "desk > look", "inner > search"):
        assert status(outer, Exactly(name, 1)) == "proven"
    with pytest.raises(DeclarationError):
        outer.prove(AtMost("look > desk", 1))


# -- verdicts --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("claim", "verdict"),
    [
        (Before("look", "publish"), "proven"),
        (Before("publish", "look"), "refuted"),
        (AtMost("answer", 1), "proven"),
        (AtMost("answer", 0), "refuted"),
        (AtLeast("answer", 1), "proven"),
        (AtLeast("answer", 2), "refuted"),
        (Exactly("answer", 1), "proven"),
        (Apart("look", "answer"), "proven"),
        (Never("look", after="answer"), "proven"),
        (Never("answer", after="look"), "refuted"),
        (Never("look", after="look"), "proven"),
    ],
)
def test_what_holds_in_a_row_of_nodes(claim: Claim, verdict: str) -> None:
    assert status(straight, claim) == verdict


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [
        (Before("look", "answer"), "refuted"),
        (Before("sort", "answer"), "proven"),
        (Before("sort[hard]", "look"), "proven"),
        (Before("sort[easy]", "look"), "refuted"),
        (Never("look", after="sort[easy]"), "proven"),
        (Never("look", after="sort[hard]"), "refuted"),
        (Exactly("look", 1), "refuted"),
        (AtMost("look", 1), "proven"),
    ],
)
def test_arms_are_told_apart(claim: Claim, verdict: str) -> None:
    assert status(routed, claim) == verdict


def test_the_shortest_walk_that_breaks_a_claim_is_told() -> None:
    verdict = routed.prove(Before("look", "answer"))
    assert verdict.counterexample is not None
    assert [str(step) for step in verdict.counterexample.steps] == [
        "START takes str; sort begins",
        "sort answers easy along 1; answer begins",
    ] or len(verdict.counterexample.steps) == 2
    assert "the claim is broken: 'answer' begins only after 'look' has answered" in str(verdict)


@node
async def halve(text: str) -> list[str]:
    return [text]


@node
async def report(texts: list[str]) -> str:
    return ""


mapped = Graph("mapped", START >> halve, halve.each >> look >> answer >> report >> END)


def test_lists_are_tried_up_to_a_length_and_the_verdict_says_so() -> None:
    verdict = mapped.prove(Exactly("report", 1))
    assert (verdict.status, verdict.lists) == ("proven", 2)
    assert "proven for lists up to 2" in verdict.how
    assert mapped.prove(AtMost("look", 3)).status == "refuted"  # lists of four are tried
    assert mapped.prove(AtMost("look", 3), lists=3).lists == 3
    assert status(mapped, AtLeast("look", 1)) == "refuted"  # an empty list


def test_branches_are_judged_alone_per_fork() -> None:
    assert status(mapped, AtMost("look", 1)) == "refuted"
    assert status(mapped, AtMost("look", 1, per="fork")) == "proven"
    assert status(mapped, Exactly("look", 1, per="halve")) == "proven"
    assert status(mapped, AtLeast("answer", 1, per="halve")) == "proven"
    assert status(mapped, Before("look", "answer", per="halve")) == "proven"
    assert status(mapped, Before("answer", "look", per="halve")) == "refuted"


def test_a_claim_about_what_never_happens_is_vacuous() -> None:
    lonely = Graph("g", START >> look >> answer >> END, claims=[Only("look", calls="answer")])
    verdict = lonely.prove(Only("look", calls="answer"))
    assert (verdict.status, verdict.vacuous) == ("proven", True)
    assert "is vacuous" in "".join(lonely.check().warnings)
    used = Graph("g", START >> clerk >> END).prove(Only("clerk", calls="refund"))
    assert (used.status, used.vacuous) == ("proven", False)


def test_claims_that_contradict_each_other_are_told() -> None:
    graph = Graph(
        "g",
        START >> look >> answer >> END,
        claims=[
            Before("look", "answer"),
            Never("answer", after="look"),
            AtMost("look", 1),
            AtLeast("look", 2),
        ],
    )
    warnings = "\n".join(graph.check().warnings)
    assert "'answer' can never begin" in warnings
    assert "contradict each other: no walk can complete" in warnings


def test_too_many_states_leave_a_claim_unknown_and_say_where_it_is_widest() -> None:
    verdict = mapped.prove(Apart("look", "answer"), states=3, lists=6)
    assert verdict.status in ("unknown", "refuted")
    wide = mapped.prove(Exactly("report", 1), states=2, lists=9)
    assert wide.status == "unknown"
    assert wide.how.startswith("unknown after")


def test_what_a_model_decides_is_enforced_where_it_is_declared() -> None:
    claim = Before("approve", "refund")
    declared = Graph("g", START >> clerk >> END, claims=[claim])
    verdict = declared.prove(claim)
    assert isinstance(verdict, ClaimVerdict)
    assert (verdict.status, verdict.holds) == ("enforced", True)
    asked = Graph("g", START >> clerk >> END).prove(claim)
    assert (asked.status, asked.holds) == ("unknown", False)
    assert "declare it" in asked.how


def test_a_call_behind_what_must_come_first_is_proven() -> None:
    graph = Graph("g", START >> look >> clerk >> END)
    assert status(graph, Before("look", "refund")) == "proven"
    assert status(graph, Before("look", "clerk > refund")) == "proven"


def test_who_calls_is_proven_by_the_edges() -> None:
    other = Agent("other", input=str, tools=[refund], prompt="{{ text }}")
    alone = Graph("g", START >> clerk >> END)
    both = Graph("g", START >> clerk >> other >> END, claims=[Only("clerk", calls="refund")])
    assert status(alone, Only("clerk", calls="refund")) == "proven"
    assert both.prove(Only("clerk", calls="refund")).status == "enforced"


def test_check_lists_each_claim_with_how_it_holds() -> None:
    graph = Graph(
        "g",
        START >> sort,
        sort["hard"] >> look >> clerk,
        sort["easy"] >> clerk >> END,
        claims=[Before("sort", "clerk"), Before("look", "clerk"), AtMost("refund", 1)],
    )
    facts = [fact for fact in graph.check().facts if fact.startswith("claim")]
    assert facts == [
        "claim Before('sort', 'clerk'): proven (what must have answered)",
        "claim Before('look', 'clerk'): refuted by a walk of 2 steps; enforced",
        "claim AtMost('refund', 1): enforced (a model or code decides when 'clerk > refund' begins)",
    ]


# -- exploring -------------------------------------------------------------------------------------
def test_exploring_tells_how_walks_may_end() -> None:
    found = desk.explore()
    assert found.is_complete
    assert found.states < 200
    assert {ending.status for ending in found.endings} == {"completed", "failed"}
    assert found.untaken == ()
    assert found.max_parallel == 2


def test_exploring_finds_laps_that_may_be_used_up() -> None:
    @node
    async def again(text: str) -> str | int:
        return text

    graph = Graph("g", START >> again, again[str].limit(2) >> again, again[int] >> END)
    found = graph.explore()
    assert found.may_be_limited
    assert not found.may_end_without_output
    way = found.way_to("limited")
    assert way is not None
    assert len(way) == 4
    assert "may end: limited (LimitExceeded)" in str(found)


def test_exploring_finds_walks_without_an_output() -> None:
    graph = Graph("g", START >> halve, halve.each >> look >> END, ends="first")
    assert graph.explore().may_end_without_output
