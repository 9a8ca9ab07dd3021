"""What a model has signed goes back to that model alone, and once it was refused to nobody."""

from __future__ import annotations

import json
from typing import Any

import pytest

from graphflow import END, START, Agent, Failover, Graph, tool
from graphflow.errors import BadRequest, SignatureInvalid
from graphflow.events import ModelRetried
from graphflow.journal.codec.replies import decode_turns, encode_turns
from graphflow.model.digest import digest_of
from graphflow.model.seam import Request
from graphflow.model.turns import AssistantTurn, Thinking, UserTurn
from graphflow.providers.faults import fault
from tests.conftest import walk
from tests.providers.reach import TARGETS, model, server
from tests.strict import Answer

SIGNED = ["anthropic", "google", "openai-responses"]
OTHERS = {
    "anthropic": "claude-opus-4-5",
    "google": "gemini-3-pro",
    "openai-responses": "gpt-5",
}
REFUSALS = {
    "anthropic": {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "message": "messages.1.content.0: Invalid `signature` in `thinking` block",
        },
    },
    "google": {
        "error": {
            "code": 400,
            "message": "Unable to submit request because Thought signature is not valid",
            "status": "INVALID_ARGUMENT",
        }
    },
    "openai-responses": {
        "error": {
            "message": "The encrypted content gAAA could not be verified.",
            "type": "invalid_request_error",
            "code": "invalid_encrypted_content",
        }
    },
}
LOOK = ("look", {"at": "a"})


@tool
async def look(at: str) -> str:
    """Look."""
    return f"seen {at}"


def looker() -> Graph[Any, Any]:
    agent = Agent("a", tools=[look], thinking="low", max_tokens=4000)
    return Graph("g", START >> agent >> END)


def is_signed(sent: Any) -> bool:
    """Whether a request holds something that a model has signed."""
    text = json.dumps(sent).replace("skip_thought_signature_validator", "")
    text = text.replace("reasoning.encrypted_content", "")  # what is asked for, and not sent
    words = (
        '"thinking", "thinking"',
        '"thoughtSignature": "E',
        '"encrypted_content": "',
        '"type": "reasoning"',
    )
    return any(word in text for word in words)


@pytest.mark.parametrize("provider", SIGNED)
def test_another_model_of_the_same_provider_is_not_sent_what_the_first_has_signed(
    provider: str,
) -> None:
    begins = [Answer(thinking="Hm.", calls=(LOOK,)), Answer(thinking="Hm.", calls=(LOOK,))]
    # Two strict servers of one dialect give equal ids to their calls, which no vendor does: the second makes none.
    goes_on = [Answer(text="all seen")]
    with (
        server(provider, [*begins, Answer(error="overloaded")]) as one,
        server(provider, goes_on) as two,
    ):
        first = model(provider, one, retry=1)
        second = model(provider, two, retry=1, named=OTHERS[provider])
        run = walk(looker(), "x", model=Failover(first, second))
        assert run.error is None
        assert one.refused == []
        assert two.refused == []
    assert is_signed(one.requests[1].json)
    assert not is_signed(two.requests[0].json)


@pytest.mark.parametrize("provider", SIGNED)
def test_what_a_provider_does_not_take_back_is_stripped_and_sent_once_more(provider: str) -> None:
    answers = [
        Answer(thinking="Hm.", calls=(LOOK,)),
        Answer(thinking="So.", calls=(LOOK,)),
        Answer(text="all seen"),
    ]
    refusal = Answer(raw=(json.dumps(REFUSALS[provider]).encode(), "application/json"), status=400)

    def script(sent: Any) -> Answer:
        if not is_signed(sent):
            return answers.pop(0)
        for issued in at.memory.calls.values():
            issued.sealed = False  # by its own word it cannot open it, so it does not ask for it
        return refusal

    with server(provider, script) as at:
        run = walk(looker(), "x", model=model(provider, at))
        assert run.error is None
        assert at.refused == []
        sent = [is_signed(request.json) for request in at.requests]
    retried = [event for event in run.events if isinstance(event, ModelRetried)]
    assert all("SignatureInvalid" in event.error and event.wait_s == 0 for event in retried)
    # Each signed turn is refused once, and never sent as signed again.
    assert len(retried) == sum(sent) == (1 if provider == "anthropic" else 2)
    assert run.output == "all seen"


def test_one_that_refuses_what_is_stripped_too_is_believed() -> None:
    refusal = Answer(
        raw=(json.dumps(REFUSALS["anthropic"]).encode(), "application/json"), status=400
    )
    answers = [Answer(thinking="Hm.", calls=(LOOK,)), refusal, refusal]
    with server("anthropic", answers) as at:
        run = walk(looker(), "x", model=model("anthropic", at))
    assert isinstance(run.error, SignatureInvalid)
    assert at.left == 0


@pytest.mark.parametrize(
    "text",
    [
        "messages.5.content.0: Invalid `signature` in `thinking` block",
        "Corrupted thought signature.",
        "Invalid thought signature.",
        "Function call is missing a thought_signature in functionCall parts.",
        "`thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified",
    ],
)
def test_the_words_of_providers_are_known(text: str) -> None:
    error = fault("anthropic", 400, {"error": {"message": text, "type": "invalid_request_error"}})
    assert type(error) is SignatureInvalid
    other = fault("anthropic", 400, {"error": {"message": "`temperature` is too high"}})
    assert type(other) is BadRequest


def test_a_turn_keeps_whose_it_is_and_a_question_is_the_same_without() -> None:
    turn = AssistantTurn(
        "a", (), (Thinking("Hm.", {"signature": "s"}),), "anthropic", "anthropic:x"
    )
    assert decode_turns(encode_turns([turn])) == (turn,)
    other = AssistantTurn("a", (), turn.parts, "anthropic")
    assert digest_of(Request((UserTurn("q"), turn))) == digest_of(Request((UserTurn("q"), other)))


def test_every_wire_is_reached() -> None:
    assert set(SIGNED) < set(TARGETS)
