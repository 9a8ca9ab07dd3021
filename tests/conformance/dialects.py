"""Which wire format and dialect each recorded provider speaks."""

from __future__ import annotations

from graphflow.providers.wires import anthropic, gemini, ollama, openai_chat, openai_responses
from graphflow.providers.wires.wire import Dialect, Wire

WIRES: dict[str, tuple[Wire, Dialect]] = {
    "openai-chat": (openai_chat.WIRE, openai_chat.OPENAI),
    "groq": (openai_chat.WIRE, openai_chat.GROQ),
    "mistral": (openai_chat.WIRE, openai_chat.MISTRAL),
    "openai-responses": (openai_responses.WIRE, Dialect()),
    "anthropic": (anthropic.WIRE, Dialect()),
    "gemini": (gemini.WIRE, Dialect()),
    "ollama": (ollama.WIRE, Dialect()),
}
