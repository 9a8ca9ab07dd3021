"""What is left out leaves nothing behind that a provider would refuse: on seven wires, and from each to each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import permutations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphflow.compaction.omission import WHOLE, Omission
from graphflow.compaction.plan import with_room
from graphflow.compaction.policies import HeadTail, Window
from graphflow.compaction.shown import shown_turns
from graphflow.compaction.sizes import TurnSizes
from graphflow.compaction.units import Layout
from graphflow.model.reply import gather
from graphflow.model.seam import Model, Request, ToolSpec
from graphflow.model.settings import Settings
from graphflow.model.turns import ToolResult, ToolTurn, Turn, UserTurn
from tests.compaction.talks import orphans
from tests.providers.reach import TARGETS, model, server
from tests.strict import Answer

LOOK = ToolSpec(
    "look",
    "Look.",
    {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]},
)
THINKING = Settings(thinking="low", max_tokens=4000)


@dataclass
class Talk:
    """A conversation of which more and more is left out, by a policy.

    Attributes:
        policy: what is left out.
        turns: all that was said.
        target: about how many tokens are shown.
    """

    policy: Window
    target: int
    turns: list[Turn] = field(default_factory=list)
    omission: Omission = WHOLE
    left_out: int = 0

    async def exchange(self, models: Sequence[Model], results: str) -> None:
        """Asks something, and goes on until there is an answer; each question goes to the next model."""
        message = len(self.turns)
        self.turns.append(UserTurn(f"question {message}?"))
        number = 0
        while True:
            asked = models[number % len(models)]
            shown = self._shown(message)
            assert orphans(shown) == []
            self.left_out += len(shown) < len(self.turns)
            request = Request(shown, tools=(LOOK,), settings=THINKING)
            reply = await gather(asked.stream(request))
            self.turns.append(reply.turn)
            number += 1
            if not reply.calls:
                return
            answers = [ToolResult(call.id, call.name, results) for call in reply.calls]
            self.turns.append(ToolTurn(tuple(answers)))

    def _shown(self, message: int) -> tuple[Turn, ...]:
        sizes = TurnSizes(Layout(0, message), self.policy.is_pinned, self.policy.head)
        sizes.extend(self.turns)
        end = len(self.turns)
        before = Omission(exchanges=self.omission.exchanges, results=self.omission.results)

        def estimate(omission: Omission) -> float:
            return float(sizes.tokens(omission, end))

        plan = partial(with_room, sizes, before, end, self.policy.results)
        self.omission = plan(self.target, estimate)
        return shown_turns(sizes, self.turns, self.omission)


@dataclass
class SharedScript:
    """What two servers answer between them: calls, and when `left` answers were given no more."""

    left: int = 0

    def __call__(self, sent: object) -> Answer:
        self.left -= 1
        if self.left == 0:
            return Answer(text="all seen", thinking="So.")
        return Answer(thinking="Hm. " * 10, calls=(("look", {"at": "a"}), ("look", {"at": "b"})))


def loop(calls: int, thinks: bool, number: int) -> Answer:
    wanted = tuple(("look", {"at": f"{number}-{call}"}) for call in range(calls))
    return Answer(text="", thinking="Hm. " * 20 if thinks else "", calls=wanted)


@st.composite
def scripts(draw: st.DrawFn) -> list[list[Answer]]:
    """Of several exchanges, what the model answers in each."""
    exchanges: list[list[Answer]] = []
    for number in range(draw(st.integers(2, 5))):
        thinks = draw(st.booleans())
        steps = [
            loop(draw(st.integers(1, 3)), thinks, number * 10 + step)
            for step in range(draw(st.integers(0, 3)))
        ]
        last = Answer(
            text="So it is. " * draw(st.integers(1, 20)), thinking="Ah." if thinks else ""
        )
        exchanges.append([*steps, last])
    return exchanges


POLICIES = st.builds(Window, results=st.integers(0, 2)) | st.builds(
    HeadTail, results=st.integers(0, 2), pins=st.sampled_from([(), ("question 2?",)])
)


@pytest.mark.parametrize("provider", TARGETS)
@given(scripts(), POLICIES, st.integers(0, 900), st.integers(0, 900))
@settings(max_examples=12, suppress_health_check=list(HealthCheck))
def test_a_strict_provider_takes_whatever_is_shown(
    provider: str, script: list[list[Answer]], policy: Window, target: int, size: int
) -> None:
    async def main() -> None:
        answers = [answer for exchange in script for answer in exchange]
        async with server(provider, answers) as at:
            asked = model(provider, at, retry=1)
            talk = Talk(policy, target)
            for _ in script:
                await talk.exchange([asked], "x" * size)
            assert at.refused == []
            assert at.left == 0

    asyncio.run(main())


PAIRS = list(permutations(TARGETS, 2))


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_a_long_conversation_with_thinking_goes_from_each_provider_to_each_other(
    first: str, second: str
) -> None:
    """Both take turns, within loops of calls too, while more and more is left out."""

    async def main() -> None:
        script = SharedScript()
        async with server(first, script) as one, server(second, script) as two:
            both = [model(first, one, retry=1), model(second, two, retry=1)]
            talk = Talk(HeadTail(head=1), 900)
            for number in range(8):
                order = both if number % 2 else both[::-1]
                script.left = 5
                await talk.exchange(order, "seen " * 40)
            assert one.refused == []
            assert two.refused == []
            assert talk.left_out > 20
            assert len(talk.turns) == 8 * 10

    asyncio.run(main())


def test_there_are_42_pairs() -> None:
    assert len(PAIRS) == 42
