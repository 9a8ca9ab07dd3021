"""Good requests to spoil: one per dialect, with a system text, two tools, two calls answered and a question open."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.strict.script import Json
from tests.strict.server import StrictServer

KEY = "sk-test"
CITY: Json = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
PLAIN: Json = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
NAMES = ("weather", "time")


@dataclass(slots=True)
class Good:
    """A request that its dialect takes."""

    path: str
    body: Json
    headers: dict[str, str] = field(default_factory=lambda: {"authorization": f"Bearer {KEY}"})
    streamed: str = ""
    """Path of the streaming method, where it is another one."""

    async def send(self, server: StrictServer, *, stream: bool = False) -> httpx.Response:
        body = copy.deepcopy(self.body)
        if not self.streamed:
            body.setdefault("stream", stream)
        path = self.streamed if stream and self.streamed else self.path
        async with httpx.AsyncClient(verify=False, trust_env=False) as client:
            return await client.post(server.url + path, json=body, headers=self.headers)


def _chat(model: str, ids: tuple[str, str], **more: Any) -> Json:
    calls = [
        {
            "id": call,
            "type": "function",
            "function": {"name": name, "arguments": '{"city": "Rome"}'},
        }
        for call, name in zip(ids, NAMES, strict=True)
    ]
    return {
        "model": model,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is it like in Rome?"},
            {"role": "assistant", "content": "I look.", "tool_calls": calls},
            *[{"role": "tool", "tool_call_id": call, "content": "fine"} for call in ids],
        ],
        "tools": [
            {
                "type": "function",
                "function": {"name": name, "description": name, "parameters": copy.deepcopy(CITY)},
            }
            for name in NAMES
        ],
        "temperature": 0.5,
        "max_tokens": 100,
        **more,
    }


def openai_chat() -> Good:
    return Good(
        "/v1/chat/completions", _chat("gpt-4o-mini", ("call_1", "call_2"), seed=1, stop=["END"])
    )


def groq() -> Good:
    return Good(
        "/openai/v1/chat/completions", _chat("llama-3.3-70b-versatile", ("fc_1", "fc_2"), seed=1)
    )


def mistral() -> Good:
    body = _chat(
        "mistral-small-latest", ("abcDEF123", "abcDEF124"), random_seed=1, tool_choice="auto"
    )
    return Good("/v1/chat/completions", body)


def openai_responses() -> Good:
    calls = [
        {
            "type": "function_call",
            "id": f"fc_{at}",
            "call_id": f"call_{at}",
            "name": name,
            "arguments": "{}",
        }
        for at, name in enumerate(NAMES)
    ]
    outputs = [
        {"type": "function_call_output", "call_id": f"call_{at}", "output": "fine"}
        for at in range(2)
    ]
    body: Json = {
        "model": "gpt-4o-mini",
        "instructions": "Be brief.",
        "input": [{"role": "user", "content": "What is it like in Rome?"}, *calls, *outputs],
        "tools": [
            {
                "type": "function",
                "name": name,
                "description": name,
                "parameters": copy.deepcopy(CITY),
                "strict": True,
            }
            for name in NAMES
        ],
        "temperature": 0.5,
        "max_output_tokens": 100,
        "store": False,
    }
    return Good("/v1/responses", body)


def anthropic() -> Good:
    uses = [
        {"type": "tool_use", "id": f"toolu_{at}", "name": name, "input": {"city": "Rome"}}
        for at, name in enumerate(NAMES)
    ]
    results = [
        {"type": "tool_result", "tool_use_id": f"toolu_{at}", "content": "fine"} for at in range(2)
    ]
    body: Json = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 2000,
        "system": "Be brief.",
        "messages": [
            {"role": "user", "content": "What is it like in Rome?"},
            {"role": "assistant", "content": [{"type": "text", "text": "I look."}, *uses]},
            {"role": "user", "content": results},
        ],
        "tools": [
            {"name": name, "description": name, "input_schema": copy.deepcopy(CITY)}
            for name in NAMES
        ],
    }
    return Good("/v1/messages", body, {"x-api-key": KEY, "anthropic-version": "2023-06-01"})


def gemini(model: str = "gemini-2.5-flash") -> Good:
    calls = [{"functionCall": {"name": name, "args": {"city": "Rome"}}} for name in NAMES]
    results = [
        {"functionResponse": {"name": name, "response": {"output": "fine"}}} for name in NAMES
    ]
    body: Json = {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "What is it like in Rome?"}]},
            {"role": "model", "parts": calls},
            {"role": "user", "parts": results},
        ],
        "tools": [
            {
                "functionDeclarations": [
                    {"name": NAMES[0], "description": "w", "parameters": copy.deepcopy(PLAIN)},
                    {
                        "name": NAMES[1],
                        "description": "t",
                        "parametersJsonSchema": copy.deepcopy(CITY),
                    },
                ]
            }
        ],
        "generationConfig": {"temperature": 0.5, "maxOutputTokens": 100},
    }
    path = f"/v1beta/models/{model}:"
    return Good(
        f"{path}generateContent",
        body,
        {"x-goog-api-key": KEY},
        streamed=f"{path}streamGenerateContent?alt=sse",
    )


def ollama() -> Good:
    calls = [{"function": {"name": name, "arguments": {"city": "Rome"}}} for name in NAMES]
    body: Json = {
        "model": "qwen3",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is it like in Rome?"},
            {"role": "assistant", "content": "", "tool_calls": calls},
            *[{"role": "tool", "tool_name": name, "content": "fine"} for name in NAMES],
        ],
        "tools": [
            {
                "type": "function",
                "function": {"name": name, "description": name, "parameters": copy.deepcopy(CITY)},
            }
            for name in NAMES
        ],
        "options": {"temperature": 0.5, "num_predict": 100, "seed": 1, "stop": ["END"]},
    }
    return Good("/api/chat", body, {})


GOODS = {
    "openai-chat": openai_chat,
    "openai-responses": openai_responses,
    "anthropic": anthropic,
    "gemini": gemini,
    "ollama": ollama,
    "groq": groq,
    "mistral": mistral,
}
