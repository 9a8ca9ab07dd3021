"""Errors as objects: they can be copied, and sent to another process, and stay what they are."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, START, Agent, Graph, Limits, Retry, ToolError, node
from graphflow import errors as tree
from graphflow.errors import GraphflowError, LimitExceeded, WalkError
from graphflow.model.reply import Reply
from graphflow.testing import ScriptedModel
from tests.conftest import walk

ROOT = Path(__file__).parents[2]
ways = pytest.mark.parametrize(
    "sent",
    [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))],
    ids=["copy", "deepcopy", "pickle"],
)
Sent = Callable[[Any], Any]


def classes(kind: type[GraphflowError] = GraphflowError) -> Iterator[type[GraphflowError]]:
    yield kind
    for each in kind.__subclasses__():
        if each.__module__ == tree.__name__:
            yield from classes(each)


MADE: dict[type[GraphflowError], Callable[[], GraphflowError]] = {
    tree.AnswerInvalid: lambda: tree.AnswerInvalid(
        "editor-1", "Approved | Rejected", "text: Field required"
    ),
    tree.Diverged: lambda: tree.Diverged(("desk", "inner"), "activation 2 of 'a'", "nothing"),
    tree.GraphError: lambda: tree.GraphError("g", ["one", "two"], "file.py:3"),
    tree.Stuck: lambda: tree.Stuck(
        "stuck", node="a", port="b", edges=["x >> a"], scope="the outermost"
    ),
    tree.LimitExceeded: lambda: LimitExceeded("steps", 3, ["g", "h"], "too many"),
    tree.DepthExceeded: lambda: tree.DepthExceeded(["g", "h"], 1),
    tree.ModelUnset: lambda: tree.ModelUnset("clerk", "desk"),
    tree.NodeTimeout: lambda: tree.NodeTimeout("slow", 0.5),
    tree.MissingExtra: lambda: tree.MissingExtra("it", "mcp", "no mcp"),
    tree.ToolError: lambda: ToolError("busy", retry=Retry(2)),
    tree.RunOwned: lambda: tree.RunOwned("r1", "worker-2", 12.5),
    tree.AnswerExists: lambda: tree.AnswerExists("r1", "q1", "Anna", 0.0),
    tree.AnswerInvalid: lambda: tree.AnswerInvalid("q1", "an integer", "it is a text"),
    tree.Diverged: lambda: tree.Diverged(["desk", "inner"], "an answer of 'a'", "'b'"),
    tree.Unstorable: lambda: tree.Unstorable("Draft", ".when", "datetime", "a Stamp", "declare it"),
    tree.Unreadable: lambda: tree.Unreadable("Draft", ".when", "datetime", "a text"),
    tree.RowDiffers: lambda: tree.RowDiffers("r1", 7, "one", "two"),
    tree.RunDamaged: lambda: tree.RunDamaged("r1", 7, "it is not JSON"),
}


def made(kind: type[GraphflowError]) -> GraphflowError:
    if kind in MADE:
        return MADE[kind]()
    if issubclass(kind, tree.ModelError):
        error = kind(
            "no", provider="p", status=429, code="c", type="t", request_id="r", retry_after=2.5
        )
        error.partial = Reply(text="so far")
        return error
    return kind("what it says")


KINDS: dict[str, type[GraphflowError]] = {kind.__name__: kind for kind in classes()}


@ways
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_error_keeps_class_text_and_attributes(
    kind: type[GraphflowError], sent: Sent
) -> None:
    error = made(kind)
    error.add_note("raised by node 'a'")
    again = sent(error)
    assert type(again) is kind
    assert again.args == error.args
    assert str(again) == str(error) != ""
    assert vars(again) == vars(error)
    assert getattr(again, "msg", None) == getattr(error, "msg", None)


@node
async def breaks(n: int) -> int:
    raise ValueError("no")


@node
async def goes_on(n: int) -> int:
    return n


class Own(Exception):
    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(code)


@node
async def own(n: int) -> int:
    raise Own(n)


@ways
@pytest.mark.parametrize(
    "graph",
    [
        Graph("g", START >> breaks >> END),
        Graph("g", START >> own >> END),
        Graph("g", START >> goes_on >> goes_on.named("b") >> END, limits=Limits(steps=1)),
        Graph("g", START >> (goes_on, own) >> END, ends="all"),
    ],
    ids=["plain", "own", "limit", "fork"],
)
def test_errors_that_carry_a_run_can_be_sent_as_well(graph: Graph[Any, Any], sent: Sent) -> None:
    """A node's own exception, too: the run that it carries must not be what keeps it from being sent."""
    run = walk(graph, 4)
    assert run.error is not None
    again: Any = sent(run.error)
    assert isinstance(again, type(run.error))
    assert str(again) == str(run.error)
    assert getattr(again, "__notes__", []) == getattr(run.error, "__notes__", [])
    kept: Any = getattr(again, "run")  # noqa: B009  # a node's own error has one as well
    assert (kept.graph, kept.id, kept.status) == ("g", run.id, run.status)
    assert kept.usage == run.usage
    assert repr(kept) == repr(run)
    if isinstance(again, Own):
        assert again.code == 4


def test_a_copy_carries_the_very_run_and_a_limit_is_still_its_frames() -> None:
    run = walk(Graph("g", START >> goes_on >> goes_on.named("b") >> END, limits=Limits(steps=1)), 4)
    error: Any = run.error
    assert isinstance(error, LimitExceeded)
    assert copy.deepcopy(error).run is run
    assert copy.copy(error).run is run
    assert copy.deepcopy(error).ledger is error.ledger


def test_a_sent_run_tells_nothing_of_what_happened_and_breaks_nowhere() -> None:
    model = ScriptedModel("hello")
    run = walk(Graph("g", START >> Agent("a", input=str) >> breaks_text >> END), "x", model=model)
    sent: Any = pickle.loads(pickle.dumps(run.error))
    assert sent.run.usage.tokens == run.usage.tokens > 0
    assert sent.run.error is sent
    assert (sent.run.events, sent.run.steps, sent.run.failures, sent.run.artifacts) == (
        [],
        [],
        [],
        [],
    )


@node
async def breaks_text(text: str) -> str:
    raise WalkError(text)


WORKER = """
import pickle, sys
from graphflow.errors import LimitExceeded
from tests.ground.test_errors import goes_on
from graphflow import END, START, Graph, Limits
try:
    Graph("g", START >> goes_on >> goes_on.named("b") >> END, limits=Limits(steps=1)).run_sync(1)
except LimitExceeded as error:
    sys.stdout.buffer.write(pickle.dumps(error))
"""


def test_another_process_can_raise_them() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WORKER], cwd=ROOT, capture_output=True, check=True, timeout=60
    )
    error = pickle.loads(done.stdout)
    assert isinstance(error, LimitExceeded)
    assert error.limit == "steps"
    assert error.run.status == "limited"


def test_a_model_error_says_who_it_is_about_and_what_may_help() -> None:
    error = tree.NotFound("there is no such model", source="openai", status=404)
    assert str(error) == "openai: there is no such model"
    error.source = "openai:gpt-9"
    error.hints += ("asked at http://localhost/v1",)
    assert str(error) == "openai:gpt-9: there is no such model; asked at http://localhost/v1"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
