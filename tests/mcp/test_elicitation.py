"""What a server asks a person in a run that waits: a question like any other, answered after a restart of both."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, MCP, START, Agent, Graph
from graphflow.errors import AnswerInvalid
from graphflow.events import CallStarted, Resumed
from graphflow.mcp import close_kept
from graphflow.testing import ScriptedModel, calls
from tests.mcp.servers import dynamic
from tests.runtime.waits import Desk
from tests.toolbox import inside, results_of

pytest.importorskip("mcp")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "runs.db")


def asking(*, handshake: bool, **options: Any) -> Graph[Any, Any]:
    server = MCP("dynamic", dynamic(), handshake=handshake, **options)
    return Graph("g", START >> Agent("agent", input=str, mcp=[server]) >> END)


@pytest.mark.parametrize("handshake", [False, True])
@pytest.mark.parametrize(
    ("answer", "says"), [({"name": "Ida"}, "accept Ida"), (False, "decline -"), (None, "cancel -")]
)
def test_a_run_waits_for_what_a_server_asks(
    desk: Desk, handshake: bool, answer: Any, says: str
) -> None:
    graph = asking(handshake=handshake)
    model = ScriptedModel(calls("person"), "end")
    run = desk.run(graph, "go", model=model)
    assert run.status == "waiting", run.error
    (question,) = run.pending
    assert (question.about, question.node, question.message.message) == (
        "elicitation",
        "person",
        "Who?",
    )
    assert list(question.schema["properties"]) == ["name"]
    with pytest.raises(AnswerInvalid):
        desk.answer("person", {"name": 7})
    desk.answer("person", answer)
    run = desk.resume(graph, model=model)
    assert run.output == "end", run.error
    model.done()
    assert [inside(result).text for turn in results_of(model) for result in turn] == [says]
    # The call was cut off while it waited, and was made again: the record says so.
    (resumed,) = (event for event in run.events if isinstance(event, Resumed))
    assert len(resumed.unknown) == 1
    assert len({event.node for event in run.events if isinstance(event, CallStarted)}) == 1


def test_an_answer_that_does_not_fit_is_refused_here_too(desk: Desk) -> None:
    graph = asking(handshake=False)
    model = ScriptedModel(calls("person"), "end")
    desk.run(graph, "go", model=model)
    with pytest.raises(AnswerInvalid, match="name"):
        desk.resume(graph, model=model, answers={"person": {"name": 7}})
    assert desk.resume(graph, model=model, answers={"person": {"name": "Ida"}}).output == "end"


def test_a_server_that_all_runs_share_cannot_ask(desk: Desk) -> None:
    graph = asking(handshake=False, scope="process")
    model = ScriptedModel(calls("person"), "end")
    try:
        run = desk.run(graph, "go", model=model)
    finally:
        asyncio.run(close_kept())
    assert run.output == "end"
    assert "licit" in results_of(model)[0][0].text
