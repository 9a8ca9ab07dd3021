"""What the tests of the ready graphs share: what ran, and that a graph is sound, bounded, drawn, and the same from a file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from graphflow import Graph
from graphflow.run import Run

DOCS = Path(__file__).resolve().parents[2] / "graphs" / "shop" / "docs"


def ran(run: Run[Any]) -> list[str]:
    """The nodes of the outermost graph that were activated, in the order they ended."""
    return [step.node for step in run.steps if len(step.path) == 1 and step.caller is None]


def called(run: Run[Any]) -> list[str]:
    """What was called along call edges of the outermost graph, in the order it ended."""
    return [step.node for step in run.steps if len(step.path) == 1 and step.caller is not None]


def sound(graph: Graph[Any, Any], *arrows: str) -> None:
    """Proven without a warning, bounded in steps, described, and drawn with these arrows (`source | label | target`)."""
    report = graph.check()
    assert report.ok
    assert report.warnings == ()
    assert graph.bounds().steps is not None
    assert graph.description
    drawn = graph.to_mermaid()
    names = dict(re.findall(r'^ +(n\d+)[\[({/]+"(.+?)(?:<br/>.*)?"', drawn, re.MULTILINE))
    found = {
        f"{names[source]} | {label} | {names[target]}"
        for source, label, target in re.findall(r'(n\d+) -\.?->(?:\|"(.*?)"\|)? (n\d+)', drawn)
    }
    assert set(arrows) <= found, sorted(found)


def from_file(graph: Graph[Any, Any], folder: Path) -> Graph[Any, Any]:
    """The graph written as YAML and read again."""
    file = folder / f"{graph.name}.yaml"
    file.write_text(graph.to_yaml(), encoding="utf-8")
    return Graph.from_yaml(str(file), root=str(Path(__file__).parents[2]))
