"""What several commands take: a graph, a run, a store, limits, where the output goes.

Every command loads this, `--help` and the completion of shells too: nothing of graphflow is imported here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

STORE_VARIABLE = "GRAPHFLOW_STORE"
USER_VARIABLE = "GRAPHFLOW_USER"
GraphName = Annotated[
    str,
    typer.Argument(
        metavar="GRAPH",
        help="Name of a graph (`graphflow list` shows them), a .py, .yaml, .json or .toml file, or FILE.py:VARIABLE. "
        "A file is code that is run, YAML too.",
    ),
]
GraphOrMain = Annotated[
    str | None,
    typer.Argument(
        metavar="GRAPH",
        help="Name of a graph (`graphflow list` shows them), a .py, .yaml, .json or .toml file, or FILE.py:VARIABLE. "
        "A file is code that is run, YAML too. Default: the graph of your project.",
    ),
]
ModelName = Annotated[
    str | None,
    typer.Option(
        metavar="PROVIDER:MODEL",
        help="The model for nodes that name none, for example openai:gpt-5-mini.",
    ),
]
OpenLevels = Annotated[
    str | None,
    typer.Option(
        "--open",
        metavar="LEVELS",
        help="How many levels of nested graphs to show: a number, or all.",
    ),
]
Measure = Literal["usd", "tokens", "calls", "runs"]
"""What a bar of `graphflow usage` shows."""
Grouping = Literal["day", "graph", "node", "model", "conversation"]
"""What a row of `graphflow usage` is about."""
RunState = Literal[
    "running", "interrupted", "waiting", "completed", "failed", "cancelled", "limited"
]
"""How a run that is kept may stand."""
STATES = "running, interrupted, waiting, completed, failed, cancelled or limited"
WhenKept = Literal["effects", "each", "end"]
"""When a run waits until what it did is on the disk."""
AsJson = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
StoreAddress = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="ADDRESS",
        envvar=STORE_VARIABLE,
        show_envvar=True,
        help="Where runs are kept: sqlite:FILE, jsonl:FOLDER, postgresql://USER@HOST/DATABASE, or none. "
        "Default: .graphflow/runs.db of your project.",
    ),
]
RunId = Annotated[
    str | None,
    typer.Argument(
        metavar="ID", help="A run, or the beginning of its id. Default: the newest that fits."
    ),
]
GraphOfRun = Annotated[
    str | None,
    typer.Option(
        "--graph",
        metavar="GRAPH",
        help="The graph of the run, where your project has none of that name: a file.",
    ),
]
StatedLimits = Annotated[
    list[str] | None,
    typer.Option(
        "--limit",
        "--limits",
        metavar="NAME=VALUE",
        help="What the run may use, for example steps=500 or usd=2; may be repeated, or several with commas.",
    ),
]
RunInput = Annotated[
    str | None,
    typer.Argument(
        metavar="INPUT", help="The graph's input: text, JSON, or - to read standard input."
    ),
]
InputFields = Annotated[
    list[str] | None,
    typer.Option(
        "--set", "-s", metavar="FIELD=VALUE", help="Set a field of the input; may be repeated."
    ),
]
OutputAsJson = Annotated[
    bool, typer.Option("--json", help="Print the output, status and usage as JSON.")
]
EventsFile = Annotated[
    Path | None,
    typer.Option(
        "--events", metavar="FILE.jsonl", help="Write every event to this file, one JSON line each."
    ),
]
ReportFile = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="FILE.html",
        help="Write the run as an HTML page: pictures, conversations, costs.",
    ),
]
ApprovedNames = Annotated[
    list[str] | None,
    typer.Option(
        "--approve",
        metavar="all|NAME",
        help="Allow calls that need approval without asking: all, or those of a name such as 'send_*'; may be repeated.",
    ),
]
ConversationId = Annotated[
    str | None,
    typer.Option("--conversation", metavar="ID", help="Which conversation the message is said in."),
]


SecretVariables = Annotated[
    list[str] | None,
    typer.Option(
        "--secret-env",
        metavar="NAME",
        help="A variable whose value nobody sees of this run: no model, no file, no screen; may be repeated.",
    ),
]


UserName = Annotated[
    str | None,
    typer.Option(
        "--user",
        metavar="NAME",
        envvar=USER_VARIABLE,
        show_envvar=True,
        help="Whom the run serves: budgets that are per user count by it.",
    ),
]


@dataclass(frozen=True, slots=True)
class WalkOutput:
    """What a command prints and writes of its walk.

    Attributes:
        as_json: whether it prints the output, status and usage as JSON.
        events: the file that gets every event.
        report: the file that gets the run as a page.
    """

    as_json: bool = False
    events: Path | None = None
    report: Path | None = None
