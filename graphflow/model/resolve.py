"""How a model string becomes a model.

Nothing here knows a provider: a model string is `provider:model`, split at the first colon, and providers are found by
name, in a table of ours or among the plug-ins.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from graphflow.errors import DeclarationError, PluginError, UnknownProvider
from graphflow.model.provider_names import COMMANDS, ENDPOINTS
from graphflow.model.seam import Embedder, Model
from graphflow.plugins.registry import Seam
from graphflow.plugins.seams import EMBEDDERS as EMBEDDER_SEAM
from graphflow.plugins.seams import PROVIDERS as PROVIDER_SEAM

if TYPE_CHECKING:
    from graphflow.plugins.factory import PluginFactory

PROVIDERS = {
    "local": "graphflow.providers.embedded.local_model:open_model",
    "mock": "graphflow.providers.mock:open_mock",
    "replay": "graphflow.providers.mock:open_replay",
    **{name: f"graphflow.providers.endpoints:open_{name.replace('-', '_')}" for name in ENDPOINTS},
    **{
        name: f"graphflow.providers.commands.table:open_{name.replace('-', '_')}"
        for name in COMMANDS
    },
}
"""Our own providers by name: where the function is that opens one. Others are plug-ins."""
EMBEDDERS = {"local": "graphflow.providers.embedded.embeddings:open_embedder"}


def open_model(named: str, **options: Any) -> Model:
    """The model that a string `provider:model` names; `options` are the provider's own.

    Raises:
        UnknownProvider: the text lists near names.
        KeyMissing: the provider needs a key and there is none.
        MissingExtra: the provider needs packages that are not installed.
        PluginError: it is a plug-in that may not be used, cannot be loaded, or does not take these options.
    """
    provider, name = _parts(named)
    opener = _opener(provider, PROVIDERS)
    if opener is not None:
        model: Model = opener(name, **options)
        return model
    factory = _plugged(provider, PROVIDER_SEAM)
    opened = factory.make(object, name, options=options)
    has_name = isinstance(getattr(opened, "name", None), str)
    if not has_name or not callable(getattr(opened, "stream", None)):
        raise factory.broken(f"{named} opens {opened!r}, which has no `stream` and `name`")
    return opened  # type: ignore[return-value]  # it was looked at, as every model is


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
    provider, name = _parts(named)
    opener = _opener(provider, EMBEDDERS)
    if opener is not None:
        embedder: Embedder = opener(name)
        return embedder
    factory = _plugged(provider, EMBEDDER_SEAM)
    opened = factory.make(object, name)
    if not callable(getattr(opened, "embed", None)):
        raise factory.broken(f"{named} opens {opened!r}, which has no `embed`")
    return opened  # type: ignore[return-value]  # as above


def known_problem(named: str) -> str:
    """What is wrong with a model string, as far as that shows without opening the model; empty if nothing is."""
    try:
        provider, _ = _parts(named)
        if _opener(provider, PROVIDERS) is None:
            _plugged(provider, PROVIDER_SEAM)
    except (UnknownProvider, PluginError, ImportError) as error:
        return str(error)
    return ""


def _parts(named: str) -> tuple[str, str]:
    """The provider that a model string names, and the model."""
    provider, _, model = named.partition(":")
    if not provider or not model:
        raise UnknownProvider(f"{named!r} is not a model string; {_unnamed(named)}")
    return provider, model


def _opener(provider: str, table: dict[str, str]) -> Callable[..., Any] | None:
    """The function that opens what a provider of ours has; None: it is none of ours."""
    place = table.get(provider)
    if place is None:
        return None
    # The name comes from our own table, never from data: a model string only chooses among its rows.
    path, _, function = place.partition(":")
    module = import_module(path)
    opener: Callable[..., Any] = getattr(module, function)
    return opener


def _plugged(provider: str, seam: Seam) -> PluginFactory:
    """What a plug-in brings for a provider that is none of ours."""
    factory = seam.find(provider)
    if factory is None:
        raise UnknownProvider(_unknown(provider, seam.names()))
    return factory


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
