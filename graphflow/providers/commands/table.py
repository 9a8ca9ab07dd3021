"""The tools by their names in model strings; a new one is one module and one line."""

from __future__ import annotations

from graphflow.providers.commands import auggie, claude_code, codex
from graphflow.providers.commands.process import Command

COMMANDS: dict[str, Command] = {c.name: c for c in (claude_code.COMMAND, codex.COMMAND, auggie.COMMAND)}


def __getattr__(name: str) -> Command:
    """`open_codex` is the tool of that name: calling it opens a model."""
    try:
        return COMMANDS[name.removeprefix("open_").replace("_", "-")]
    except KeyError:
        raise AttributeError(name) from None
