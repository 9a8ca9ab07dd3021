"""No test fails because another one did: what a test leaves is its own failure, and is gone before the next begins."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from graphflow import END, START, Graph, Limits, node
from graphflow.errors import NodeTimeout
from tests.conftest import walk

ROOT = Path(__file__).resolve().parents[2]
TESTS = """
import asyncio, subprocess, sys, threading
from tests import leftovers
leftovers.GRACE_S = 0.1
free = threading.Event()

def test_process():
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])

def test_thread():
    threading.Thread(target=free.wait, name="forgotten", daemon=True).start()

def test_task():
    async def main():
        main.task = asyncio.create_task(asyncio.sleep(600), name="lost")
        await asyncio.sleep(0)
    asyncio.run(main())

def test_the_next_one():
    assert not leftovers.children()
"""


@pytest.mark.skipif(not Path("/proc").exists(), reason="processes are found in /proc")
def test_who_leaves_something_fails_by_name_and_nobody_else_does(tmp_path: Path) -> None:
    (tmp_path / "test_leaving.py").write_text(TESTS)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "tests.conftest",
        "-c",
        "/dev/null",
    ]
    done = subprocess.run(
        [*command, "--rootdir", str(tmp_path), str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    told = done.stdout
    assert "4 passed, 3 errors" in told, told + done.stderr
    for name, what in (
        ("process", "python"),
        ("thread", "the thread 'forgotten'"),
        ("task", "the task lost"),
    ):
        [section] = [
            part
            for part in told.split("ERROR at teardown of ")[1:]
            if part.startswith(f"test_{name} ")
        ]
        assert f"left behind: the {name}" in section
        assert what in section


# -- the clock -------------------------------------------------------------------------------------
def test_waits_are_over_at_once_and_in_the_order_of_their_lengths(jumping_clock: None) -> None:
    order: list[int] = []

    async def wait(hours: int) -> None:
        await asyncio.sleep(hours * 3600)
        order.append(hours)

    async def main() -> float:
        await asyncio.gather(*map(wait, (3, 1, 2)))
        return asyncio.get_running_loop().time()

    assert asyncio.run(main()) == 3 * 3600
    assert order == [1, 2, 3]


def test_what_is_computed_takes_no_time(jumping_clock: None) -> None:
    @node(timeout_s=1e-9)
    async def computes(n: int) -> int:
        for _ in range(10):
            await asyncio.sleep(0)
        return sum(range(100_000))

    assert walk(Graph("g", START >> computes >> END), 1).output == sum(range(100_000))


def test_while_a_thread_works_time_passes_as_it_does(jumping_clock: None) -> None:
    """It would be out of time at once if the clock jumped."""
    free = threading.Event()

    @node(timeout_s=600)
    def works(n: int) -> int:
        free.wait(0.05)
        return n

    @node(timeout_s=0.05)
    def hangs(n: int) -> int:
        free.wait(60)
        return n

    limits = Limits(seconds=300)
    assert walk(Graph("g", START >> works >> END), 7, limits=limits).output == 7
    try:
        assert isinstance(
            walk(Graph("g", START >> hangs >> END), 7, limits=limits).error, NodeTimeout
        )
    finally:
        free.set()
