"""How answers end: what no whole answer ends with is an error that keeps what had come, on every wire."""

from __future__ import annotations

from typing import Any

import pytest

from graphflow import END, START, Agent, Failover, Graph, errors, tool
from graphflow.model.reply import ReplyBuilder
from graphflow.model.seam import CallDelta, Finished, Model, ModelEvent, TextDelta
from graphflow.providers.reply_reader import ReplyReader
from graphflow.run import Run
from tests.conformance.dialects import WIRES
from tests.conftest import walk
from tests.providers.raw_server import RawServer, Step
from tests.providers.reach import TARGETS
from tests.providers.spelled import Json, asked_at, says, streamed, whole
from tests.providers.test_agents import Says

done: list[str] = []


@tool
async def wipe(path: str = "/") -> str:
    """Remove a folder."""
    done.append(path)
    return "gone"


def run(asked: Model, **options: Any) -> Run[Any]:
    done.clear()
    return walk(Graph("g", START >> Agent("a", tools=[wipe], **options) >> END), "x", model=asked)


def half(provider: str, reason: str, *, stream: bool = True) -> list[Step]:
    """An answer of two words that ends with this reason."""
    match TARGETS[provider][0]:
        case "anthropic":
            block = {"type": "text", "text": "half of"}
            if not stream:
                return whole(
                    {"content": [block], "stop_reason": reason, "usage": {"output_tokens": 7}}
                )
            return streamed(
                provider,
                {"type": "message_start", "message": {"usage": {}}},
                {"type": "content_block_start", "index": 0, "content_block": block},
                {
                    "type": "message_delta",
                    "delta": {"stop_reason": reason},
                    "usage": {"output_tokens": 7},
                },
                {"type": "message_stop"},
            )
        case "gemini":
            answer: Json = {
                "candidates": [
                    {"content": {"parts": [{"text": "half of"}]}, "finishReason": reason}
                ]
            }
            answer["usageMetadata"] = {"candidatesTokenCount": 7}
        case "ollama":
            answer = {
                "message": {"content": "half of"},
                "done": True,
                "done_reason": reason,
                "eval_count": 7,
            }
        case "openai-responses":
            item = {"type": "message", "content": [{"type": "output_text", "text": "half of"}]}
            status, _, why = reason.partition(":")
            response = {"status": status, "output": [item], "usage": {"output_tokens": 7}}
            response["incomplete_details"] = {"reason": why}
            answer = {"type": f"response.{status}", "response": response} if stream else response
        case _:
            choice = {
                "delta" if stream else "message": {"content": "half of"},
                "finish_reason": reason,
            }
            answer = {"choices": [choice], "usage": {"completion_tokens": 7}}
    return streamed(provider, answer) if stream else whole(answer)


ENDS = [
    ("openai", "insufficient_system_resource", errors.Overloaded),
    ("openai", "network_error", errors.ServerError),
    ("openai", "abort", errors.ServerError),
    ("mistral", "error", errors.ServerError),
    ("groq", "of_their_own", errors.ServerError),
    ("anthropic", "of_their_own", errors.ServerError),
    ("google", "OTHER", errors.ServerError),
    ("google", "OF_THEIR_OWN", errors.ServerError),
    ("ollama", "load", errors.ServerError),
    ("openai-responses", "cancelled", errors.ServerError),
    ("openai-responses", "incomplete:of_their_own", errors.ServerError),
]


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize(("provider", "reason", "kind"), ENDS)
def test_an_end_of_no_whole_answer_is_an_error_with_what_had_come(
    provider: str, reason: str, kind: type[errors.ModelError], stream: bool
) -> None:
    with RawServer(half(provider, reason, stream=stream)) as raw:
        ended = run(asked_at(provider, raw, stream=stream, retry=1))
    assert type(ended.error) is kind
    assert ended.error.partial is not None
    assert ended.error.partial.text == "half of"
    assert reason.partition(":")[2] or reason.lower() in str(ended.error).lower()
    assert ended.usage.output_tokens == 7  # it was paid for
    assert ended.error.retryable == ("own" not in reason.lower() and reason != "load")


@pytest.mark.parametrize(
    ("provider", "reason"), [("openai", "abort"), ("google", "OTHER"), ("mistral", "error")]
)
def test_an_answer_that_broke_off_for_a_while_is_asked_for_again(
    provider: str, reason: str
) -> None:
    with RawServer(half(provider, reason), says(provider, "whole")) as raw:
        assert run(asked_at(provider, raw)).output == "whole"


def test_an_answer_that_ends_in_an_unknown_way_is_not_paid_for_again() -> None:
    with RawServer(half("openai", "of_their_own"), says("openai", "whole")) as raw:
        assert isinstance(run(asked_at("openai", raw)).error, errors.ServerError)
        assert len(raw.requests) == 1


def test_another_model_takes_over_from_one_whose_answer_broke_off() -> None:
    with RawServer(half("openai", "insufficient_system_resource")) as raw:
        both = Failover(
            asked_at("openai", raw, retry=1), Says([TextDelta("whole"), Finished("stop")])
        )
        assert run(both).output == "whole"


def test_an_answer_that_groq_stopped_early_is_none() -> None:
    said = {
        "choices": [{"delta": {"content": "half of"}, "finish_reason": "stop"}],
        "x_groq": {"error": "over capacity"},
    }
    with RawServer(streamed("groq", said)) as raw:
        ended = run(asked_at("groq", raw, retry=1))
    assert "over capacity" in str(ended.error)
    assert isinstance(ended.error, errors.ServerError)
    assert ended.error.partial is not None


def test_calls_that_come_in_pieces_where_they_come_whole_are_not_run_with_their_defaults() -> None:
    pieces: list[Json] = [
        {"name": "wipe", "willContinue": True},
        {"partialArgs": [{"jsonPath": "$.path"}]},
    ]
    chunks = [
        {"candidates": [{"content": {"parts": [{"functionCall": piece}]}}]} for piece in pieces
    ]
    with RawServer(streamed("google", *chunks, {"candidates": [{"finishReason": "STOP"}]})) as raw:
        ended = run(asked_at("google", raw))
    assert isinstance(ended.error, errors.BadRequest)
    assert done == []


def test_a_third_partys_answer_that_broke_off_is_no_answer() -> None:
    events: list[ModelEvent] = [CallDelta(0, "c", "wipe", "{}"), Finished("other", "of_their_own")]
    ended = run(Says(events))
    assert isinstance(ended.error, errors.ServerError)
    assert "of_their_own" in str(ended.error)
    assert done == []
    # It never said why, and did end.
    assert run(Says([TextDelta("whole"), Finished("other")])).output == "whole"


@pytest.mark.parametrize(
    "reason", ["stop", "STOP", "end_turn", "eos", "eos_token", "stop_sequence", "COMPLETE", ""]
)
def test_what_compatible_servers_call_the_end_is_one(reason: str) -> None:
    with RawServer(half("openai", reason)) as raw:
        assert run(asked_at("openai", raw)).output == "half of"


@pytest.mark.parametrize("dialect", sorted(WIRES))
def test_no_wire_takes_an_unknown_end_for_a_whole_answer(dialect: str) -> None:
    wire, spoken = WIRES[dialect]
    provider = next(name for name, target in TARGETS.items() if target[0] == dialect)
    reader, builder = ReplyReader(wire, spoken, dialect), ReplyBuilder()
    [body] = half(
        provider, "incomplete:of_their_own" if dialect == "openai-responses" else "of_their_own"
    )
    assert isinstance(body, bytes)
    for event in [*reader.feed(body.partition(b"\r\n\r\n")[2]), *reader.end()]:
        builder.add(event)
    assert not builder.finished
    assert builder.whole().text == "half of"
    assert reader.failure is not None


# -- summaries of what was said before -------------------------------------------------------------
def compacted(*pieces: Json) -> list[Step]:
    begun = {"type": "compaction", "content": None}
    return streamed(
        "anthropic",
        {"type": "message_start", "message": {"usage": {"input_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": begun},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "compaction_delta", **p}}
            for p in pieces
        ),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "compaction"},
            "usage": {"output_tokens": 1},
        },
        {"type": "message_stop"},
    )


def test_a_summary_of_the_conversation_goes_back_and_the_answer_goes_on() -> None:
    pieces: list[Json] = [
        {"content": "They asked "},
        {"content": "for rain.", "encrypted_content": "opaque"},
    ]
    with RawServer(compacted(*pieces), says("anthropic", "It rains.")) as raw:
        assert run(asked_at("anthropic", raw)).output == "It rains."
        [_, second] = raw.requests
    assert (
        b'{"type":"compaction","content":"They asked for rain.","encrypted_content":"opaque"}'
        in second
    )


# -- blocks and inputs of Anthropic ----------------------------------------------------------------
def blocks(*events: Json, reason: str = "tool_use") -> list[Step]:
    return streamed(
        "anthropic",
        {"type": "message_start", "message": {"usage": {"input_tokens": 1}}},
        *events,
        {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    )


def begin(index: int, **block: Any) -> Json:
    return {"type": "content_block_start", "index": index, "content_block": block}


def piece(index: int, text: str) -> Json:
    return {
        "type": "content_block_delta",
        "index": index,
        "delta": {"type": "input_json_delta", "partial_json": text},
    }


@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize("pieces", [(), ("",), ('{"path":', '"/tmp"}')])
def test_an_input_that_comes_with_the_beginning_of_its_block_is_not_lost(
    pieces: tuple[str, ...], ended: bool
) -> None:
    call = begin(0, type="tool_use", id="toolu_1", name="wipe", input={"path": "/tmp"})
    stop = [{"type": "content_block_stop", "index": 0}] if ended else []
    with RawServer(
        blocks(call, *(piece(0, p) for p in pieces), *stop), says("anthropic", "done")
    ) as raw:
        assert run(asked_at("anthropic", raw)).output == "done"
    assert done == ["/tmp"]


@pytest.mark.parametrize("kind", ["mcp_tool_use", "server_tool_use", "tool_of_next_year_use"])
def test_the_input_of_a_hosted_tool_is_nobodys_call(kind: str) -> None:
    events = (
        begin(0, type=kind, id="mcptoolu_1", name="look", server_name="docs", input={}),
        piece(0, '{"query":'),
        piece(0, '"rain"}'),
        {"type": "content_block_stop", "index": 0},
        begin(1, type="mcp_tool_result", tool_use_id="mcptoolu_1", content=[]),
        begin(2, type="text", text="It rains."),
    )
    with RawServer(blocks(*events, reason="end_turn")) as raw:
        ended = run(asked_at("anthropic", raw))
        assert len(raw.requests) == 1
    assert ended.output == "It rains."
    reader = ReplyReader(*WIRES["anthropic"], "anthropic")
    builder = ReplyBuilder()
    [body] = blocks(*events, reason="end_turn")
    assert isinstance(body, bytes)
    for event in [*reader.feed(body.partition(b"\r\n\r\n")[2]), *reader.end()]:
        builder.add(event)
    assert builder.whole().parts[0].keep["item"]["input"] == {"query": "rain"}


def test_arguments_of_no_call_are_a_malformed_reply() -> None:
    with RawServer(blocks(piece(3, "{}"))) as raw:
        assert isinstance(run(asked_at("anthropic", raw, retry=1)).error, errors.MalformedReply)
