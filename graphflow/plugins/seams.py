"""The nine seams: what plug-ins can extend, and which names are taken there.

`tests/plugins/test_seams.py` holds the names against the tables of the rooms that have them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphflow.errors import PluginUnknown
from graphflow.plugins.registry import Plugin, Seam

if TYPE_CHECKING:
    from graphflow.plugins.factory import PluginFactory

KINDS = Seam(
    "kinds",
    "a kind of node",
    (
        *("agent", "router", "sub-agent", "graph", "code", "skills", "human", "wait"),
        *("receive", "mcp"),
    ),
    leading=1,
)
PROVIDERS = Seam(
    "providers",
    "a provider of models",
    (
        *("local", "mock", "replay"),
        *("openai", "openai-responses", "anthropic", "google", "groq", "mistral", "ollama"),
        *("openrouter", "deepseek", "xai", "together", "chatgpt"),
        *("compatible", "vllm", "llamacpp", "lmstudio"),
        *("claude-code", "codex", "auggie"),
    ),
    leading=1,
)
EMBEDDERS = Seam("embedders", "a provider of embedders", ("local",), leading=1)
STORES = Seam(
    "stores",
    "a kind of store",
    ("memory", "jsonl", "sqlite", "postgresql", "postgres", "none"),
    leading=1,
)
CONTEXTS = Seam("contexts", "a context policy", ("window", "head_tail", "summarise"))
MEMORIES = Seam("memories", "a kind of memory", ("buffer", "facts", "notes", "semantic"), leading=1)
GUARDS = Seam(
    "guards",
    "a guard",
    (
        *("Expression", "JsonShape", "Language", "Length", "PersonalData", "Similarity"),
        "Topic",
    ),
)
SINKS = Seam("sinks", "a sink of events", ("jsonl", "logging", "otlp", "prometheus"))
POLICIES = Seam("policies", "a policy", ("allow", "deny", "effects", "use"))
SEAMS: dict[str, Seam] = {
    seam.name: seam
    for seam in (
        *(KINDS, PROVIDERS, STORES, CONTEXTS, MEMORIES, GUARDS, SINKS, POLICIES, EMBEDDERS),
    )
}
"""By name."""


def plugin(seam: str, name: str) -> PluginFactory:
    """What the plug-in of a seam and name brings, for code: `plugin("kinds", "shelf")("tea", size=3)`.

    Args:
        seam: "kinds", "providers", "stores", "contexts", "memories", "guards", "sinks", "policies" or "embedders".
        name: its word in files.

    Raises:
        PluginUnknown: there is no such seam or plug-in; the text names near ones.
        PluginRefused: it is denied, or its name is taken.
        PluginBroken: it cannot be loaded.
    """
    found = SEAMS.get(seam)
    if found is None:
        from graphflow.misfits import near  # only for an error

        raise PluginUnknown(
            f"{seam!r} is nothing that plug-ins extend{near(seam, SEAMS)}", seam=seam, plugin=name
        )
    return found.get(name)


def installed_plugins() -> list[Plugin]:
    """Every plug-in that is installed, seam by seam; each is loaded to see whether it can be used."""
    return [each for seam in SEAMS.values() for each in seam.plugins()]
