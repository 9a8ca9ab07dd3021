"""Compaction blocks: what a provider has summed up goes back to the model that made it, and to nobody else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, START, Agent, Failover, Graph, Window
from graphflow.compaction.room import readers_of
from graphflow.compaction.sizes import TurnSizes
from graphflow.compaction.units import Layout
from graphflow.model.reply import gather
from graphflow.model.seam import Request
from graphflow.model.turns import AssistantTurn, Block, TextPart, Turn, UserTurn
from graphflow.providers.recording import Recorder
from graphflow.testing import ScriptedModel, says
from tests.conftest import walk
from tests.providers.reach import TARGETS, model, server
from tests.strict import Answer

SUMMARY = "They asked for rain."
BLOCKS: dict[str, tuple[str, dict[str, Any]]] = {
    "anthropic": (
        "anthropic",
        {"type": "compaction", "content": SUMMARY, "encrypted_content": "opaque"},
    ),
    "openai-responses": (
        "openai-responses",
        {"type": "compaction", "id": "cmp_1", "encrypted_content": "opaque"},
    ),
}
OTHERS = {"anthropic": "claude-opus-4-5", "openai-responses": "gpt-5"}


def summed_up(maker: str, name: str, *, is_alone: bool) -> AssistantTurn:
    """A turn in which a provider has summed up what stands before it, alone or with what it said then."""
    wire, item = BLOCKS[maker]
    block = Block(keep={"item": item})
    if is_alone:
        return AssistantTurn(parts=(block,), wire=wire, model=name)
    return AssistantTurn("It rains.", parts=(block, TextPart("It rains.")), wire=wire, model=name)


def talk(maker: str, name: str, *, is_alone: bool) -> tuple[Turn, ...]:
    summary = summed_up(maker, name, is_alone=is_alone)
    goes_on = (AssistantTurn("It rains."),) if is_alone else ()
    return UserTurn("Rain?"), summary, *goes_on, UserTurn("And tomorrow?")


def sent_to(provider: str, turns: tuple[Turn, ...], **options: Any) -> str:
    """The request as it was sent; a strict server took it."""

    async def main() -> str:
        async with server(provider, [Answer(text="Sun.")]) as at:
            await gather(model(provider, at, retry=1, **options).stream(Request(turns)))
            assert at.refused == []
            return json.dumps(at.requests[0].json)

    return asyncio.run(main())


def name_of(provider: str) -> str:
    return f"{provider}:{TARGETS[provider][1]}"


@pytest.mark.parametrize("is_alone", [True, False])
@pytest.mark.parametrize(("maker", "provider"), list(product(BLOCKS, TARGETS)))
def test_a_block_goes_back_to_its_maker_and_is_dropped_elsewhere(
    maker: str, provider: str, is_alone: bool
) -> None:
    sent = sent_to(provider, talk(maker, name_of(maker), is_alone=is_alone))
    is_own = maker == provider
    assert ('"compaction"' in sent) == is_own
    assert ("opaque" in sent) == is_own
    # What was said before it, and after it, everybody reads.
    for words in ("Rain?", "It rains.", "And tomorrow?"):
        assert words in sent


@pytest.mark.parametrize("is_alone", [True, False])
@pytest.mark.parametrize("maker", BLOCKS)
def test_another_model_of_the_same_provider_does_not_get_it(maker: str, is_alone: bool) -> None:
    turns = talk(maker, name_of(maker), is_alone=is_alone)
    sent = sent_to(maker, turns, named=OTHERS[maker])
    assert "compaction" not in sent
    assert "opaque" not in sent
    assert "Rain?" in sent


def named(name: str) -> ScriptedModel:
    model = ScriptedModel(says("Sun."))
    model.name = name
    return model


# -- what is left out ------------------------------------------------------------------------------
def pins_for(readers: Sequence[str], turns: Sequence[Turn]) -> set[int]:
    sizes = TurnSizes(Layout(0, len(turns) - 1), lambda _: False, 0, readers)
    sizes.extend(turns)
    return sizes.pins


def test_it_stays_for_whoever_can_read_it_and_for_nobody_else() -> None:
    own = name_of("anthropic")
    turns = talk("anthropic", own, is_alone=False)
    assert pins_for([own], turns) == {0, 1}
    assert pins_for(["openai:gpt-5"], turns) == set()
    assert pins_for(["anthropic:claude-opus-4-5"], turns) == set()
    # Of a run that is only looked at nobody knows who would be asked, nor who has made a turn of long ago.
    assert pins_for([], turns) == {0, 1}
    unnamed = talk("anthropic", "", is_alone=False)
    assert pins_for([own], unnamed) == {0, 1}


def test_a_failover_and_a_recorder_read_what_those_that_they_ask_read(tmp_path: Path) -> None:
    first = named("one:a")
    second = named("two:b")
    recorder = Recorder(tmp_path / "case.jsonl", Failover(first, second), append=False)
    assert readers_of(recorder) == ["one:a", "two:b"]
    assert readers_of(first) == ("one:a",)


def test_an_agent_of_another_model_leaves_it_out_as_all_else() -> None:
    """A long history with a summary of another provider's: it is of no use, and has no claim to its place."""
    own = name_of("anthropic")
    summary = talk("anthropic", own, is_alone=False)[:2]
    history: list[Turn] = [*summary]
    for number in range(40):
        history += [UserTurn(f"question {number} " * 20), AssistantTurn("answer " * 40)]

    def shown_by(name: str) -> Sequence[Turn]:
        model = named(name)
        agent = Agent("a", input=str, context=Window(max_tokens=2_000))
        graph = Graph("g", START >> agent >> END)
        run = walk(graph, "And tomorrow?", model=model, history=history)
        assert run.error is None
        return model.requests[0].turns

    assert summary[1] in shown_by(own)
    assert summary[1] not in shown_by("openai:gpt-5")
