"""A history that somebody else keeps: turns that are given to a run, mended where they are orphaned, or refused.

    UserTurn, AssistantTurn, ToolTurn                         as `run.history` gives them
    {"role": "user", "content": "..."}                        the same, as most keep it

Rules:
1. Each call gets its result, and each result has its call: a result that is missing says so, one without a call goes.
2. It begins with a question and ends with an answer. Two turns of one side in a row become one.
3. What is not a turn at all is refused: nobody knows what was meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from graphflow.errors import HistoryInvalid
from graphflow.model.turns import AssistantTurn, ToolResult, ToolTurn, Turn, UserTurn

GivenTurn: TypeAlias = Turn | Mapping[str, object]
UNANSWERED = "No answer to this call was recorded."


def read_history(given: object) -> tuple[list[Turn], list[str]]:
    """The turns that are meant, and what was mended in them.

    Raises:
        HistoryInvalid: something in it is not a turn; the text says which.
    """
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise HistoryInvalid(f"history= is {type(given).__name__}; give a list of turns")
    mending = _Mending()
    for place, each in enumerate(given):
        turn = _turn_of(place, each)
        mending.take(place, turn)
    mending.end()
    return mending.turns, mending.problems


def _turn_of(place: int, given: object) -> Turn:
    if isinstance(given, (UserTurn, AssistantTurn, ToolTurn)):
        return given
    wanted = 'a UserTurn, AssistantTurn or ToolTurn, or {"role": "user" or "assistant", "content": "..."}'
    content: object = None
    role: object = None
    if isinstance(given, Mapping):
        content = given.get("content")
        role = given.get("role")
    if isinstance(content, str):
        if role == "user":
            return UserTurn(content)
        if role == "assistant":
            return AssistantTurn(content)
    found = type(given).__name__
    raise HistoryInvalid(f"turn {place} of the history is {found}; give {wanted}")


def _is_answer(turn: Turn) -> bool:
    """Whether a turn can stand before the next question."""
    return isinstance(turn, AssistantTurn) and not turn.calls


class _Mending:
    """The turns so far, each side in its turn."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.problems: list[str] = []

    @property
    def _last(self) -> Turn | None:
        """The turn before the next one."""
        if not self.turns:
            return None
        return self.turns[-1]

    def _note(self, place: int, problem: str) -> None:
        """Takes down what was mended at a turn."""
        self.problems.append(f"turn {place}: {problem}")

    def take(self, place: int, turn: Turn) -> None:
        """The next turn, as it can stand there."""
        if isinstance(turn, ToolTurn):
            self._take_results(place, turn)
            return
        self._answer_calls(place)
        if isinstance(turn, UserTurn):
            self._take_question(place, turn)
        else:
            self._take_answer(place, turn)

    def end(self) -> None:
        """Nothing comes any more."""
        self._answer_calls(len(self.turns))
        while self.turns and not _is_answer(self.turns[-1]):
            dropped = self.turns.pop()
            kind = type(dropped).__name__
            self.problems.append(f"the last {kind} led to no answer and was left out")

    def _take_question(self, place: int, turn: UserTurn) -> None:
        last = self._last
        if not isinstance(last, UserTurn):
            self.turns.append(turn)
            return
        parts = (
            *last.parts,
            *turn.parts,
        )
        self.turns[-1] = UserTurn(parts)
        self._note(place, "two questions in a row became one")

    def _take_answer(self, place: int, turn: AssistantTurn) -> None:
        last = self._last
        if last is None:
            self._note(place, "an answer without a question was left out")
        elif isinstance(last, AssistantTurn):
            text = f"{last.text}\n{turn.text}"
            self.turns[-1] = AssistantTurn(
                text,
                turn.calls,
            )
            self._note(place, "two answers in a row became one")
        else:
            self.turns.append(turn)

    def _take_results(self, place: int, turn: ToolTurn) -> None:
        results = {result.id: result for result in turn.results}
        calls = self._open_calls()
        known = [results.pop(call, None) for call in calls]
        if results:
            self._note(place, "results without a call were left out")
        if not calls:
            return
        self._add_results(place, calls, known)

    def _answer_calls(self, place: int) -> None:
        calls = self._open_calls()
        if calls:
            self._add_results(place, calls, [None] * len(calls))

    def _open_calls(self) -> dict[str, str]:
        """The calls that wait for results: their names by their ids."""
        last = self._last
        if not isinstance(last, AssistantTurn):
            return {}
        return {call.id: call.name for call in last.calls}

    def _add_results(
        self, place: int, calls: Mapping[str, str], known: Sequence[ToolResult | None]
    ) -> None:
        results: list[ToolResult] = []
        for (id, name), result in zip(calls.items(), known, strict=True):
            if result is None:
                self._note(place, f"the call of {name!r} has no result")
                result = ToolResult(
                    id,
                    name,
                    UNANSWERED,
                    ok=False,
                )
            results.append(result)
        whole = tuple(results)
        self.turns.append(ToolTurn(whole))
