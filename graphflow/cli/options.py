"""What several commands take: a graph, a run, a store, limits, spans of time, where the output goes."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Annotated, get_args, get_type_hints

import typer

from graphflow.errors import InputInvalid
from graphflow.limits import Limits

STORE_VARIABLE = "GRAPHFLOW_STORE"
GraphName = Annotated[
    str,
    typer.Argument(
        metavar="GRAPH",
        help="Name of a graph (`graphflow list` shows them), a .py or .yaml file, or FILE.py:VARIABLE. "
        "A file is code that is run, YAML too.",
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
    str | None,
    typer.Option(
        metavar="NAME=NUMBER,...", help="What the run may use, for example steps=500,usd=2."
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


SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
"""Seconds of the units in which spans are given."""
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")


def read_span(text: str, option: str) -> float:
    """Seconds of a span of time: 90s, 15m, 12h, 30d, 2w.

    Raises:
        InputInvalid: it is none.
    """
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise InputInvalid(
            f"{option} {text}: give a number and a unit, such as 90s, 15m, 12h, 30d or 2w"
        )
    number, unit = found.groups()
    return float(number) * SECONDS[unit]


def read_since(text: str) -> float:
    """A moment in seconds since 1970: a span before now, or a date.

    Raises:
        InputInvalid: it is neither.
    """
    if _SPAN.fullmatch(text.strip()):
        return time.time() - read_span(text, "--since")
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise InputInvalid(
            f"--since {text}: give a span such as 2h or 30d, or a date such as 2026-01-31"
        ) from None


def read_limits(text: str | None) -> Limits | None:
    """Limits as they stand on a command line: depth=3,usd=0.5.

    Raises:
        InputInvalid: there is no such limit, or its value is no number.
    """
    if text is None:
        return None
    kinds = get_type_hints(Limits)
    names = [field.name for field in fields(Limits)]
    given: dict[str, int | float | str] = {}
    for part in text.split(","):
        name, equals, value = part.strip().partition("=")
        if not equals or name not in names:
            have = ", ".join(names)
            raise InputInvalid(
                f"--limits {text}: {part.strip()!r} is no limit; write NAME=NUMBER with one of: {have}"
            )
        given[name] = _number(text, name, value, kinds[name])
    return Limits(**given)  # type: ignore[arg-type]  # each value was read by the type of its limit


def _number(text: str, name: str, value: str, kind: object) -> int | float | str:
    if name == "unpriced":
        return value
    # Dollars and seconds come in parts, steps do not.
    read = float if float in get_args(kind) else int
    try:
        return read(value)
    except ValueError:
        words = "a number" if read is float else "a whole number"
        raise InputInvalid(f"--limits {text}: {name} must be {words}") from None
