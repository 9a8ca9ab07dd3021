"""The names of the providers that come with graphflow."""

from __future__ import annotations

ENDPOINTS = (
    *("openai", "openai-responses", "anthropic", "google", "groq", "mistral", "ollama"),
    *("openrouter", "deepseek", "xai", "together", "chatgpt"),
    *("compatible", "vllm", "llamacpp", "lmstudio"),
)
"""Providers that are reached by HTTP: vendors, gateways, servers of one's own."""
COMMANDS = ("claude-code", "codex", "auggie")
"""Command-line tools that answer as models do."""
PROVIDER_NAMES = ("local", "mock", "replay", *ENDPOINTS, *COMMANDS)
"""All of them."""
