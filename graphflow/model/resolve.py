"""How a model string becomes a model.

Nothing here knows a provider: a model string is `provider:model`, split at the first colon, and providers are found by
name, in a table of ours or by entry point.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from graphflow.errors import DeclarationError, UnknownProvider
from graphflow.model.seam import Embedder, Model

ENDPOINTS = (
    *("openai", "openai-responses", "anthropic", "google", "groq", "mistral", "ollama"),
    *("openrouter", "deepseek", "xai", "together", "chatgpt"),
    *("compatible", "vllm", "llamacpp", "lmstudio"),
)
"""Providers that are reached by HTTP: vendors, gateways, servers of one's own."""
_COMMANDS = ("claude-code", "codex", "auggie")
PROVIDERS = {
    "local": "graphflow.providers.embedded.local_model:open_model",
    **{name: f"graphflow.providers.endpoints:open_{name.replace('-', '_')}" for name in ENDPOINTS},
    **{
        name: f"graphflow.providers.commands.table:open_{name.replace('-', '_')}"
        for name in _COMMANDS
    },
}
"""Our own providers by name: where the function is that opens one. Others come by entry point `graphflow.providers`."""
EMBEDDERS = {"local": "graphflow.providers.embedded.embeddings:open_embedder"}


def open_model(named: str, **options: Any) -> Model:
    """The model that a string `provider:model` names; `options` are the provider's own.

    Raises:
        UnknownProvider: the text lists near names.
        KeyMissing: the provider needs a key and there is none.
        MissingExtra: the provider needs packages that are not installed.
    """
    opener = _opener(named, PROVIDERS, "graphflow.providers")
    _, _, name = named.partition(":")
    model: Model = opener(name, **options)
    return model


def check_model(model: object, whose: str) -> None:
    """Refuses what cannot be a model.

    Raises:
        DeclarationError: it is neither a model string nor an object with a name and a `stream`.
    """
    if model is None or isinstance(model, str):
        return
    stream = getattr(model, "stream", None)
    is_instance = not isinstance(model, type)
    if not is_instance or not callable(stream):
        raise DeclarationError(
            f"{whose}: {model!r} is not a model; give 'provider:model', connect(...), or an object with `stream` and `name`"
        )
    name = getattr(model, "name", None)
    if not isinstance(name, str):
        raise DeclarationError(
            f"{whose}: a model must have a name, and {model!r} has no attribute `name`"
        )


def open_embedder(named: str) -> Embedder:
    """The embedder that a string `provider:model` names. Raises what `open_model` raises."""
    opener = _opener(named, EMBEDDERS, "graphflow.embedders")
    _, _, name = named.partition(":")
    embedder: Embedder = opener(name)
    return embedder


def known_problem(named: str) -> str:
    """What is wrong with a model string, as far as that shows without opening the model; empty if nothing is."""
    try:
        _opener(named, PROVIDERS, "graphflow.providers")
    except (UnknownProvider, ImportError) as error:
        return str(error)
    return ""


def _opener(named: str, table: dict[str, str], group: str) -> Callable[..., Any]:
    provider, _, model = named.partition(":")
    if not provider or not model:
        raise UnknownProvider(f"{named!r} is not a model string; {_unnamed(named)}")
    place = table.get(provider)
    if place is None:
        return _installed(provider, table, group)
    # The name comes from our own table, never from data: a model string only chooses among its rows.
    path, _, function = place.partition(":")
    module = import_module(path)
    opener: Callable[..., Any] = getattr(module, function)
    return opener


def _installed(provider: str, table: dict[str, str], group: str) -> Callable[..., Any]:
    """The opener of a provider that another package brings."""
    names = list(table)
    for point in entry_points(group=group):
        if point.name == provider:
            opener: Callable[..., Any] = point.load()
            return opener
        names.append(point.name)
    raise UnknownProvider(_unknown(provider, names))


ALIASES = {
    "gemini": "google",
    "claude": "anthropic",
    "gpt": "openai",
    "grok": "xai",
    "llama.cpp": "llamacpp",
    "openai-compatible": "compatible",
    "openai-chat": "openai",
}
"""Names that people use for providers, and ours."""
_MAKERS = (
    (r"gpt-|o\d|chatgpt", "openai"),
    ("claude", "anthropic"),
    ("gemini", "google"),
    ("mi(s|x)tral", "mistral"),
    ("grok", "xai"),
)


def _unnamed(named: str) -> str:
    """What somebody meant who gave a model without its provider."""
    provider, slash, model = named.partition("/")
    provider = ALIASES.get(provider, provider)
    if slash and provider in ENDPOINTS:
        return f"did you mean '{provider}:{model}'?"
    for pattern, maker in _MAKERS:
        if re.match(pattern, named, re.IGNORECASE):
            return f"did you mean '{maker}:{named}'?"
    return "write 'provider:model', for example 'local:smollm2'"


def _unknown(provider: str, have: Sequence[str]) -> str:
    import difflib  # only for an error

    low = provider.lower()
    alias = ALIASES.get(low) or low
    if alias in have:
        return f"no provider is named {provider!r}; did you mean {alias!r}?"
    near = difflib.get_close_matches(low, have, n=2)
    if near:
        quoted = map(repr, near)
        names = " or ".join(quoted)
        return f"no provider is named {provider!r}; did you mean {names}?"
    names = ", ".join(sorted(have))
    return f"no provider is named {provider!r}; there is: {names}"
