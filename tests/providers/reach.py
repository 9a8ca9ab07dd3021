"""How our endpoints reach the strict servers: which model string, which path below the server's address."""

from __future__ import annotations

from typing import Any

from graphflow.model.seam import Model
from graphflow.providers import connect
from tests.strict import StrictServer

KEY = "sk-test-5e1f2a90c7"
TARGETS: dict[str, tuple[str, str, str]] = {
    # our provider: the strict dialect, a model name, what follows the address
    "openai": ("openai-chat", "gpt-5-mini", "/v1"),
    "openai-responses": ("openai-responses", "gpt-5-mini", "/v1"),
    "anthropic": ("anthropic", "claude-sonnet-4-5", ""),
    "google": ("gemini", "gemini-3-flash", "/v1beta"),
    "groq": ("groq", "openai/gpt-oss-120b", "/openai/v1"),
    "mistral": ("mistral", "mistral-medium-latest", "/v1"),
    "ollama": ("ollama", "qwen3:4b", ""),
}


def server(provider: str, script: Any) -> StrictServer:
    return StrictServer(TARGETS[provider][0], script, key=KEY)


def model(provider: str, at: StrictServer, **options: Any) -> Model:
    _, name, path = TARGETS[provider]
    return connect(
        f"{provider}:{options.pop('named', name)}", key=KEY, base_url=at.url + path, **options
    )
