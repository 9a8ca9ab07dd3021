"""Keeps a run as a case: what it was given, what its models have said, what it has answered, which nodes ran."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from graphflow.errors import InputInvalid
from graphflow.graph import RunnableGraph
from graphflow.messages.message import to_json_value
from graphflow.project.project import Project
from graphflow.project.trial import AnyRun, case_folder, nodes_of
from graphflow.providers.recording import recorded
from graphflow.redaction import scrubbed
from graphflow.runtime.options import RunOptions

ECHO = "mock:echo"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,80}")
_BARE = re.compile(r"[A-Za-z0-9_-]+")


async def record_case(
    project: Project, name: str, message: object, graph: str | None, model: str | None
) -> Path:
    """Runs a graph, and keeps the run as a case of that name; one that there is takes its place.

    Args:
        project: whose case it is.
        name: what it is called.
        message: what the graph is given.
        graph: which one; None: the project's own.
        model: for nodes that name none; None: the project's.

    Returns:
        The file of the case.

    Raises:
        InputInvalid: the name cannot be that of a file.
        Whatever the run raises; nothing is kept then.
    """
    if _NAME.fullmatch(name) is None:
        raise InputInvalid(f"a case cannot be called {name!r}; take letters, digits, '_', '.', '-'")
    walked = project.graph(graph)
    options = project.run_options()
    options.pop("budgets", None)  # it is kept nowhere, so nothing is counted
    folder = case_folder(project)
    folder.mkdir(parents=True, exist_ok=True)
    # Beside its place until the run has ended well: what was recorded before stays if it does not.
    aside = folder / f".{name}.new.jsonl"
    used = options["model"] = model or options.get("model") or walked.model
    source = ECHO if used == ECHO else None
    try:
        run = await _recorded(walked, message, options, aside)
        if aside.exists():
            recording = aside.replace(folder / f"{name}.jsonl")
            source = f"replay:{recording.name}"
    finally:
        aside.unlink(missing_ok=True)
    file = folder / f"{name}.toml"
    text = _case_text(run, message, graph, source)
    file.write_text(text, encoding="utf-8")
    return file


async def _recorded(
    graph: RunnableGraph, message: object, options: RunOptions, file: Path
) -> AnyRun:
    """Runs a graph, and writes down what its models say: those that its nodes name, too."""
    needed = graph.models_needed(options.get("model"))
    if all(named == ECHO for _, named in needed):  # it always answers alike
        return await graph.run(message, **options)
    # Whichever model a node names: a case asks none of them again.
    with recorded(file):
        return await graph.run(message, **options)


def _case_text(run: AnyRun, message: object, graph: str | None, model: str | None) -> str:
    values = {
        "graph": graph,
        "message": to_json_value(message),
        "model": model,
        "output": to_json_value(run.output),
        "nodes": nodes_of(run),
    }
    lines: list[str] = []
    for key, value in values.items():
        if value is not None:
            text = _toml(scrubbed(value))
            lines.append(f"{key} = {text}\n")
    return "".join(lines)


def _toml(value: object) -> str:
    """A value as TOML; what is None is left out, since TOML has no word for it."""
    if isinstance(value, Mapping):
        return _toml_table(value)
    if isinstance(value, list):
        items = [_toml(each) for each in value if each is not None]
        listed = ", ".join(items)
        return f"[{listed}]"
    # A text, a number, true and false are written alike in both, but for a character that JSON leaves as it is.
    text = json.dumps(value, ensure_ascii=False)
    return text.replace("\x7f", "\\u007f")


def _toml_table(table: Mapping[str, object]) -> str:
    pairs: list[str] = []
    for key, value in table.items():
        if value is not None:
            text = _toml(value)
            pairs.append(f"{_key(key)} = {text}")
    inner = ", ".join(pairs)
    return f"{{ {inner} }}"


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name, ensure_ascii=False)
