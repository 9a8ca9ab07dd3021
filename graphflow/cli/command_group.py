"""How `graphflow --help` lists commands: by what they are about."""

from __future__ import annotations

from typing import Any, TypeAlias

from typer.core import TyperGroup

ClickObject: TypeAlias = Any
"""A command, parameter or context of click. Any: typer brings a click of its own, whose classes have no public name."""

SECTIONS = {
    "Graphs": (
        *("run", "chat", "check", "prove", "bounds", "draw", "diff", "report", "list"),
        *("schema", "mcp"),
    ),
    "Runs that are kept": (
        *("runs", "show", "resume", "answer", "fork", "replay", "usage", "export", "prune"),
        *("delete", "keys"),
    ),
    "Projects": ("new", "test", "config", "budgets", "dev"),
    "This machine": ("doctor", "models", "plugins", "completion"),
}
"""Each command once."""


class SectionedGroup(TyperGroup):
    """The commands of graphflow, in sections."""

    def format_commands(self, ctx: ClickObject, formatter: ClickObject) -> None:
        """Writes one list a section."""
        widest = max(map(len, self.commands))
        for title, names in SECTIONS.items():
            rows: list[tuple[str, str]] = []
            for name in names:
                purpose = _purpose(self.commands[name])
                # As wide as the longest, so that all sections have the same two columns.
                rows.append((name.ljust(widest), purpose))
            with formatter.section(title):
                formatter.write_dl(rows, col_max=widest)


def _purpose(command: ClickObject) -> str:
    """The first sentence of a command's help, whole: one that is cut short says little."""
    first, _, _ = (command.help or "").partition("\n\n")
    sentence, _, _ = " ".join(first.split()).partition(". ")
    return sentence.rstrip(".")
