"""Allowed programs: which are run, with what, and that nothing of them is left."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, START, Agent, Graph, Limits
from graphflow.errors import DeclarationError
from graphflow.testing import ScriptedModel, calls
from nodes.tools.shell import Ran, run, shell
from tests.clock import block
from tests.leftovers import alive
from tests.library.using import asked, refusal, use
from tests.waiting import eventually, until

PY = sys.executable

STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, '-c', 'import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)'])
print('started', flush=True)
with open('pids.part', 'w') as f: f.write(f'{os.getpid()} {child.pid}')
os.rename('pids.part', 'pids')
time.sleep(600)
"""


def gone(folder: Path) -> bool:
    pids = [int(pid) for pid in (folder / "pids").read_text().split()]
    assert len(pids) == 2
    # The orphan is waited for by init, in its own time.
    return until(lambda: not any(map(alive, pids)))


async def late(folder: Path) -> None:
    """Lets more time pass than anything here is given, as soon as both processes are there."""
    await eventually((folder / "pids").exists)
    block(10_000)


def test_a_model_runs_a_command_and_reads_code_and_both_streams(tmp_path: Path) -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    ok, text = asked(shell([PY], cwd=tmp_path), "run_command", command=[PY, "-c", code])
    assert ok
    assert json.loads(text) == {
        "exit_code": 3,
        "stdout": "out\n",
        "stderr": "err\n",
        "timed_out": False,
    }


def test_what_is_not_on_the_list_is_refused_and_not_run(tmp_path: Path) -> None:
    tool = shell([("touch", "a"), "echo"], cwd=tmp_path)
    ok, text = asked(tool, "run_command", command=["touch", "b"])
    assert (ok, "begin with one of: touch a, echo" in text) == (False, True)
    for command in (
        ["touch"],
        ["/usr/bin/touch", "a"],
        ["./echo"],
        [""],
        ["echo; touch b"],
        ["sh", "-c", "echo"],
    ):
        assert "not allowed" in refusal(tool, command=command)
    assert os.listdir(tmp_path) == []
    assert use(tool, command=["touch", "a"]).exit_code == 0
    assert os.listdir(tmp_path) == ["a"]


def test_no_shell_reads_the_arguments(tmp_path: Path) -> None:
    tool = shell(["echo"], cwd=tmp_path)
    assert (
        use(tool, command=["echo", "$(touch x)", ";", "touch", "x", "*", "$PATH"]).stdout
        == "$(touch x) ; touch x * $PATH\n"
    )
    assert os.listdir(tmp_path) == []


def test_a_program_in_the_folder_does_not_pass_for_one_on_the_path(tmp_path: Path) -> None:
    (tmp_path / "ls").write_text("#!/bin/sh\necho fake\n")
    os.chmod(tmp_path / "ls", 0o755)
    assert (
        "fake"
        not in use(shell(["ls"], cwd=tmp_path, path=f".::{os.defpath}"), command=["ls"]).stdout
    )
    assert "no program" in refusal(shell(["ls"], cwd=tmp_path, path="."), command=["ls"])


def test_the_environment_is_empty_but_for_what_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEY", "sk-secret")
    tool = shell(["env"], cwd=tmp_path, env={"LANG": "C"}, path="/usr/bin:/bin")
    assert sorted(use(tool, command=["env"]).stdout.split()) == ["LANG=C", "PATH=/usr/bin:/bin"]


def test_nothing_can_be_asked_from_the_keyboard(tmp_path: Path) -> None:
    assert use(shell(["cat"], cwd=tmp_path), command=["cat"]) == Ran(
        exit_code=0, stdout="", stderr=""
    )


def test_a_command_that_ignores_sigterm_is_gone_with_its_children_when_its_time_is_up(
    tmp_path: Path,
) -> None:
    tool = shell([PY], cwd=tmp_path, seconds=300)

    async def main() -> Ran:
        ran, _ = await asyncio.gather(tool(command=[PY, "-c", STUBBORN]), late(tmp_path))
        return ran

    assert asyncio.run(main()) == Ran(exit_code=None, stdout="started\n", stderr="", timed_out=True)
    assert gone(tmp_path)


def test_a_cancelled_walk_takes_the_command_and_its_children_with_it(tmp_path: Path) -> None:
    model = ScriptedModel(calls("run_command", command=[PY, "-c", STUBBORN]), "done")
    tool = shell([PY], cwd=tmp_path)
    graph = Graph(
        "g", START >> Agent("a", input=str, tools=[tool]) >> END, limits=Limits(seconds=300)
    )

    async def main() -> None:
        run_ = graph.start("go", model=model)
        await late(tmp_path)
        await run_.settled()
        assert run_.status == "limited"
        await eventually(lambda: len(asyncio.all_tasks()) == 1)

    asyncio.run(main())
    assert gone(tmp_path)


def test_a_cancelled_call_takes_them_too(tmp_path: Path) -> None:
    async def main() -> None:
        task = asyncio.create_task(run([PY, "-c", STUBBORN], PY, str(tmp_path), {}, 60, 1000))
        await eventually((tmp_path / "pids").exists)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert gone(tmp_path)


def test_what_a_command_leaves_in_the_background_ends_with_it(tmp_path: Path) -> None:
    leave = STUBBORN.rsplit("time.sleep", 1)[0]
    ran = use(
        shell([PY], cwd=tmp_path), command=[PY, "-c", leave]
    )  # it does not wait for the child that holds the pipe
    assert (ran.exit_code, ran.stdout) == (0, "started\n")
    assert gone(tmp_path)


def test_an_output_without_end_is_kept_at_both_ends_and_fills_no_memory(tmp_path: Path) -> None:
    code = "import sys; sys.stdout.write('HEAD' + 'x' * 50_000_000 + 'TAIL')"
    text = use(shell([PY], cwd=tmp_path, kept=1000), command=[PY, "-c", code]).stdout
    assert (text[:5], text[-5:]) == ("HEADx", "xTAIL")
    assert "[49999008 bytes left out]" in text
    assert len(text) < 1100
    endless = use(shell(["yes"], cwd=tmp_path, kept=1000, seconds=0.3), command=["yes"])
    assert endless.timed_out
    assert len(endless.stdout) < 1100


def test_nothing_stays_open(tmp_path: Path) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    tool = shell(["true", "nowhere", str(tmp_path)], cwd=tmp_path, seconds=5)
    use(tool, command=["true"])
    before = descriptors()
    for _ in range(5):
        use(tool, command=["true"])
        assert "no program" in refusal(tool, command=["nowhere"])
        assert "cannot be run: Permission denied" in refusal(tool, command=[str(tmp_path)])
    assert descriptors() == before


def test_what_cannot_be_an_argument_is_refused(tmp_path: Path) -> None:
    tool = shell(["echo"], cwd=tmp_path)
    assert "NUL" in refusal(tool, command=["echo", "a\0b"])
    assert not asked(tool, "run_command", command=[])[0]
    assert not asked(tool, "run_command", command="echo hi")[0]
    assert "�" in use(shell(["printf"], cwd=tmp_path), command=["printf", r"\377"]).stdout


@pytest.mark.parametrize("wrong", ["git", [], [""], [()]])
def test_a_list_that_means_nothing_is_a_mistake_of_the_declaration(
    tmp_path: Path, wrong: Any
) -> None:
    with pytest.raises(DeclarationError):
        shell(wrong, cwd=tmp_path)
    with pytest.raises(DeclarationError, match="no such folder"):
        shell(["ls"], cwd=tmp_path / "none")
