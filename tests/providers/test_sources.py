"""Sources of answers: every vendor tells them in its own way, and they reach the reply, the events and the recordings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, START, Agent, Graph, record, replay, tool
from graphflow.events import ModelFinished
from graphflow.model.sources import Source
from graphflow.run import Run
from graphflow.testing import ScriptedModel, says
from tests.conftest import walk
from tests.providers.raw_server import RawServer
from tests.providers.spelled import Json, asked_at, sse, streamed, whole
from tests.providers.spelled import says as said
from tests.providers.test_gateways import heard

TEXT = "Grüße ☔: it rains in Oslo. It is cold."
RAINS, COLD = "it rains in Oslo", "It is cold"
PAGE, OTHER = "https://weather.example/oslo", "https://cold.example/"


def stretch(words: str, text: str = TEXT) -> tuple[int, int]:
    start = text.index(words)
    return start, start + len(words)


def in_bytes(words: str, text: str = TEXT) -> dict[str, int]:
    start, end = stretch(words, text)
    return {"startIndex": len(text[:start].encode()), "endIndex": len(text[:end].encode())}


def gemini(parts: list[str], **segments: Json) -> Json:
    grounding = {
        "groundingChunks": [
            {"web": {"uri": PAGE, "title": "Weather"}},
            {"web": {"uri": OTHER, "title": "Cold"}},
        ],
        "groundingSupports": [
            {"segment": segment, "groundingChunkIndices": [number, 9]}
            for number, segment in enumerate(segments.values())
        ],
    }
    content = {"parts": [{"text": part} for part in parts]}
    return {
        "candidates": [{"content": content, "finishReason": "STOP", "groundingMetadata": grounding}]
    }


def responses() -> Json:
    def note(words: str, url: str, title: str, text: str) -> Json:
        start, end = stretch(words, text)
        return {
            "type": "url_citation",
            "url": url,
            "title": title,
            "start_index": start,
            "end_index": end,
        }

    first, second = TEXT[: TEXT.index("It")], TEXT[TEXT.index("It") :]
    content = [
        {
            "type": "output_text",
            "text": first,
            "annotations": [note(RAINS, PAGE, "Weather", first)],
        },
        {"type": "output_text", "text": second, "annotations": [note(COLD, OTHER, "Cold", second)]},
    ]
    return {
        "status": "completed",
        "output": [{"type": "message", "id": "msg_1", "content": content}],
    }


def anthropic() -> list[Json]:
    before, after = TEXT[: TEXT.index(RAINS)], TEXT[TEXT.index(COLD) - 2 : TEXT.index(COLD)]

    def cite(url: str, title: str) -> Json:
        return {
            "type": "web_search_result_location",
            "url": url,
            "title": title,
            "cited_text": "So it is.",
            "encrypted_index": "e",
        }

    return [
        {"type": "text", "text": before},
        {"type": "text", "text": RAINS, "citations": [cite(PAGE, "Weather")]},
        {"type": "text", "text": after},
        {"type": "text", "text": COLD, "citations": [cite(OTHER, "Cold")]},
        {"type": "text", "text": "."},
    ]


def anthropic_stream() -> list[Json]:
    events: list[Json] = [{"type": "message_start", "message": {"usage": {}}}]
    for index, block in enumerate(anthropic()):
        begun = {"type": "text", "text": ""}
        events.append({"type": "content_block_start", "index": index, "content_block": begun})
        events.append(
            {
                "type": "content_block_delta",
                "index": index,
                "delta": {"type": "text_delta", "text": block["text"]},
            }
        )
        for citation in block.get("citations", ()):
            delta = {"type": "citations_delta", "citation": citation}
            events.append({"type": "content_block_delta", "index": index, "delta": delta})
        events.append({"type": "content_block_stop", "index": index})
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {}}
    return [*events, end, {"type": "message_stop"}]


def chat(stream: bool) -> Json:
    notes = []
    for words, url, title in ((RAINS, PAGE, "Weather"), (COLD, OTHER, "Cold")):
        start, end = stretch(words)
        notes.append(
            {
                "type": "url_citation",
                "url_citation": {
                    "url": url,
                    "title": title,
                    "start_index": start,
                    "end_index": end,
                },
            }
        )
    said = {"content": TEXT, "annotations": notes}
    return {"choices": [{"delta" if stream else "message": said, "finish_reason": "stop"}]}


def run(asked: Any) -> Run[Any]:
    return walk(Graph("g", START >> Agent("a") >> END), "x", model=asked)


def sources(ended: Run[Any]) -> tuple[Source, ...]:
    return tuple(
        source for e in ended.events if isinstance(e, ModelFinished) for source in e.sources
    )


STREAMS = {
    "google": [
        gemini([TEXT], a={**in_bytes(RAINS), "text": RAINS}, b={**in_bytes(COLD), "text": COLD})
    ],
    "openai-responses": [{"type": "response.completed", "response": responses()}],
    "anthropic": anthropic_stream(),
    "openai": [chat(True)],
}
WHOLES = {
    "google": STREAMS["google"][0],
    "openai-responses": responses(),
    "anthropic": {"content": anthropic(), "stop_reason": "end_turn", "usage": {}},
    "openai": chat(False),
}


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("provider", sorted(STREAMS))
def test_sources_reach_the_reply_and_an_event(provider: str, stream: bool, tmp_path: Path) -> None:
    steps = streamed(provider, *STREAMS[provider]) if stream else whole(WHOLES[provider])
    path = tmp_path / "case.jsonl"
    with RawServer(steps) as raw:
        ended = run(record(path, asked_at(provider, raw, stream=stream)))
    assert ended.output == TEXT
    found = sources(ended)
    assert [(s.url, s.title, TEXT[s.start : s.end]) for s in found] == [
        (PAGE, "Weather", RAINS),
        (OTHER, "Cold", COLD),
    ]
    assert {s.quote for s in found} == ({"So it is."} if provider == "anthropic" else {""})
    assert sources(run(replay(path))) == found


def test_a_place_that_is_counted_otherwise_is_found_by_its_words() -> None:
    parts = [TEXT[:20], TEXT[20:]]
    places = {"a": {"startIndex": 1, "endIndex": 5, "text": RAINS}, "b": {"endIndex": 9999}}
    reply = heard("gemini", sse(gemini(parts, **places)))
    first, second = reply.sources
    assert reply.text[first.start : first.end] == RAINS
    assert reply.text[second.start : second.end] == TEXT
    lost = heard("gemini", sse(gemini(parts, a={"startIndex": 1, "text": "said nowhere"}))).sources
    assert [(source.url, source.start) for source in lost] == [(PAGE, None), (OTHER, None)]


def test_files_and_lists_of_pages_are_sources_too() -> None:
    note = {"type": "file_citation", "file_id": "file-1", "filename": "rain.pdf", "index": 3}
    content = [{"type": "output_text", "text": TEXT, "annotations": [note]}]
    response = {"status": "completed", "output": [{"type": "message", "content": content}]}
    reply = heard("openai-responses", sse({"type": "response.completed", "response": response}))
    assert reply.sources == (Source("", "rain.pdf", 3, 3),)
    block = {
        "type": "text",
        "text": "rain",
        "citations": [
            {"type": "char_location", "document_title": "Book", "cited_text": "It rains."}
        ],
    }
    ended = heard("anthropic", json.dumps({"content": [block], "stop_reason": "end_turn"}).encode())
    assert ended.sources == (Source("", "Book", 0, 4, "It rains."),)
    answer = {
        "choices": [{"delta": {"content": "x"}, "finish_reason": "stop"}],
        "citations": [PAGE, OTHER],
    }
    assert [s.url for s in heard("openai-chat", sse(answer, answer, "[DONE]")).sources] == [
        PAGE,
        OTHER,
    ]


def test_citations_go_back_with_their_text() -> None:
    @tool
    async def look() -> str:
        """Look."""
        return "seen"

    call = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
    answer = {"content": [*anthropic(), call], "stop_reason": "tool_use", "usage": {}}
    with RawServer(whole(answer), said("anthropic", "done")) as raw:
        graph = Graph("g", START >> Agent("a", tools=[look]) >> END)
        walk(graph, "x", model=asked_at("anthropic", raw))
        sent = json.loads(raw.requests[1].partition(b"\r\n\r\n")[2])["messages"][1]["content"]
    assert [block.get("citations", [{}])[0].get("url") for block in sent] == [
        None,
        PAGE,
        None,
        OTHER,
        None,
        None,
    ]


def test_an_answer_without_sources_has_none() -> None:
    assert sources(run(ScriptedModel(says("x")))) == ()


def test_what_was_used_besides_the_answer_is_counted() -> None:
    iterations = [
        {
            "type": "compaction",
            "input_tokens": 1000,
            "output_tokens": 50,
            "cache_read_input_tokens": 7,
        },
        {"type": "message", "input_tokens": 20, "output_tokens": 5},
        {"type": "advisor_message", "input_tokens": 300, "output_tokens": 30},
    ]
    usage = {"input_tokens": 20, "output_tokens": 5, "iterations": iterations}
    answer = {"content": [{"type": "text", "text": "x"}], "stop_reason": "end_turn", "usage": usage}
    with RawServer(whole(answer)) as raw:
        used = run(asked_at("anthropic", raw)).usage
    assert (used.input_tokens, used.output_tokens, used.cache_read_tokens) == (1327, 85, 7)
    events = [
        {"type": "message_start", "message": {"usage": {"input_tokens": 20, "output_tokens": 1}}},
        {"type": "message_delta", "delta": {}, "usage": usage},
        {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}},
    ]
    with RawServer(streamed("anthropic", *events)) as raw:
        broken = run(asked_at("anthropic", raw, retry=1))
    # It broke off, and was paid for.
    assert (broken.usage.input_tokens, broken.usage.output_tokens) == (1327, 85)
