"""Guards: what they let begin keeps every claim, what they refuse would break one, and they cost little."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphflow import (
    END,
    START,
    Apart,
    AtLeast,
    AtMost,
    Before,
    Context,
    Exactly,
    Graph,
    Never,
    Only,
    node,
    tool,
)
from graphflow.claims.guard import Reservation
from graphflow.declaration.claims import Claim
from graphflow.runtime.watch import watch_of
from tests.bench.claim_figures import TEN, measured
from tests.claims.brute_force import Happening, Trace, holds

NAMES = ("a", "b", "c")


def tool_of(name: str) -> Any:
    async def body(number: int) -> int:
        return number

    body.__doc__ = f"The tool {name}."
    return tool(name=name)(body)


TOOLS = {name: tool_of(name) for name in NAMES}


@node(calls=list(TOOLS.values()))
async def work(number: int, ctx: Context) -> int:
    return number


@node(calls=[TOOLS["a"]])
async def other(number: int, ctx: Context) -> int:
    return number


def graph_of(*claims: Claim) -> Graph[int, int]:
    return Graph("g", START >> work >> END, claims=claims)


names = st.sampled_from(NAMES)
times = st.integers(0, 3)
two_names = st.lists(names, min_size=2, max_size=2, unique=True)
any_claim = st.one_of(
    st.builds(Before, names, names),
    st.builds(lambda one, two: Never(one, after=two), names, names),
    st.builds(AtMost, names, times),
    st.builds(lambda one, count: AtLeast(one, count + 1), names, times),
    st.builds(Exactly, names, times),
    st.builds(lambda pair: Apart(*pair), two_names),
)
deed = st.tuples(st.sampled_from(("begin", "begin", "answer", "fail", "refuse")), names)


def happening(what: str, name: str, number: int) -> Happening:
    return Happening(what, (name,), (number,), None, ())


@settings(max_examples=300, deadline=None)
@given(st.lists(any_claim, min_size=1, max_size=6), st.lists(deed, max_size=25))
def test_what_begins_keeps_all_claims_and_what_is_refused_would_break_one(
    claims: list[Claim], deeds: list[tuple[str, str]]
) -> None:
    watch = watch_of(graph_of(*claims))
    assert watch is not None
    trace: Trace = []
    running: list[tuple[str, int, Reservation]] = []
    for number, (what, name) in enumerate(deeds):
        if what == "begin":
            reservation = Reservation()
            stake = watch.stake_of_call(work, TOOLS[name], 0)
            refusal = None if stake is None else reservation.begin(stake)
            after = [*trace, happening("begin", name, number)]
            if refusal is None:
                reservation.has_begun = True
                running.append((name, number, reservation))
                trace = after
            else:
                assert refusal.claim in claims
                would_break = not holds(refusal.claim, after, "running")
                assert would_break or forbids_later(refusal.claim, trace, name), refusal
        else:
            trace = ended(what, name, trace, running)
        for claim in claims:
            assert holds(claim, trace, "running"), claim
    assert_end(watch, claims, trace)


def ended(what: str, name: str, trace: Trace, running: list[tuple[str, int, Reservation]]) -> Trace:
    """The trace after the first call of that name has ended so, if one is under way."""
    for each in running:
        if each[0] == name:
            break
    else:
        return trace
    running.remove(each)
    _, number, reservation = each
    if what == "answer":
        reservation.answer(1)
    elif what == "fail":
        reservation.stop()
    else:  # it was to begin, and has not
        reservation.has_begun = False
        reservation.stop()
        return [known for known in trace if known.act != (number,)]
    return [*trace, happening(what, name, number)]


def forbids_later(claim: Claim, trace: Trace, name: str) -> bool:
    """Whether a `Never` keeps two apart that must not be under way when one of them answers."""
    if not isinstance(claim, Never):
        return False
    begun = [each for each in trace if each.what == "begin"]
    over = {each.act for each in trace if each.what != "begin"}
    under_way = {each.path[0] for each in begun if each.act not in over}
    return bool(under_way & {claim.node, claim.after})


def assert_end(watch: Any, claims: list[Claim], trace: Trace) -> None:
    """A walk that completes lacks something just if a claim says so."""
    lacks = not all(holds(claim, trace, "completed") for claim in claims)
    if lacks:
        with pytest.raises(Exception, match="of"):
            watch.check_end("g")
    else:
        watch.check_end("g")


def test_only_judges_the_caller_and_nobody_else() -> None:
    graph: Graph[int, int] = Graph(
        "g", START >> work >> other >> END, claims=[Only("work", calls=["a", "b"])]
    )
    watch = watch_of(graph)
    assert watch is not None
    assert watch.stake_of_call(work, TOOLS["a"], 0) is None
    refused = watch.stake_of_call(other, TOOLS["a"], 0)
    assert refused is not None
    assert not refused.is_open


def test_claims_that_nothing_is_left_of_at_ten_to_the_nine_stay_apart() -> None:
    watch = watch_of(graph_of(AtMost("a", 10**30), AtMost("a", 2), AtMost("b", 1)))
    assert watch is not None
    stake = watch.stake_of_call(work, TOOLS["a"], 0)
    assert stake is not None
    assert [Reservation().begin(stake) is None for _ in range(4)] == [True, True, False, False]
    free = watch.stake_of_call(work, TOOLS["b"], 0)
    assert free is not None
    assert free.is_open


# -- what it costs ---------------------------------------------------------------------------------
def test_ten_claims_cost_a_call_little() -> None:
    # On a quiet machine it is 1.06 (`python -m tests.bench.claim_figures`): here only what cannot be noise.
    for _ in range(5):
        spent = asyncio.run(measured({"none": (), "ten": TEN}, rounds=10))
        if min(spent["ten"]) < 1.15 * min(spent["none"]):
            return
    raise AssertionError(spent)
