"""The reference of commands, made of the commands themselves when the site is built: `commands.md`.

python -m tests.tools.command_page     # prints it
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from graphflow.cli.app import app

HEAD = """\
# Commands

Every command with its arguments and options, as `graphflow COMMAND --help` tells them. The page to read first is
[Command line](../command-line.md). This one is made of the commands when the site is built.
"""
Command = Any
"""A command of click, or typer's copy of it: which one it is depends on its version."""


def commands(command: Command, path: str = "graphflow") -> Iterator[tuple[str, Command]]:
    """A command and all below it, in the order of its help, each with its whole name."""
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        if not below.hidden:
            yield from commands(below, f"{path} {name}")


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for path, command in commands(get_command(app)):
        parts.append(_entry(path, command))
    return "\n".join(parts)


def _entry(path: str, command: Command) -> str:
    """What there is to know of one command."""
    with command.make_context(path, [], resilient_parsing=True) as ctx:
        usage = " ".join([path, *command.collect_usage_pieces(ctx)])
        records = [each.get_help_record(ctx) for each in command.params]
    lines = [f"## {path}", "", "```text", usage, "```", ""]
    lines += [_prose(command.help or ""), ""]
    rows = [_row(*record) for record in records if record]
    if rows:
        lines += ["| | |", "|---|---|", *rows, ""]
    examples = [line.strip() for line in (command.epilog or "").splitlines()[2:]]
    if examples:
        lines += ["```sh", *examples, "```", ""]
    return "\n".join(lines)


def _row(written: str, told: str) -> str:
    """One argument or option: how it is written, and what it does."""
    return f"| `{_cell(written)}` | {_cell(_prose(told))} |"


def _cell(text: str) -> str:
    """A text as a cell of a table."""
    return text.replace("|", r"\|")


def _prose(text: str) -> str:
    """A help text as Markdown: its paragraphs stay, and nothing in it is a tag."""
    plain = re.sub(r"[ \t]*\n[ \t]*(?!\n)", " ", text.replace("\n\n", "\0"))
    paragraphs = [each.strip() for each in plain.split("\0")]
    # Within backticks Markdown shows a tag as it is.
    return "\n\n".join(re.sub(r"<(?![^`]*`)", "&lt;", each) for each in paragraphs)


if __name__ == "__main__":
    print(page())
