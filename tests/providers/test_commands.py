"""Models behind command-line tools, against stand-ins that take the same flags and print the same lines."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from graphflow import END, START, Agent, Graph, connect, errors, tool
from graphflow.model.reply import Reply, gather
from graphflow.model.seam import ModelEvent, Request, TextDelta
from graphflow.model.turns import UserTurn
from graphflow.providers import Timeouts
from graphflow.providers.commands import variables
from tests.clock import block
from tests.conftest import walk
from tests.waiting import LONG_S, eventually, until

STAND_INS = Path(__file__).parents[1] / "stand_ins"
TOOLS = ("claude-code", "codex", "auggie")
ASKED = Request((UserTurn("Hello there"),), system="Be brief and secretive.")


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", f"{STAND_INS}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("STAND_IN_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("STAND_IN_PIDS", str(tmp_path / "pids"))
    monkeypatch.setattr(variables, "COMMON", (*variables.COMMON, "STAND_IN*"))


def ask(
    provider: str, request: Request = ASKED, heard: list[ModelEvent] | None = None, **options: Any
) -> Reply:
    async def main() -> Reply:
        async with asyncio.timeout(LONG_S):
            return await gather(
                connect(f"{provider}:default", **options).stream(request),
                None if heard is None else heard.append,
            )

    return asyncio.run(main())


@pytest.mark.parametrize("provider", TOOLS)
def test_it_answers_and_the_prompt_is_in_no_argument(provider: str, tmp_path: Path) -> None:
    reply = ask(provider)
    assert reply.text == "You said: Hello there"
    assert reply.finish == "stop"
    [line] = (tmp_path / "log").read_text().splitlines()
    call = json.loads(line)
    assert "Hello there" in call["stdin"]
    assert "Hello there" not in str(call["argv"])
    assert "secretive" not in str(call["argv"])
    assert any("secretive" in text for text in call["files"].values())
    # Its folder is gone.
    assert not any(Path(arg).exists() for arg in call["argv"] if "graphflow-" in arg)


def test_usage_and_cost_are_told_where_the_tool_tells_them() -> None:
    claude, codex, auggie = ask("claude-code"), ask("codex"), ask("auggie")
    assert (claude.input_tokens, claude.output_tokens, claude.cache_read_tokens) == (15, 7, 3)
    assert claude.usd == pytest.approx(0.0001419)
    assert (codex.input_tokens, codex.output_tokens, codex.reasoning_tokens, codex.usd) == (
        12,
        7,
        2,
        None,
    )
    assert (auggie.input_tokens, auggie.usd) == (0, None)


def test_claude_streams() -> None:
    heard: list[ModelEvent] = []
    ask("claude-code", heard=heard)
    assert sum(isinstance(event, TextDelta) for event in heard) > 1


@pytest.mark.parametrize("provider", TOOLS)
@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("fail", errors.ModelError),
        ("auth", errors.AuthError),
        ("limit", errors.ModelError),
        ("cut", errors.MalformedReply),
    ],
)
def test_failures_are_typed(
    provider: str, mode: str, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN", mode)
    with pytest.raises(kind) as caught:
        ask(provider)
    exact = {
        ("claude-code", "limit"): errors.QuotaExceeded,
        ("codex", "limit"): errors.QuotaExceeded,
        ("auggie", "limit"): errors.RateLimited,
        ("claude-code", "fail"): errors.ServerError,
        ("codex", "fail"): errors.Overloaded,
        ("auggie", "fail"): errors.Overloaded,
    }
    assert type(caught.value) is exact.get((provider, mode), kind)
    assert provider in str(caught.value)


def test_a_notice_that_poses_as_an_answer_is_a_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN", "notice")
    with pytest.raises(errors.QuotaExceeded):
        ask("auggie")


def test_another_model_than_was_asked_for_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # Auggie says that it does not know the model, and falls back.
    monkeypatch.setenv("STAND_IN", "garbage")
    with pytest.raises(errors.NotFound, match="Unknown model"):
        ask("auggie")


def test_a_prompt_is_never_a_command_or_a_file_to_read(tmp_path: Path) -> None:
    ask("claude-code", Request((UserTurn("/compact @~/.ssh/id_rsa"),)))
    [line] = (tmp_path / "log").read_text().splitlines()
    assert json.loads(json.loads(line)["stdin"])["client_composed"] is True


def test_a_stream_that_claude_takes_back_begins_again() -> None:
    from graphflow.model.reply import ReplyBuilder
    from graphflow.providers.commands.claude_code import ClaudeLines

    def piece(kind: str, **more: Any) -> dict[str, Any]:
        return {"type": "stream_event", "event": {"type": kind, **more}}

    def text(said: str) -> dict[str, Any]:
        return piece("content_block_delta", index=0, delta={"type": "text_delta", "text": said})

    start = piece("content_block_start", index=0, content_block={"type": "text", "text": ""})
    void = {**piece("message_stop"), "abandoned_blocks": {"from_block_index": 0}}
    result = {
        "type": "result",
        "is_error": False,
        "result": "whole",
        "usage": {},
        "stop_reason": "end_turn",
    }
    lines, builder = ClaudeLines(ASKED), ReplyBuilder()
    for data in (start, text("hal"), void, start, text("whole"), result):
        for event in lines.line(data):
            builder.add(event)
    for event in lines.end(0, ""):
        builder.add(event)
    assert builder.whole().text == "whole"


@pytest.mark.parametrize(
    ("provider", "mode"),
    [*((t, "big") for t in TOOLS), ("claude-code", "garbage"), ("codex", "garbage")],
)
def test_odd_output_is_read(provider: str, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN", mode)
    reply = ask(provider)
    assert reply.text.startswith("You said: Hello there")
    assert len(reply.text) > (1_000_000 if mode == "big" else 0)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes where Linux shows them")
@pytest.mark.parametrize("provider", TOOLS)
@pytest.mark.parametrize("how", ["cancel", "timeout"])
def test_nothing_is_left_running(
    provider: str, how: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STAND_IN", "hang")
    pids = tmp_path / "pids"

    def runs() -> bool:
        return pids.exists() and bool(pids.read_text().split())

    async def cancelled() -> None:
        task = asyncio.create_task(gather(connect(f"{provider}:default").stream(ASKED)))
        await eventually(runs)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def out_of_time() -> None:
        asked = connect(f"{provider}:default", timeouts=Timeouts(first_s=300, idle_s=300))
        task = asyncio.create_task(gather(asked.stream(ASKED)))
        await eventually(runs)

        def is_over() -> bool:
            block(1000)  # again and again: the tool may run before anybody waits for what it says
            return task.done()

        await eventually(is_over)
        with pytest.raises(errors.ModelTimeout):
            await task

    asyncio.run(cancelled() if how == "cancel" else out_of_time())
    children = [int(pid) for pid in pids.read_text().split()]
    assert children
    until(lambda: not any(map(alive, children)))


class City(BaseModel):
    name: str
    people: int


@pytest.mark.parametrize("provider", TOOLS)
def test_structured_output_in_a_walk(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN", "schema")
    graph = Graph("g", START >> Agent("reader", output=City) >> END)
    run = walk(graph, "Which city?", model=f"{provider}:default")
    assert isinstance(run.output, City), run.error


@tool
async def lookup(key: str) -> str:
    """Look a key up."""
    return f"value of {key}"


def test_tools_in_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # Answers with the first way that the schema allows: the call.
    monkeypatch.setenv("STAND_IN", "schema")
    graph = Graph("g", START >> Agent("seeker", tools=[lookup], max_turns=2) >> END)
    run = walk(graph, "Find it", model="claude-code:default")
    assert run.usage.tool_calls == 2
    last = json.loads((tmp_path / "log").read_text().splitlines()[-1])
    assert "Tool lookup answered: value of" in last["stdin"]


def test_a_tool_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(errors.CommandFailed, match="npm install"):
        connect("codex:default")


def test_a_tool_is_given_what_it_needs_and_what_is_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The keys of everything else that this process talks to are none of its business."""
    program = tmp_path / "claude"
    program.write_text('#!/bin/sh\nenv > "$STAND_IN_LOG"\nexit 3\n')
    program.chmod(0o755)
    secrets = {
        "DATABASE_PASSWORD": "p",
        "OPENAI_API_KEY": "k",
        "AWS_SECRET_ACCESS_KEY": "s",
        "LD_PRELOAD_X": "x",
    }
    for name, value in {
        **secrets,
        "ANTHROPIC_BASE_URL": "http://here",
        "LC_ALL": "C",
        "HTTPS_PROXY": "http://p",
    }.items():
        monkeypatch.setenv(name, value)
    for more, passed in (((), set()), (("AWS_*",), {"AWS_SECRET_ACCESS_KEY"})):
        with pytest.raises(errors.ModelError):
            ask("claude-code", options={"program": str(program), "env": more})
        given = {line.partition("=")[0] for line in (tmp_path / "log").read_text().splitlines()}
        assert {
            "PATH",
            "HOME",
            "LC_ALL",
            "HTTPS_PROXY",
            "ANTHROPIC_BASE_URL",
            "DISABLE_AUTOUPDATER",
        } <= given
        assert given & secrets.keys() == passed


@pytest.mark.parametrize("wrong", ["AWS_*", {"A": "b"}, [""], [1]])
def test_the_names_of_variables_are_a_list(wrong: Any) -> None:
    with pytest.raises(errors.DeclarationError, match="names of variables"):
        connect("codex:default", options={"env": wrong})
