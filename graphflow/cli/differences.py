"""What `graphflow diff` compares: two graphs, or two walks, each a file of events or a run that is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from graphflow import errors
from graphflow.cli.draw import DrawArguments
from graphflow.cli.show import AnyRun
from graphflow.cli.stored_runs import header_of, load_run, with_store
from graphflow.journal.store import Store
from graphflow.limits import Usage
from graphflow.project.graph_files import ENDINGS, find_all
from graphflow.project.graphs import load
from graphflow.project.runs import RunPlace, place_of_runs
from graphflow.proofs.proven import AnyGraph
from graphflow.proofs.report import counted
from graphflow.render import Difference, diff, read_records

Record = dict[str, Any]
WalkSource = AnyRun | list[Record]


def compare(
    a: str, b: str, graph: str | None, store: str | None, look: DrawArguments
) -> tuple[Difference, str]:
    """What differs between two graphs or two walks, and what the walks have used, if they used something else.

    Raises:
        InputInvalid: one is a graph, and the other a walk.
        UnknownGraph: one is neither a graph nor a run.
    """
    names = (a, b)
    named_walks = [name for name in names if not _is_graph(name)]
    if not named_walks:
        before = load(a)
        after = load(b)
        return diff(before, after, names=names, **look), ""
    # Read first: of a name that means nothing it is said that it does, and not that the other is a graph.
    walks = _walks(named_walks, graph, store)
    if len(named_walks) < len(names):
        raise errors.InputInvalid(f"{a} and {b}: compare two graphs, or two walks, not one of each")
    one = walks[a]
    other = walks[b]
    graph_of_both = _graph_of(one, other, graph)
    found = diff(one, other, graph=graph_of_both, names=names, **look)
    return found, _used(one, other)


def _is_graph(text: str) -> bool:
    name, _, _ = text.partition(":")
    if Path(name).suffix in ENDINGS:
        return True
    return name in _graph_names()


def _graph_names() -> list[str]:
    return [found.name for found in find_all()]


def _walks(names: Sequence[str], graph: str | None, store: str | None) -> Mapping[str, WalkSource]:
    """Walks by what they were called: those in files, and those that are kept."""
    walks: dict[str, WalkSource] = {}
    kept: list[str] = []
    for name in names:
        # Told by its ending, as a run may be called like any file.
        if Path(name).suffix in (".jsonl", ".ndjson"):
            walks[name] = read_records(name)
        else:
            kept.append(name)
    if not kept:
        return walks
    place = place_of_runs(store)
    if place is None or place.is_empty:
        load(kept[0])  # which says what may have been meant

    async def reading(opened: Store, place: RunPlace) -> dict[str, AnyRun]:
        found: dict[str, AnyRun] = {}
        for name in kept:
            found[name] = await _kept_run(opened, name, graph)
        return found

    walks.update(with_store(store, reading))
    return walks


async def _kept_run(store: Store, name: str, graph: str | None) -> AnyRun:
    try:
        header = await header_of(store, name)
    except errors.RunUnknown:
        runs = await store.runs()
        known = _graph_names()
        known += [run.id for run in runs]
        near = get_close_matches(name, known, n=3)
        problem = f"no graph is named {name!r}, and no run in {store!r} is, either"
        if near:
            guesses = " or ".join(near)
            problem += f"; did you mean {guesses}?"
        raise errors.UnknownGraph(problem) from None
    return await load_run(store, header, graph)


def _graph_of(one: WalkSource, other: WalkSource, name: str | None) -> AnyGraph | None:
    """The graph that was walked, if it is in reach: the one that is named, else the one that both tell."""
    if name is not None:
        return load(name)
    records: list[Record] = []
    for walk in (one, other):
        if isinstance(walk, list):
            records += walk
        # A picture is of one graph, also where the two have walked different versions of it.
        elif walk.declared is not None:
            return walk.declared
    return _graph_told(records)


def _graph_told(records: list[Record]) -> AnyGraph | None:
    """The graph that records name, if they name but one that is in reach."""
    names: list[object] = []
    for record in records:
        if record["kind"] == "run.start" and record.get("graph") not in names:
            names.append(record.get("graph"))
    if len(names) != 1:
        return None
    [name] = names
    # A word only: a record comes from anywhere, and must not have a file of its choice imported.
    if not isinstance(name, str) or not name.isidentifier():
        return None
    try:
        return load(name)
    except errors.GraphflowError:
        return None


def _used(one: WalkSource, other: WalkSource) -> str:
    """What two runs have used, but for their time, which is never the same; "" if that is the same."""
    if isinstance(one, list) or isinstance(other, list):
        return ""
    before = _words(one.usage)
    after = _words(other.usage)
    if before == after:
        return ""
    return f"used {before} -> {after}"


def _words(usage: Usage) -> str:
    steps = counted(usage.steps, "step")
    calls = counted(usage.model_calls, "model call")
    words = [steps, calls, f"{usage.tokens} tokens"]
    if usage.usd:
        words.append(f"{usage.usd:.4f} USD")
    return ", ".join(words)
