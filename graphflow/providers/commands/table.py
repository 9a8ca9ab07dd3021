"""The tools by their names in model strings; a new one is one module and one line."""

from __future__ import annotations

from graphflow.providers.commands import auggie, claude_code, codex
from graphflow.providers.commands.command import CommandLineTool

_ALL = (claude_code.COMMAND, codex.COMMAND, auggie.COMMAND)
COMMANDS: dict[str, CommandLineTool] = {command.name: command for command in _ALL}


def __getattr__(name: str) -> CommandLineTool:
    """`open_codex` is the tool of that name: calling it opens a model."""
    tool = name.removeprefix("open_").replace("_", "-")
    command = COMMANDS.get(tool)
    if command is None:
        raise AttributeError(name)
    return command
