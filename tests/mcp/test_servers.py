"""Servers that answer, fail, lie, die, change and ask, driven by agents in walks; both transports, both generations."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, MCP, START, Agent, Context, Graph, GraphError, Policy, Retry, node
from graphflow.errors import DeclarationError, ServerFailed
from graphflow.events import CallFailed, ToolPartial
from graphflow.mcp import Elicitation, close_kept, connection
from graphflow.mcp.tools import effects_of, node_name
from graphflow.model.turns import ToolResult, ToolTurn
from graphflow.run import Run
from graphflow.testing import ScriptedModel, both, calls
from tests.clock import block
from tests.conftest import walk
from tests.leftovers import alive, children
from tests.mcp.servers import TOKEN, dynamic, free_port, over_http
from tests.toolbox import inside, within_fences
from tests.waiting import eventually, until


def graph_of(*servers: MCP, **options: Any) -> Graph[Any, Any]:
    return Graph("g", START >> Agent("agent", input=str, mcp=list(servers), **options) >> END)


def results(model: ScriptedModel) -> list[ToolResult]:
    turns = [turn for turn in model.requests[-1].turns if isinstance(turn, ToolTurn)]
    return [inside(result) for turn in turns for result in turn.results]


def asked(
    server: MCP, *script: Any, **options: Any
) -> tuple[list[ToolResult], Run[Any], ScriptedModel]:
    """What an agent reads of the calls of a script."""
    model = ScriptedModel(*script, "done")
    run = walk(graph_of(server), "go", model=model, **options)
    assert run.error is None, run.error
    return results(model), run, model


def stdio(*flags: str, **options: Any) -> MCP:
    return MCP("dynamic", dynamic(*flags), **options)


@pytest.mark.parametrize("handshake", [False, True])
def test_answers_and_errors_are_results_of_their_calls(handshake: bool) -> None:
    before = children()
    script = [
        calls(name)
        for name in ("ask", "fail", "refuse", "own_error", "crash", "liar", "content", "far")
    ]
    script[0] = both(
        calls("ask", q="why"), calls("ask", q="x", deep={"level": 9}, z=1), calls("nope")
    )
    read, run, model = asked(stdio(handshake=handshake), *script)
    assert len(model.requests[0].tools) == 15  # three pages
    good, bad, unknown, *rest = read
    assert good == ToolResult(good.id, "ask", '{"answer":"42"}')
    assert not bad.ok
    assert all(
        part in str(bad.content)
        for part in ("q: 'x' is too short", "deep.level: 9", "'z' was unexpected")
    )
    assert "no tool named 'nope'" in str(unknown.content)
    fail, refuse, own, crash, liar, content, far = rest
    assert not fail.ok
    assert str(fail.content).startswith("ToolError: <untrusted ")
    assert within_fences(str(fail.content).removeprefix("ToolError: ")) == "it broke"
    assert "refuses the call: not like that" in str(refuse.content)
    # Its connection is not taken for lost.
    assert "refuses the call: an error of my own" in str(own.content)
    assert not crash.ok
    assert "Invalid structured content" in str(liar.content)
    assert far.ok  # a reference that nobody needed is not followed
    assert [str(part) for part in content.content] == [
        "first",
        "[image content-1]",
        "[audio content-2]",
        "[there: file:///x]",
        "[mem://a]\nbody",
        "[mem://b: application/zip, 2 bytes, kept as an artifact]",
    ]
    assert [(a.name, a.kind) for a in run.artifacts] == [
        ("content-1", "image"),
        ("content-2", "audio"),
        ("mem://b", "document"),
    ]
    assert children() == before


def test_a_reference_over_the_network_is_not_followed() -> None:
    [far], _, _ = asked(stdio(), calls("far", x=1))
    assert not far.ok
    assert "cannot be followed" in str(far.content)


@pytest.mark.parametrize("flags", [(), ("--json",), ("--stateless",)])
@pytest.mark.parametrize("handshake", [False, True])
def test_the_same_over_http(flags: tuple[str, ...], handshake: bool) -> None:
    with over_http(*flags) as url:
        server = MCP("dynamic", url, token=TOKEN, handshake=handshake)
        script = (calls("ask", q="why"), calls("fail"), both(*[calls("slow", seconds=0.3)] * 4))
        read, _, _ = asked(server, *script)
        assert [r.ok for r in read] == [True, False, True, True, True, True]


def test_a_server_killed_in_a_call_is_opened_again_by_the_next() -> None:
    read, run, _ = asked(stdio(), calls("whoami"), calls("die"), calls("whoami"))
    first, died, second = read
    assert "ServerFailed" in str(died.content)
    assert "it wrote: the last words of the server; the next call opens it again" in str(
        died.content
    )
    assert str(first.content).split()[0] != str(second.content).split()[0]
    [failed] = [event for event in run.events if isinstance(event, CallFailed)]
    assert isinstance(failed.error, ServerFailed)


def test_one_that_died_between_calls_is_opened_again_before_anything_is_lost() -> None:
    pids: list[str] = []

    @node(calls=[stdio()])
    async def twice(text: str, ctx: Context) -> str:
        pids.append((await ctx.call("whoami", {})).split()[0])
        os.kill(int(pids[0]), signal.SIGKILL)
        await eventually(lambda: not alive(int(pids[0])))
        for _ in range(20):
            await asyncio.sleep(0.01)  # its end is noticed by whoever reads from it
        pids.append((await ctx.call("whoami", {})).split()[0])
        return "ok"

    assert walk(Graph("g", START >> twice >> END), "x").output == "ok"
    assert pids[0] != pids[1]


def test_a_retry_of_the_server_tries_again_on_a_new_process() -> None:
    read, run, _ = asked(stdio(retry=Retry(attempts=2, wait_s=0)), calls("die"))
    assert "ServerFailed" in str(read[0].content)
    assert [event.kind for event in run.events].count("node.retry") == 1


@pytest.mark.parametrize("handshake", [False, True])
def test_a_server_over_http_that_was_restarted_is_found_again(handshake: bool) -> None:
    port = free_port()
    answers: list[str] = []
    working = asyncio.Event()

    async def main() -> None:
        @node(
            calls=[MCP("dynamic", f"http://127.0.0.1:{port}/mcp", token=TOKEN, handshake=handshake)]
        )
        async def twice(text: str, ctx: Context) -> str:
            slow = asyncio.ensure_future(ctx.call("slow", {"seconds": 600}))
            await working.wait()
            await asyncio.to_thread(first.__exit__, None, None, None)
            with pytest.raises(ServerFailed, match=r"ended while it was working|refuses"):
                await slow
            with pytest.raises(ServerFailed, match="dynamic"):
                await ctx.call("whoami", {})
            second = over_http(port=port)
            await asyncio.to_thread(second.__enter__)
            try:
                answers.append(await ctx.call("whoami", {}))
            finally:
                await asyncio.to_thread(second.__exit__, None, None, None)
            return "ok"

        first = over_http(port=port)
        first.__enter__()
        run = Graph("g", START >> twice >> END).start("x")
        async for event in run:
            if isinstance(event, ToolPartial):
                working.set()
        assert run.output == "ok", run.error

    asyncio.run(main())
    assert len(answers) == 1


@pytest.mark.parametrize("handshake", [False, True])
def test_tools_that_a_server_adds_are_there_at_the_next_turn(handshake: bool) -> None:
    class Waiting(ScriptedModel):
        """The notice comes beside the answer: until it is there something else is asked."""

        async def stream(self, request: Any) -> Any:
            if len(request.turns) > 1 and "new_15" not in {spec.name for spec in request.tools}:
                self.left.insert(0, calls("slow", seconds=0.05))
            async for event in super().stream(request):
                yield event

    model = Waiting(calls("change"), calls("new_15"), "done")
    assert walk(graph_of(stdio(handshake=handshake)), "go", model=model).output == "done"
    read = [r.content for r in results(model)]
    assert (read[0], read[-1], {*read[1:-1]} - {"slowly done"}) == (
        "changed",
        "new_15 answered",
        set(),
    )
    assert "new_15" in {spec.name for spec in model.requests[-1].tools}
    assert "new_15" not in {spec.name for spec in model.requests[0].tools}


@pytest.mark.parametrize("handshake", [False, True])
@pytest.mark.parametrize(
    ("answer", "told"),
    [({"name": "Ida"}, "accept Ida"), (False, "decline -"), (None, "cancel -")],
)
def test_what_it_asks_reaches_a_person(handshake: bool, answer: Any, told: str) -> None:
    questions: list[Elicitation] = []

    async def ask(name: str, question: Elicitation) -> Any:
        questions.append(question)
        return answer

    read, _, _ = asked(stdio(ask=ask, handshake=handshake), calls("person"))
    assert [(r.content, r.ok) for r in read] == [(told, True)]
    [question] = questions
    assert (question.server, question.message, list(question.fields["properties"])) == (
        "dynamic",
        "Who?",
        ["name"],
    )


@pytest.mark.parametrize("handshake", [False, True])
def test_an_answer_that_does_not_fit_or_a_person_who_cannot_be_asked(handshake: bool) -> None:
    async def wrong(name: str, question: Elicitation) -> Any:
        return {"name": 7}

    async def gone(name: str, question: Elicitation) -> Any:
        raise OSError("the office is closed")

    for ask, why in ((wrong, "does not fit"), (gone, "office is closed"), (None, "licit")):
        read, _, _ = asked(stdio(ask=ask, handshake=handshake), calls("person"))
        assert not read[0].ok
        assert why in str(read[0].content), read


def test_progress_is_told_while_it_works() -> None:
    pieces: list[Any] = []

    async def main() -> None:
        model = ScriptedModel(calls("slow", seconds=0.1), "done")
        async for event in graph_of(stdio()).stream("go", model=model):
            if isinstance(event, ToolPartial):
                pieces.append(event.piece)

    asyncio.run(main())
    assert [p["done"] for p in pieces] == [1, 2, 3, 4, 5]
    assert pieces[0] == {"done": 1, "total": 5, "message": "step 1"}


def test_calls_of_one_turn_run_at_once_and_a_time_limit_ends_one() -> None:
    """The six answer only when all of them are there; then the time of the seventh is up."""
    model = ScriptedModel(both(*[calls("meet", others=6)] * 6, calls("slow", seconds=600)), "done")

    async def main() -> None:
        met = 0
        async for event in graph_of(stdio(timeout_s=300)).stream("go", model=model):
            met += event.kind == "call.end"
            if met == 6:
                block(1000)

    asyncio.run(main())
    read = results(model)
    assert [r.ok for r in read] == [True] * 6 + [False]
    assert "NodeTimeout" in str(read[-1].content)


def test_a_cancelled_run_leaves_no_process() -> None:
    before = children()

    async def main() -> None:
        model = ScriptedModel(calls("slow", seconds=60))
        run = graph_of(stdio()).start("go", model=model)
        async for event in run:
            if event.kind == "call.start":
                break
        run.cancel()
        with pytest.raises(BaseException, match="cancelled"):
            await run
        until(lambda: children() == before)

    asyncio.run(main())


def test_a_server_for_the_process_stays_open_and_is_shared() -> None:
    server = stdio(scope="process", include=["who*"])

    async def main() -> None:
        seen = []
        for _ in range(3):
            model = ScriptedModel(calls("whoami"), "done")
            await graph_of(server).run("go", model=model)
            seen.append(results(model)[0].content)
        models = [ScriptedModel(calls("whoami"), "done") for _ in range(5)]
        await asyncio.gather(*(graph_of(server).run("go", model=model) for model in models))
        seen += [results(model)[0].content for model in models]
        assert len(set(seen)) == 1
        await close_kept()
        model = ScriptedModel(calls("whoami"), "done")
        await graph_of(server).run("go", model=model)
        assert results(model)[0].content not in seen

    before = children()
    asyncio.run(main())
    assert len(children()) == len(before) + 1  # the end of the loop is not the end of the process
    asyncio.run(close_kept())
    assert children() == before


def test_those_who_wait_for_one_that_cannot_be_opened_fail_with_it_and_not_in_turn(
    tmp_path: Path,
) -> None:
    tried = tmp_path / "tried"
    server = MCP(
        "mute", ["sh", "-c", f"echo tried >> {tried}; exec sleep 600"], scope="process", connect_s=3
    )

    async def main() -> None:
        runs = [
            asyncio.ensure_future(graph_of(server).run("go", model=ScriptedModel()))
            for _ in range(20)
        ]
        errors = await asyncio.gather(*runs, return_exceptions=True)
        assert all(isinstance(error, ServerFailed) for error in errors)

    asyncio.run(main())
    asyncio.run(close_kept())
    assert tried.read_text().split() == ["tried"]


@pytest.mark.parametrize("denied", ["ask", "d_ask", "dynamic"])
def test_a_prefix_is_no_way_around_a_deny_list(denied: str) -> None:
    """Neither what the server calls its tool, nor what it is called here, nor the server itself."""
    read, _, model = asked(
        stdio(prefix="d_"), calls("d_ask", q="why"), policy=Policy(deny=[denied])
    )
    assert "d_ask" not in [spec.name for spec in model.requests[0].tools]
    assert not read[0].ok
    assert "there is no tool named 'd_ask'" in str(read[0].content)


def test_include_exclude_prefix_and_names_that_models_take() -> None:
    server = stdio("--odd-names", include=["ask", "who*", "odd*"], exclude=["whoami"], prefix="d_")
    _, _, model = asked(server)
    names = [spec.name for spec in model.requests[0].tools]
    assert names == ["d_ask", node_name("d_", "odd name/with.dots" + "x" * 80)]
    assert len(names[1]) == 64
    assert names[1].startswith("d_odd_name_with_dotsx")


@pytest.mark.parametrize(
    ("servers", "problem"),
    [
        (
            lambda: [stdio(), MCP("other", dynamic())],
            "two nodes named 'ask' .of 'dynamic' and 'other'.*prefix",
        ),
        (lambda: [stdio("--twice")], r"'a.b' and 'a/b' would both be named 'a_b'.*exclude"),
        (
            lambda: [stdio("--no-schema")],
            r"schema of 'broken' is not a JSON schema.*exclude=\['broken'\]",
        ),
        (lambda: [stdio(include=["ask", "brew"])], "has no tool 'brew'.*it has: ask, change"),
    ],
)
def test_what_cannot_be_offered_is_told_before_a_model_is_asked(servers: Any, problem: str) -> None:
    model = ScriptedModel()
    before = children()
    run = walk(graph_of(*servers()), "go", model=model)
    assert isinstance(run.error, (GraphError, ServerFailed))
    with pytest.raises((GraphError, ServerFailed), match=problem):
        raise run.error
    assert model.requests == []
    assert children() == before


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (
            ["/no/such/program"],
            "'s' ./no/such/program. cannot be started: there is no such program",
        ),
        (["false"], "ended before it answered"),
        (["cat"], "does not speak the protocol"),
        (
            ["sh", "-c", "echo no key is set >&2; exit 2"],
            "ended before it answered; it wrote: no key is set",
        ),
        (["sleep", "60"], "did not answer within 0.5 s"),
    ],
)
def test_one_that_cannot_be_opened_says_why(command: list[str], problem: str) -> None:
    before = children()
    run = walk(
        graph_of(MCP("s", command, connect_s=0.5 if command[0] == "sleep" else 60)),
        "go",
        model=ScriptedModel(),
    )
    with pytest.raises(ServerFailed, match=problem):
        raise run.error or AssertionError
    assert children() == before


def test_addresses_that_cannot_be_opened_say_why() -> None:
    with over_http() as url:
        for token, at, problem in (
            ("wrong", url, "answered HTTP 401: it wants a token"),
            (TOKEN, url.replace("/mcp", "/nope"), "HTTP 404|does not speak"),
            (TOKEN, f"http://127.0.0.1:{free_port()}/mcp", "cannot be opened: ConnectError"),
        ):
            run = walk(graph_of(MCP("s", at, token=token)), "go", model=ScriptedModel())
            with pytest.raises(ServerFailed, match=problem):
                raise run.error or AssertionError


def test_secrets_of_a_server_are_in_no_error_event_or_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_PRIVATE_TOKEN", "canary-of-the-environment")
    command = ["sh", "-c", "echo $MINE $OTHER >&2; exit 2"]
    server = MCP(
        "s",
        command,
        env={
            "MINE": "$A_PRIVATE_TOKEN",
            "OTHER": "canary-in-the-code",
            "API_KEY": "canary-in-the-code",
        },
    )
    run = walk(graph_of(server), "go", model=ScriptedModel(), observed=True)
    everything = f"{run.error} {run.error!r} {run.events} {server!r}"
    assert "it wrote" in everything
    assert "canary" not in everything
    with over_http() as url:
        held = MCP("s", f"{url}?key=canary-in-the-url", token="canary-as-a-token")
        failed = walk(graph_of(held), "go", model=ScriptedModel(), observed=True)
        assert isinstance(failed.error, ServerFailed)
        assert "canary" not in f"{failed.error} {failed.error!r} {failed.events} {held!r}"
    missing = walk(
        graph_of(MCP("s", ["cat"], env={"X": "$NOT_SET_ANYWHERE"})), "go", model=ScriptedModel()
    )
    assert "needs the variable $NOT_SET_ANYWHERE" in str(missing.error)


def test_policies_hold_for_tools_of_servers() -> None:
    """Nobody knows what they do, so a policy on effects refuses them until somebody says what they do."""
    reading = Policy(effects=["reads"])
    _, _, model = asked(stdio(), policy=reading)
    assert model.requests[0].tools == ()
    _, _, model = asked(stdio(trust_hints=True), policy=reading)
    assert [spec.name for spec in model.requests[0].tools] == ["ask"]
    _, _, model = asked(stdio(effects=["reads"]), policy=Policy(effects=["reads"], deny=["d*"]))
    assert "die" not in {spec.name for spec in model.requests[0].tools}
    read, _, _ = asked(stdio(approval=True), calls("whoami"))
    assert "ApprovalRefused" in str(read[0].content)


def test_hints_mean_what_the_protocol_says() -> None:
    class Hints:
        read_only_hint: bool | None = None
        open_world_hint: bool | None = None

    class Listed:
        annotations: Hints | None = Hints()

    assert set(effects_of(Listed(), True)) == {"reads", "writes", "executes", "network"}
    Hints.read_only_hint = True
    assert set(effects_of(Listed(), True)) == {"reads", "network"}
    Hints.open_world_hint = False
    assert set(effects_of(Listed(), True)) == {"reads"}
    assert len(effects_of(Listed(), False)) == 4


def test_a_step_calls_it_too_and_nobody_else() -> None:
    @node(calls=[stdio()])
    async def step(text: str, ctx: Context) -> str:
        answer: str = (await ctx.call("ask", {"q": text}))["answer"]
        return answer

    @node
    async def stranger(text: str, ctx: Context) -> str:
        answer: str = await ctx.call("ask", {"q": text})
        return answer

    assert walk(Graph("g", START >> step >> END), "why").output == "42"
    run = walk(Graph("g", START >> step >> stranger >> END), "why")
    assert "has no call edge to 'ask'" in str(run.error)


def test_in_a_sub_graph_it_is_opened_once_for_the_run() -> None:
    inner = graph_of(stdio(include=["whoami"]))
    outer = Graph("outer", START >> Agent("boss", input=str, sub_agents=[inner]) >> END)
    model = ScriptedModel(
        calls("g", input="a"),
        calls("whoami"),
        "one",
        calls("g", input="b"),
        calls("whoami"),
        "two",
        "end",
    )
    run = walk(outer, "x", model=model)
    assert run.output == "end"
    pids = {
        str(e.output).split()[0] for e in run.events if e.kind == "call.end" and e.node == "whoami"
    }  # type: ignore[attr-defined]  # of that kind
    assert len(pids) == 1


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (
            lambda: MCP("s", "mcp-server-time --utc"),
            r"a command is a list of texts: \['mcp-server-time', ...\]",
        ),
        (lambda: MCP("s", []), "give a list of texts"),
        (lambda: MCP("s", ["a", 3]), "give a list of texts"),  # type: ignore[list-item]
        (lambda: MCP("s", "https://me:secret@host/mcp"), "its address holds a password"),
        (lambda: MCP("s", ["a"], token="x"), "token and headers for an address; it has a command"),
        (lambda: MCP("s", "http://h/mcp", env={"A": "b"}), "env and cwd are for a command"),
        (lambda: MCP("s", ["a"], include="x*"), "give a list of texts"),
        (lambda: MCP("s", ["a"], scope="forever"), "'conversation' or 'process'"),  # type: ignore[arg-type]
        (lambda: MCP("s", ["a"], idle_s=5), "is for scope='conversation' or 'process'"),
        (lambda: MCP("s", ["a"], scope="process", idle_s=0), "give seconds, more than 0"),
        (lambda: MCP("s", ["a"], scope="conversation", max_open=0), "give a number from 1"),
        (lambda: MCP("s", ["a"], effects=["melts"]), "'melts' is not an effect"),  # type: ignore[list-item]
    ],
)
def test_wrong_declarations(make: Any, problem: str) -> None:
    with pytest.raises(DeclarationError, match=problem):
        make()


def test_it_stands_on_no_arrow_and_is_drawn() -> None:
    with pytest.raises(GraphError, match="is a server and stands on an arrow; give it to an agent"):
        Graph("g", START >> stdio() >> END)
    drawn = graph_of(stdio()).to_mermaid()
    assert "dynamic" in drawn


def test_a_server_that_answers_no_more_is_opened_again() -> None:
    server = stdio(scope="process", timeout_s=60)
    pids: list[int] = []

    @node(calls=[server])
    async def deaf(text: str, ctx: Context) -> str:
        pids.append(int((await ctx.call("whoami", {})).split()[0]))
        os.kill(pids[0], signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await ctx.call("whoami", {})
        return "ok"

    async def main() -> None:
        graph = Graph("g", START >> deaf >> END)
        await graph.run("x")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(connection, "SIGN_OF_LIFE_S", 0.3)
            again = stdio(scope="process", timeout_s=60)
            assert again == server
            model = ScriptedModel(calls("whoami"), calls("whoami"), "done")
            await graph_of(again).run("go", model=model)
            answered = [r for r in results(model) if r.ok]
            assert answered
            assert str(answered[0].content).split()[0] != str(pids[0])
        await close_kept()

    before = children()
    asyncio.run(main())
    assert children() == before


def test_a_child_that_a_server_leaves_behind_holds_no_thread(tmp_path: Path) -> None:
    leaving = """
import os, sys, time
if child := os.fork():
    open(str(child), "w").close()
    sys.exit(3)
os.setsid(); os.close(0); os.close(1); time.sleep(600)
"""
    for _ in range(3):
        walk(
            graph_of(MCP("s", [sys.executable, "-c", leaving], cwd=str(tmp_path))),
            "go",
            model=ScriptedModel(),
        )
    left = [int(path.name) for path in tmp_path.iterdir()]
    assert len(left) == 3
    try:
        until(
            lambda: "graphflow:mcp-stderr" not in {thread.name for thread in threading.enumerate()}
        )
        assert all(map(alive, left))
    finally:
        for child in left:
            os.kill(child, signal.SIGKILL)
