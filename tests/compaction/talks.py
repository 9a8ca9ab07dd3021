"""Conversations made up for tests, and what must hold of everything that a model is shown."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from graphflow.model.turns import AssistantTurn, ToolCall, ToolResult, ToolTurn, Turn, UserTurn

TEXTS = st.one_of(
    st.text(max_size=40),
    st.builds(
        lambda word, times: word * times,
        st.sampled_from(["a", "é", "漢", "1,"]),
        st.integers(0, 900),
    ),
)


@st.composite
def steps(draw: st.DrawFn, most: int = 3) -> list[Turn]:
    """What an agent does: calls and their results, some answers that were asked for again."""
    turns: list[Turn] = []
    for number in range(draw(st.integers(0, most))):
        if draw(st.integers(0, 5)) == 0:
            turns += [AssistantTurn("not JSON"), UserTurn("That does not fit. Answer again.")]
            continue
        ids = [f"c{number}-{call}" for call in range(draw(st.integers(1, 3)))]
        calls = tuple(ToolCall(id, "look", '{"at": 1}') for id in ids)
        results = tuple(ToolResult(id, "look", draw(TEXTS)) for id in ids)
        turns += [AssistantTurn(draw(TEXTS), calls), ToolTurn(results)]
    return turns


@st.composite
def exchanges(draw: st.DrawFn) -> list[Turn]:
    """A whole exchange."""
    return [UserTurn(draw(TEXTS)), *draw(steps()), AssistantTurn(draw(TEXTS))]


@st.composite
def histories(draw: st.DrawFn, most: int = 8) -> list[Turn]:
    """Several exchanges."""
    return [turn for each in draw(st.lists(exchanges(), max_size=most)) for turn in each]


def orphans(turns: Sequence[Turn]) -> list[str]:
    """What no provider would take: calls without results, results without calls, an answer to nothing."""
    problems: list[str] = []
    waiting: list[str] = []
    before: Turn | None = None
    for place, turn in enumerate(turns):
        if isinstance(turn, ToolTurn):
            answered = [result.id for result in turn.results]
            if answered != waiting:
                problems.append(f"{place}: results {answered} of calls {waiting}")
            waiting = []
        elif waiting:
            problems.append(f"{place}: calls {waiting} without results")
            waiting = []
        if isinstance(turn, AssistantTurn):
            waiting = [call.id for call in turn.calls]
            if before is None:
                problems.append("the model speaks first")
        if type(turn) is type(before):
            problems.append(f"{place}: two of {type(turn).__name__} in a row")
        before = turn
    if waiting:
        problems.append(f"calls {waiting} without results")
    return problems
