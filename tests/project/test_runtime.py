"""The runtime of a project: one object that runs its graphs, and reloads them while they are walked."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, wait
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from graphflow.cli.app import run_app
from graphflow.errors import (
    DeclarationError,
    FileUnreadable,
    GraphflowError,
    ServerFailed,
    UnknownGraph,
)
from graphflow.mcp import close_kept
from graphflow.project import Runtime
from graphflow.project.dependencies import DepsFor
from graphflow.project.watching import is_part, watch
from tests import programs
from tests.looped import looped

SETTINGS = 'graph = "talk"\nmodel = "mock:echo"\nstore = "none"\n'
TALK = """
from graphflow import END, START, Agent, Graph, node
from nodes.steps import version

@node
async def first(text: str) -> str:
    return f"{text} {version.NUMBER}"

@node
async def second(text: str) -> str:
    return f"{text} {NUMBER}"

NUMBER = version.NUMBER
talk = Graph("talk", START >> first >> version.middle >> second >> END)
"""
VERSION = """
import asyncio
from graphflow import node

NUMBER = {number}

@node
async def middle(text: str) -> str:
    for _ in range(20):
        await asyncio.sleep(0)
    return f"{{text}} {{NUMBER}}"
"""
OTHER = """
graph: other
nodes:
  say: {kind: agent, input: str, prompt: "v1 {{ text }}"}
edges: [START >> say >> END]
"""


@pytest.fixture(autouse=True)
def modules() -> Iterator[None]:
    """What projects have loaded is taken out again, and what was there is put back."""
    before, path = loaded(), list(sys.path)
    yield
    for name in loaded():
        del sys.modules[name]
    sys.modules.update(before)
    sys.path[:] = path


def loaded() -> dict[str, ModuleType]:
    return {
        name: module
        for name, module in sys.modules.items()
        if name.partition(".")[0] in ("nodes", "graphs")
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "graphs").mkdir()
    (tmp_path / "nodes" / "steps").mkdir(parents=True)
    (tmp_path / "graphflow.toml").write_text(SETTINGS)
    (tmp_path / "graphs" / "talk.py").write_text(TALK)
    (tmp_path / "graphs" / "other.yaml").write_text(OTHER)
    write(tmp_path, 1)
    return tmp_path


def write(root: Path, number: int) -> None:
    (root / "nodes" / "steps" / "version.py").write_text(VERSION.format(number=number))


@looped
async def test_graphs_are_run_by_name(root: Path) -> None:
    async with Runtime.open(root) as runtime:
        assert runtime.graphs() == ["other", "talk"]
        assert (await runtime.run(None, "hi")).output == "hi 1 1 1"
        assert (await runtime.run("other", "hi")).output == "v1 hi"
        kinds = [event.kind async for event in runtime.stream("other", "hi")]
        assert kinds[0] == "run.start"
        task = runtime.start("talk", "hi")
        assert (await task).output == "hi 1 1 1"
        assert runtime.usage()["talk"].steps == 6
        assert runtime.usage()["other"].model_calls == 2
        with pytest.raises(UnknownGraph, match="did you mean 'talk'"):
            await runtime.run("tlak", "hi")


@looped
async def test_it_has_to_be_open(root: Path) -> None:
    runtime = Runtime.open(root)
    with pytest.raises(DeclarationError, match="is not open"):
        await runtime.run("talk", "hi")
    async with runtime:
        with pytest.raises(DeclarationError, match="is open already"):
            await runtime.__aenter__()
    await runtime.close()


@looped
async def test_closing_cancels_what_still_goes(root: Path) -> None:
    async with Runtime.open(root) as runtime:
        task = runtime.start("talk", "hi")
    assert task.done()


@looped
async def test_info_is_json_and_tells_versions(root: Path) -> None:
    (root / "graphs" / "broken.yaml").write_text("graph: broken\nnodes: 5\n")
    async with Runtime.open(root) as runtime:
        info = runtime.info("other")
        assert (info["version"], info["models"], info["problems"]) == (1, ["mock:echo"], [])
        assert "broken.yaml:2" in runtime.info("broken")["problems"][0]
        with pytest.raises(FileUnreadable, match="broken"):
            await runtime.run("broken", "hi")


# -- dependencies ----------------------------------------------------------------------------------
@looped
async def test_dependencies_are_made_for_each_run_and_closed_behind_it(root: Path) -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def connection(purpose: DepsFor) -> AsyncIterator[str]:
        seen.append(f"open {purpose.graph}")
        yield "deps"
        seen.append("close")

    async with Runtime.open(root, deps=connection) as runtime:
        await runtime.run("other", "hi")
        await runtime.run("talk", "hi")
    assert seen == ["open other", "close", "open talk", "close"]


@looped
async def test_dependencies_of_a_conversation_last_until_the_runtime_closes(root: Path) -> None:
    made: list[str | None] = []

    async def connect(purpose: DepsFor) -> object:
        made.append(purpose.conversation)
        return object()

    runtime = Runtime.open(root, deps=connect, deps_per="conversation", store="memory:")
    async with runtime:
        for key in ("a", "b", "a"):
            await runtime.run("other", "hi", conversation=key)
        await runtime.run("other", "hi")
        assert made == ["a", "b", None]
        keys = [each.name.key for each in await runtime.conversations()]
        assert sorted(keys) == ["a", "b"]
        assert len(await runtime.runs(graph="other")) == 4


# -- reloading -------------------------------------------------------------------------------------
@looped
async def test_a_new_version_is_for_new_runs(root: Path) -> None:
    async with Runtime.open(root) as runtime:
        old = runtime.start("talk", "hi")
        await asyncio.sleep(0)
        write(root, 2)
        (root / "graphs" / "other.yaml").write_text(OTHER.replace("v1", "v2"))
        done = await runtime.reload()
        assert (done.loaded, done.ok) == (("other", "talk"), True)
        assert (await old).output == "hi 1 1 1"
        assert (await runtime.run("talk", "hi")).output == "hi 2 2 2"
        assert (await runtime.run("other", "hi")).output == "v2 hi"
        assert runtime.info("talk")["version"] == 2


@looped
async def test_a_broken_file_leaves_the_old_graph_in_use(root: Path) -> None:
    async with Runtime.open(root) as runtime:
        (root / "nodes" / "steps" / "version.py").write_text("def (")
        (root / "graphs" / "other.yaml").write_text(OTHER.replace("v1", "v2"))
        done = await runtime.reload()
        assert done.loaded == ("other",)
        assert "SyntaxError" in done.broken["talk"]
        assert "talk is broken, and its old version is in use" in str(done)
        assert (await runtime.run("talk", "hi")).output == "hi 1 1 1"
        write(root, 3)
        assert (await runtime.reload("talk")).ok
        assert (await runtime.run("talk", "hi")).output == "hi 3 3 3"


@looped
async def test_graphs_come_and_go(root: Path) -> None:
    async with Runtime.open(root) as runtime:
        (root / "graphs" / "other.yaml").unlink()
        (root / "graphs" / "third.yaml").write_text(OTHER.replace("other", "third"))
        done = await runtime.reload()
        assert (done.gone, runtime.graphs()) == (("other",), ["talk", "third"])


@looped
async def test_settings_are_taken_over_but_those_that_others_stand_on(root: Path) -> None:
    async with Runtime.open(root) as runtime:
        (root / "graphflow.toml").write_text(
            SETTINGS.replace('"none"', '"memory:"') + "[limits]\nsteps = 1\n"
        )
        done = await runtime.reload()
        assert "[store] has changed, and stays as it was" in done.refused[0]
        with pytest.raises(GraphflowError, match="steps"):
            await runtime.run("talk", "hi")
        (root / "graphflow.toml").write_text("modle = 5")
        done = await runtime.reload()
        assert "the settings stay as they were" in done.refused[0]


ASKING = """
graph: other
nodes:
  ask: {kind: human, input: str, output: str}
  say: {kind: agent, input: str, prompt: "v1 {{ text }}"}
edges: [START >> ask >> say >> END]
"""


@looped
async def test_runs_that_wait_get_their_verdict_and_go_on_with_what_fits(root: Path) -> None:
    (root / "graphs" / "other.yaml").write_text(ASKING)
    async with Runtime.open(root, store="memory:") as runtime:
        waiting = await runtime.run("other", "hi", id="first")
        assert waiting.status == "waiting"
        # Another prompt fits what is recorded; a graph that does not ask does not.
        (root / "graphs" / "other.yaml").write_text(ASKING.replace("v1", "v2"))
        done = await runtime.reload()
        assert [each.judgement for each in done.verdicts] == ["same"]
        (root / "graphs" / "other.yaml").write_text(OTHER)
        done = await runtime.reload()
        assert [each.id for each in done.verdicts.refused] == ["first"]
        assert "cannot go on with the new version: first" in str(done)
        run = await runtime.answer("first", "yes")
        assert (run.status, run.output) == ("completed", "v2 yes")
        assert (await runtime.run("other", "hi")).output == "v1 hi"


@looped
async def test_a_hundred_runs_while_files_change_fifty_times(root: Path) -> None:
    """Half of the files are broken or half saved: no run fails, each has one version, nothing is left behind."""
    graphs: list[weakref.ref[object]] = []
    outputs: list[str] = []
    async with Runtime.open(root) as runtime:

        async def talking(count: int) -> None:
            for _ in range(count):
                run = await runtime.run("talk", "hi")
                outputs.append(run.output)

        async def changing() -> None:
            for number in range(2, 52):
                write(root, number)
                file = root / "nodes" / "steps" / "version.py"
                if number % 2:
                    text = file.read_text()
                    file.write_text(text[: len(text) // 2] + "def (")
                done = await runtime.reload()
                assert ("talk" in done.broken) is bool(number % 2)
                graphs.append(weakref.ref(runtime.graph("talk")))

        modules = len(sys.modules)
        change = asyncio.create_task(changing())
        while not change.done():
            await asyncio.gather(*(talking(1) for _ in range(100)))
        await change
        assert len(sys.modules) <= modules + 2
    for output in outputs:
        _, *numbers = output.split()
        assert len(set(numbers)) == 1
    assert len(outputs) >= 100
    gc.collect()
    living = {id(ref()) for ref in graphs if ref() is not None}
    assert len(living) <= 2


@looped
async def test_two_reloads_at_once_are_one_after_the_other(root: Path) -> None:
    async with Runtime.open(root) as one, Runtime.open(root) as other:
        write(root, 7)
        await asyncio.gather(one.reload(), other.reload(), one.reload("talk"))
        for runtime in (one, other):
            assert (await runtime.run("talk", "hi")).output == "hi 7 7 7"
        assert one.info("talk")["version"] == 3


def test_two_processes_that_reload_at_once_both_have_the_newest(root: Path) -> None:
    """Files change as fast as they can, in place and by a rename: nobody keeps what the other one has compiled."""
    words = ("-m", "tests.project.reloader", str(root))
    pipe = subprocess.PIPE
    file = root / "nodes" / "steps" / "version.py"
    with ExitStack() as stack:
        processes = [
            stack.enter_context(programs.start(*words, stdin=pipe, stdout=pipe, text=True))
            for _ in range(2)
        ]
        assert [_asked(process) for process in processes] == ["open", "open"]
        for number in range(11, 31):
            if number % 2:
                write(root, number)
            else:
                aside = file.with_suffix(".new")
                aside.write_text(VERSION.format(number=number))
                aside.replace(file)
            for process in processes:
                process.stdin.write("reload\n")  # type: ignore[union-attr]  # it is a pipe
                process.stdin.flush()  # type: ignore[union-attr]
            answers = [_asked(process) for process in processes]
            assert answers == [f"hi {number} {number} {number} sound"] * 2
        file.write_text("def (")
        for process in processes:
            process.stdin.write("reload\n")  # type: ignore[union-attr]
            process.stdin.close()  # type: ignore[union-attr]
        assert [_asked(process) for process in processes] == ["hi 30 30 30 talk"] * 2
    assert [process.returncode for process in processes] == [0, 0]


def _asked(process: Any) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def test_two_that_watch_one_project_both_say_what_has_changed(root: Path) -> None:
    pipe = subprocess.PIPE
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                programs.start(
                    "-m", "graphflow", "dev", cwd=root, stdout=pipe, stderr=pipe, text=True
                )
            )
            for _ in range(2)
        ]
        for process in processes:
            assert "other: sound" in _asked(process)
            assert "talk: sound" in _asked(process)
            assert process.stderr is not None
            assert "watching" in process.stderr.readline()
        lines = [_next_line(process) for process in processes]
        number = 1
        # Whether the system watches already, nobody tells: it is written until both have seen it.
        while not all(line.done() for line in lines):
            number += 1
            write(root, number)
            wait(lines, timeout=0.2)
        for line in lines:
            assert "talk" in line.result()
        for process in processes:
            process.send_signal(signal.SIGINT)
            process.communicate()
    assert [process.returncode for process in processes] == [0, 0]


def _next_line(process: subprocess.Popen[str]) -> Future[str]:
    """The next line of a process, once it is there."""
    line: Future[str] = Future()
    thread = threading.Thread(target=lambda: line.set_result(_asked(process)))
    thread.start()
    return line


@looped
async def test_events_of_all_its_runs_are_heard(root: Path) -> None:
    async with Runtime.open(root) as runtime:
        async with runtime.subscribe("run.end") as events:
            await runtime.run("talk", "hi")
            await runtime.reload()
            await runtime.run("talk", "hi")
            heard = []
            async for event in events:
                heard.append(event.kind)
                if len(heard) == 2:
                    break
        assert heard == ["run.end", "run.end"]


# -- without async ---------------------------------------------------------------------------------
def test_plain_code_has_a_twin(root: Path) -> None:
    with Runtime.plain(root, store="memory:") as runtime:
        assert runtime.graphs() == ["other", "talk"]
        assert runtime.run(None, "hi").output == "hi 1 1 1"
        assert runtime.say("a", "hi", "other").output == "v1 hi"
        assert len(runtime.runs()) == 2
        assert [each.name.key for each in runtime.conversations()] == ["a"]
        write(root, 2)
        assert runtime.reload().ok
        assert runtime.run("talk", "hi").output == "hi 2 2 2"
    with pytest.raises(DeclarationError, match="is not open"):
        runtime.run("talk", "hi")


def test_a_twin_that_cannot_be_opened_leaves_no_thread(root: Path) -> None:
    with pytest.raises(GraphflowError), Runtime.plain(root, store="nope:x"):
        raise AssertionError


# -- watching --------------------------------------------------------------------------------------
@looped
async def test_a_change_is_seen_and_loaded(root: Path) -> None:
    async with Runtime.open(root) as runtime:
        stop = asyncio.Event()
        watching = watch(runtime, stop)
        first = asyncio.create_task(anext(watching))
        number = 1
        # Whether the system watches already, nobody tells: it is written until it has been seen.
        while not first.done():
            number += 1
            write(root, number)
            await asyncio.wait([first], timeout=0.2)
        assert first.result().loaded == ("other", "talk")
        stop.set()
        later = [done async for done in watching]
        assert all(done.ok for done in later)
        assert runtime.info("talk")["version"] >= 2


def test_what_a_project_is_not_made_of_starts_nothing(root: Path) -> None:
    for name in ("graphs/talk.py", ".env", "graphflow.toml", "nodes/agents/critic.md.j2"):
        assert is_part(root / name, root)
    for name in (".graphflow/runs.db", "nodes/__pycache__/x.py", "tests/cases/a.toml", "a.db"):
        assert not is_part(root / name, root)


def test_dev_leaves_ports_to_those_that_run_something(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (root / "graphflow.toml").write_text(SETTINGS + f"[telemetry]\nprometheus = {port}\n")
        assert run_app(["dev", "--once"]) == 0


def test_dev_says_how_each_graph_stands(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(root)
    assert run_app(["dev", "--once"]) == 0
    assert "talk: sound, 3 nodes, 0 claims" in capsys.readouterr().out
    (root / "graphs" / "other.yaml").write_text("graph: other\nnodes: 5\n")
    assert run_app(["dev", "--once"]) == 1
    assert "other.yaml has 2 problems" in capsys.readouterr().out


# -- servers ---------------------------------------------------------------------------------------
SERVED = """
graph: served
nodes:
  clock: {kind: mcp, command: [COMMAND], scope: process}
  say: {kind: agent, input: str, prompt: "{{ text }}", mcp: [clock]}
edges: [START >> say >> END]
"""


@looped
async def test_a_server_that_is_not_there_is_told_when_the_runtime_opens(root: Path) -> None:
    (root / "graphs" / "served.yaml").write_text(SERVED.replace("COMMAND", "no-such-program-4711"))
    async with Runtime.open(root) as runtime:
        assert "served" in runtime.graphs()
        assert runtime.info("served")["tools"] == ["clock"]
    (root / "graphflow.toml").write_text(SETTINGS + "[servers]\nprobe = true\n")
    for scope in ("process", "conversation", "run"):
        text = SERVED.replace("COMMAND", "no-such-program-4711").replace("process", scope)
        (root / "graphs" / "served.yaml").write_text(text)
        with pytest.raises(ServerFailed, match="clock"):
            async with Runtime.open(root):
                raise AssertionError
    await close_kept()
