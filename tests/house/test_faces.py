"""The faces on top of the house: `Graph` and `Run` are what users call, and what lies below knows only their lower halves."""

from __future__ import annotations

import asyncio
import copy
import pickle
import subprocess
import sys
from pathlib import Path
from pydoc import plain, render_doc

import pytest

from graphflow import END, START, Graph, Run, node
from graphflow.declaration.options import NO_OPTIONS
from graphflow.proofs.proven import ProvenGraph, solo
from graphflow.runtime.executor import Executor
from graphflow.runtime.run_record import RunRecord

ROOT = Path(__file__).resolve().parents[2]
KEYWORDS = ("model", "limits", "input", "ends", "deps", "description", *NO_OPTIONS)


@node
async def double(n: int) -> int:
    return 2 * n


def doubling(name: str = "doubling") -> Graph[int, int]:
    return Graph(name, START >> double >> END)


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_help_shows_every_keyword_of_a_graph(keyword: str) -> None:
    assert keyword in plain(render_doc(Graph)).partition("Methods defined here")[0]


def test_faces_are_known_by_where_users_find_them() -> None:
    assert (Graph.__module__, Run.__module__) == ("graphflow.graph", "graphflow.run")


def test_a_face_is_a_graph_to_those_below() -> None:
    graph = doubling()
    assert isinstance(graph, ProvenGraph)
    assert graph == doubling()
    assert hash(graph) == hash(doubling())
    assert graph != doubling("other")
    assert copy.deepcopy(graph) == copy.copy(graph) == graph
    assert repr(graph) == "<graph doubling(int) -> int: 1 nodes, 2 edges>"


def test_a_node_that_is_entered_alone_becomes_a_graph_without_a_face() -> None:
    alone = solo(double)
    assert alone is solo(double)
    assert not isinstance(alone, Graph)
    assert alone != Graph("double", START >> double >> END)


def test_a_run_has_no_dict_besides_what_its_record_keeps() -> None:
    run = doubling().run_sync(4)
    assert not hasattr(run, "__dict__")
    assert isinstance(run, RunRecord)


def test_the_executor_makes_the_class_that_it_is_given() -> None:
    recorded = asyncio.run(Executor(RunRecord).run(doubling(), 4))
    assert type(recorded) is RunRecord
    assert recorded.output == 8


def test_a_run_that_went_through_a_pickle_is_one_again() -> None:
    run = doubling().run_sync(4)
    again = pickle.loads(pickle.dumps(run))
    assert type(again) is Run
    assert (again.id, again.status) == (run.id, run.status)


def test_a_graph_that_is_only_built_loads_neither_runtime_nor_pictures() -> None:
    building = "from graphflow import END, START, Graph, Human; Graph('g', START >> Human('h', ask=print) >> END)"
    program = f"{building}; import sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = {name for name in done.stdout.split() if name.startswith("graphflow.")}
    above = ("runtime.executor", "walk", "journal", "render", "notebook", "files", "run")
    assert not loaded & {f"graphflow.{room}" for room in above}
