"""`--help`: it waits for nothing, lists every command once, and shows lines that can be typed."""

from __future__ import annotations

import shlex
import subprocess
import sys
from dataclasses import fields
from typing import Any, get_args

import pytest
from typer.main import get_command

from graphflow.cli import completion_names
from graphflow.cli.app import app, run_app
from graphflow.cli.command_group import SECTIONS
from graphflow.cli.examples import EXAMPLES
from graphflow.cli.options import Grouping, WhenKept
from graphflow.files.loader import ENDINGS as FILE_ENDINGS
from graphflow.limits import Limits
from graphflow.model.resolve import PROVIDERS
from graphflow.project import spent
from graphflow.project.graph_files import ENDINGS
from graphflow.runtime.options import Sync

HEAVY = ("pydantic", "networkx", "jinja2", "httpx", "yaml", "asyncio", "sqlite3", "rich.console")
MOST_OF_OURS = 18
"""Modules of graphflow that are loaded before a command does anything."""
GROUPS = {"models", "keys"}


def commands() -> dict[str, Any]:
    """Every command by what is typed; click's classes have no public name."""
    root: Any = get_command(app)
    found: dict[str, Any] = {}
    for name, command in root.commands.items():
        found[name] = command
        for inner, within in getattr(command, "commands", {}).items():
            found[f"{name} {inner}"] = within
    return found


def loaded_by(lines: list[str]) -> set[str]:
    """The modules that a process has loaded after these commands."""
    program = (
        "import sys\n"
        "from graphflow.cli.app import run_app\n"
        f"for line in {lines!r}:\n"
        "    assert run_app(line.split()) == 0, line\n"
        "print(*sys.modules, sep='\\n', file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def test_help_loads_nothing_that_it_does_not_show() -> None:
    lines = [f"{name} --help" for name in commands()]
    loaded = loaded_by(["--help", "--version", *lines])
    assert loaded & set(HEAVY) == set()
    ours = {name for name in loaded if name.startswith("graphflow")}
    assert len(ours) <= MOST_OF_OURS, sorted(ours)


def test_every_command_stands_in_one_section() -> None:
    root: Any = get_command(app)
    listed = [name for names in SECTIONS.values() for name in names]
    assert sorted(listed) == sorted(root.commands)


@pytest.mark.parametrize("name", sorted(commands()))
def test_a_command_shows_lines_that_can_be_typed(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app([*name.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert 1 <= len(EXAMPLES[name]) <= 3
    for line in EXAMPLES[name]:
        assert f"  {line}\n" in shown
        words = shlex.split(line.rpartition(" | ")[2].partition(">")[0])
        assert words[0] == "graphflow"
        root: Any = get_command(app)
        _parsed(root, [word for word in words[1:] if word not in ("--env", "prod")])


def _parsed(command: Any, words: list[str]) -> None:
    """Reads a line as its command does, which fails for an option that there is not."""
    within = getattr(command, "commands", {})
    if words and words[0] in within:
        _parsed(within[words[0]], words[1:])
        return
    while "--key" in words:  # it works behind every command
        at = words.index("--key")
        del words[at : at + 2]
    command.make_context("graphflow", words)


def test_there_is_no_example_of_a_command_that_there_is_not() -> None:
    assert set(EXAMPLES) == set(commands())


def test_help_has_no_colours_and_fits_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "-m", "graphflow", "run", "-h"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "\x1b" not in done.stdout
    assert "--input-file" in done.stdout


def test_what_is_written_twice_to_be_light_is_the_same() -> None:
    """`--help` and completion do without the modules that these come from."""
    assert set(completion_names.LIMITS) == {each.name for each in fields(Limits)} - {"unpriced"}
    assert set(completion_names.PROVIDER_NAMES) == set(PROVIDERS)
    assert get_args(Grouping) == get_args(spent.Grouping)
    assert get_args(WhenKept) == get_args(Sync)
    assert (".py", *FILE_ENDINGS) == ENDINGS
