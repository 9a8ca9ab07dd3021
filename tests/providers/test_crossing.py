"""From one provider to another and back, and from an agent's settings to each provider's own words for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, START, Agent, Failover, Graph, connect, errors, record, tool
from graphflow.model.reply import ReplyBuilder
from graphflow.model.seam import Request
from graphflow.model.turns import UserTurn
from graphflow.providers.reply_reader import ReplyReader
from graphflow.testing import ScriptedModel, says
from tests.conformance.dialects import WIRES
from tests.conftest import walk
from tests.providers.raw_server import RawServer, head, reply
from tests.providers.reach import model, server
from tests.providers.test_faults import CHAT
from tests.providers.test_hostile import ask
from tests.strict import Answer
from tests.waiting import patience


# -- from one provider to another, and back --------------------------------------------------------
@pytest.mark.parametrize(
    "second", ["anthropic", "google", "openai-responses", "openai", "mistral", "groq", "ollama"]
)
@pytest.mark.parametrize(
    "first", ["anthropic", "google", "openai-responses", "openai", "mistral", "groq", "ollama"]
)
def test_a_loop_that_changes_its_model_in_the_middle(first: str, second: str) -> None:
    if first == second:
        pytest.skip(
            "two strict servers of one dialect give equal ids to their calls, which no vendor does"
        )

    @tool
    async def look(at: str) -> str:
        """Look."""
        return f"seen {at}"

    begins = Answer(thinking="Hm.", calls=(("look", {"at": "a"}), ("look", {"at": "b"})))
    goes_on = [Answer(thinking="So.", calls=(("look", {"at": "c"}),)), Answer(text="all seen")]
    agent = Agent("a", tools=[look], thinking="low", max_tokens=4000)
    with (
        server(first, [begins, Answer(error="overloaded"), Answer(text="all seen")]) as one,
        server(second, goes_on) as two,
    ):
        both = Failover(model(first, one, retry=1), model(second, two, retry=1), cooldown_s=0)
        run = walk(Graph("g", START >> agent >> END), "x", model=both)
        assert run.error is None
        assert one.refused == []
        assert two.refused == []
    assert run.output == "all seen"
    assert run.usage.tool_calls >= 2


def test_thinking_goes_back_to_where_it_came_from_and_nowhere_else() -> None:
    from graphflow.model.turns import (
        AssistantTurn,
        TextPart,
        Thinking,
        ToolCall,
        ToolResult,
        ToolTurn,
    )
    from graphflow.providers.wires import openai_chat

    call = ToolCall("functions.look:0", "look", "{}")

    def rendered(dialect: Any, wire: str) -> dict[str, Any]:
        turn = AssistantTurn("So.", (call,), (Thinking("Hm."), TextPart("So."), call), wire)
        return openai_chat.render_turn(turn, None, dialect)[0]

    assert rendered(openai_chat.GROQ, "groq")["reasoning"] == "Hm."
    assert rendered(openai_chat.DEEPSEEK, "deepseek")["reasoning_content"] == "Hm."
    assert rendered(openai_chat.OPENROUTER, "openrouter")["reasoning"] == "Hm."
    assert rendered(openai_chat.MISTRAL, "mistral")["content"][0]["thinking"] == [
        {"type": "text", "text": "Hm."}
    ]
    assert len(rendered(openai_chat.MISTRAL, "groq")["tool_calls"][0]["id"]) == 9
    for dialect in (
        openai_chat.GROQ,
        openai_chat.DEEPSEEK,
        openai_chat.OPENROUTER,
        openai_chat.MISTRAL,
        openai_chat.OPENAI,
    ):
        assert "Hm." not in str(rendered(dialect, "another"))
    signed = Thinking("Hm.", {"signature": "sig", "encrypted_content": "enc", "id": "rs_1"})
    for name in ("anthropic", "gemini", "openai-responses"):
        wire, spoken = WIRES[name]
        own = wire.render_turn(
            AssistantTurn("So.", (call,), (signed, TextPart("So."), call), wire.name), None, spoken
        )
        foreign = wire.render_turn(
            AssistantTurn("So.", (call,), (signed, TextPart("So."), call), "another"), None, spoken
        )
        assert "Hm." in str(own) or "enc" in str(own)
        assert not [word for word in ("Hm.", "'sig'", "enc", "rs_1") if word in str(foreign)]
    [sent] = WIRES["anthropic"][0].render_turn(
        AssistantTurn("", (call,)), None, WIRES["anthropic"][1]
    )
    [answer] = WIRES["anthropic"][0].render_turn(
        ToolTurn((ToolResult(call.id, "look", "x"),)), None, WIRES["anthropic"][1]
    )
    assert sent["content"][0]["id"] == answer["content"][0]["tool_use_id"] != call.id


def test_reasoning_details_go_back_as_they_came() -> None:
    from graphflow.providers.wires import openai_chat

    wire = openai_chat.WIRE
    chunks = [
        {
            "choices": [
                {
                    "index": 0,
                    "delta": {"reasoning_details": [{"type": "reasoning.encrypted", "data": d}]},
                }
            ]
        }
        for d in "ab"
    ]
    body = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)
    reader, builder = ReplyReader(wire, openai_chat.OPENROUTER, "x"), ReplyBuilder()
    for event in [*reader.feed(body + CHAT), *reader.end()]:
        builder.add(event)
    [message] = openai_chat.render_turn(builder.whole().turn, None, openai_chat.OPENROUTER)
    assert [detail["data"] for detail in message["reasoning_details"]] == ["a", "b"]


SETTINGS: dict[str, tuple[Any, dict[str, str]]] = {
    "temperature": (0.3, {"openai": "temperature", "anthropic": "temperature", "google": "temperature", "ollama": "temperature"}),
    "top_p": (0.7, {"openai": "top_p", "anthropic": "top_p", "google": "topP", "ollama": "top_p"}),
    "top_k": (7, {"anthropic": "top_k", "google": "topK", "ollama": "top_k"}),
    "max_tokens": (77, {"openai": "max_completion_tokens", "mistral": "max_tokens", "google": "maxOutputTokens", "ollama": "num_predict"}),
    "stop": (["END"], {"openai": "stop", "anthropic": "stop_sequences", "google": "stopSequences", "ollama": "stop"}),
    "seed": (5, {"openai": "seed", "mistral": "random_seed", "google": "seed", "ollama": "seed"}),
    "presence_penalty": (0.2, {"openai": "presence_penalty", "google": "presencePenalty", "ollama": "presence_penalty"}),
    "frequency_penalty": (0.4, {"openai": "frequency_penalty", "google": "frequencyPenalty", "ollama": "frequency_penalty"}),
    "prompt_cache": (True, {"anthropic": "cache_control"}),
    "parallel_calls": (False, {"openai": "parallel_tool_calls", "mistral": "parallel_tool_calls"}),
}  # fmt: skip
NAMED = {"openai": "gpt-4o-mini", "google": "gemini-2.5-flash", "anthropic": "claude-sonnet-4-5"}


@pytest.mark.parametrize(
    ("setting", "provider"), [(name, p) for name, (_, where) in SETTINGS.items() for p in where]
)
def test_a_setting_of_an_agent_reaches_the_provider(setting: str, provider: str) -> None:
    value, where = SETTINGS[setting]

    @tool
    async def look() -> str:
        """Look."""
        return "x"

    agent = Agent("a", tools=[look] if setting == "parallel_calls" else [], **{setting: value})
    with server(provider, [Answer(text="ok")]) as strict:
        named = {"named": NAMED[provider]} if provider in NAMED else {}
        assert (
            walk(
                Graph("g", START >> agent >> END), "x", model=model(provider, strict, **named)
            ).output
            == "ok"
        )
        assert strict.refused == []
        body = strict.requests[0].json
    found = {**body, **body.get("generationConfig", {}), **body.get("options", {})}
    assert found[where[provider]] == (value if setting != "prompt_cache" else {"type": "ephemeral"})


def test_marks_for_the_prompt_cache_reach_the_provider() -> None:
    from graphflow import CACHE

    agent = Agent("a", system=("A long handbook.", CACHE, "Today: {{ message }}."))
    graph = Graph("g", START >> agent >> END)
    with server("anthropic", [Answer(text="ok")]) as strict:
        walk(graph, "rain", model=model("anthropic", strict))
        assert strict.refused == []
        system = strict.requests[0].json["system"]
    assert [block.get("cache_control") for block in system] == [{"type": "ephemeral"}, None]
    assert system[1]["text"] == "Today: rain."
    with server("openai", [Answer(text="ok")]) as strict:
        walk(graph, "rain", model=model("openai", strict))
        assert strict.refused == []
    for wrong in (5, (), ("x", 5)):
        with pytest.raises(errors.DeclarationError, match="CACHE"):
            Agent("a", system=wrong)  # type: ignore[arg-type]


def test_a_refusal_may_lead_to_another_model() -> None:
    with server("openai", [Answer(text="I can't.", finish="refusal")] * 2) as strict:
        first = model("openai", strict)
        second = ScriptedModel(says("I can."))
        run = walk(
            Graph("g", START >> Agent("a") >> END),
            "x",
            model=Failover(first, second, on=(errors.Refused,)),
        )
        assert run.output == "I can."
        stays = walk(Graph("g", START >> Agent("a") >> END), "x", model=Failover(first, second))
    assert isinstance(stays.error, errors.Refused)
    assert (stays.error.provider.startswith("failover"), stays.error.partial is not None) == (
        True,
        True,
    )


def test_a_refusal_that_only_the_last_event_tells() -> None:
    item = {"type": "message", "id": "m", "content": [{"type": "refusal", "refusal": "No."}]}
    events = [
        {"type": "response.created", "response": {"id": "r", "model": "m"}},
        {
            "type": "response.completed",
            "response": {"id": "r", "status": "completed", "output": [item]},
        },
    ]
    body = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    with RawServer([head() + body]) as raw:
        run = walk(
            Graph("g", START >> Agent("a") >> END),
            "x",
            model=connect("openai-responses:m", key="k", base_url=raw.url),
        )
    assert isinstance(run.error, errors.Refused)


def test_what_a_picture_is_follows_from_its_media_type() -> None:
    from graphflow import Media

    assert Media(mime="audio/wav", data=b"x").kind == "audio"
    assert Media(mime="application/pdf", data=b"x").kind == "document"
    with pytest.raises(ValueError, match="is not a type of image"):
        Media(kind="image", mime="audio/wav", data=b"x")


def test_what_one_run_has_learned_of_a_key_the_next_one_knows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wrong = reply(b'{"error":{"message":"no","code":"invalid_api_key"}}', 401)
    with RawServer(wrong, [head() + CHAT]) as raw:
        monkeypatch.setenv("GROQ_API_KEY", f"key-bad-{raw.url[-5:]},key-good-{raw.url[-5:]}")
        monkeypatch.setenv("GROQ_BASE_URL", raw.url)
        graph = Graph("g", START >> Agent("a", model="groq:m") >> END)
        for _ in range(2):
            assert walk(graph, "x").output == "Hello world"
        assert [b"key-bad" in request for request in raw.requests] == [True, False, False]


def test_a_key_that_was_passed_in_is_scrubbed_from_recordings(tmp_path: Path) -> None:
    body = CHAT.replace(b"Hello", b"my-plain-key-123456")
    with RawServer([head() + body]) as raw:
        ask(
            record(
                tmp_path / "r.jsonl",
                connect("compatible:m", key="my-plain-key-123456", base_url=raw.url),
            )
        )
    assert "my-plain-key" not in (tmp_path / "r.jsonl").read_text()


def test_a_picture_does_not_empty_the_pace() -> None:
    from graphflow import Media

    with RawServer([head() + CHAT]) as raw:
        asked: Any = connect("openai:m", key="k", base_url=raw.url, tpm=60_000)
        picture = Request((UserTurn(("look", Media(mime="image/png", data=b"x" * 1_000_000))),))
        with patience():  # an empty pace would make minutes of it
            for _ in range(3):
                ask(asked, request=picture)
        assert asked.options.pace.tokens.level > 50_000  # settled by what was used


def test_prices_and_windows_of_the_same_models_by_another_wire() -> None:
    from graphflow.model.prices import context_window, cost_of

    assert (
        cost_of("openai-responses:gpt-5-mini", 1000, 0)
        == cost_of("openai:gpt-5-mini", 1000, 0)
        is not None
    )
    assert context_window("openai-responses:gpt-5-mini") == 400_000
