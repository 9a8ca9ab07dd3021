"""What all tests share: messages, small nodes, a way to force the general path."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings
from pydantic import BaseModel

from graphflow import node
from graphflow.events import Event
from graphflow.graph import Graph
from graphflow.run import Run
from graphflow.runtime.executor import begin, drive
from tests.clock import JumpingLoop
from tests.leftovers import Watch, watching_loops
from tests.small_disk import disk as disk
from tests.turns import turn_of
from tests.waiting import eventually


class Msg(BaseModel, frozen=True):
    n: int = 0
    tag: str = ""


class A(BaseModel, frozen=True):
    n: int = 0


class B(BaseModel, frozen=True):
    n: int = 0


class C(BaseModel, frozen=True):
    n: int = 0


def refuses_to_end(released: asyncio.Event) -> Any:
    """A node that does not stop when it is told to, until it is released."""

    @node
    async def stubborn(m: Msg) -> Msg:
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                pass
        return m

    return stubborn


def walk(
    graph: Graph[Any, Any],
    message: Any,
    *,
    plain: bool = True,
    observed: bool = False,
    **options: Any,
) -> Run[Any]:
    """A run to its end: the run itself, whether it completed or not (`run.error` says)."""

    async def main() -> Run[Any]:
        run, frame, checked = begin(graph, message, Run, plain=plain, observed=observed, **options)
        listener = asyncio.ensure_future(_listen(run)) if observed else None
        await asyncio.sleep(0)  # the listener is there before anything is said
        try:
            await drive(run, frame, checked)
        except BaseException as error:
            assert run.error is error or isinstance(error, asyncio.CancelledError)
        if listener is not None:
            await listener
        await eventually(
            lambda: asyncio.all_tasks() == {asyncio.current_task()}, because=asyncio.all_tasks
        )
        return run

    return asyncio.run(main())


async def _listen(run: Run[Any]) -> None:
    _HEARD[run] = heard = []
    async for event in run:
        heard.append(event)


_HEARD: WeakKeyDictionary[Run[Any], list[Event]] = WeakKeyDictionary()


def heard(run: Run[Any]) -> list[Event]:
    """What a listener was told of an observed walk, the pieces that nobody keeps included."""
    return _HEARD[run]


def ended(run: Run[Any]) -> list[str]:
    """Names of the nodes that answered, in order."""
    return [event.node for event in run.events if event.kind == "node.end"]


def kinds(run: Run[Any]) -> list[str]:
    return [event.kind for event in run.events]


PATIENCE_S = 1800
"""What takes long has so much time: it ends what hangs, and says nothing of how fast the machine is."""
# A shell has what it puts into the background ignore SIGINT, and so would all that tests start: nobody there would hear Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# A single example has no time limit, nor are too few of them a failure: both depend on what else the machine does.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")


def pytest_configure(config: pytest.Config) -> None:
    """Has several processes take the files in the order of the tests, and not those with the most tests first."""
    if hasattr(config.option, "loadscopereorder"):  # of pytest-xdist, which may not be installed
        config.option.loadscopereorder = False


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores: a quarter of the time a test waits for another process."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (cores or 1) + 1


def _measures_speed(item: pytest.Item) -> bool:
    return "bench" in item.path.parts


def _takes_long(item: pytest.Item) -> bool:
    marked = any(map(item.get_closest_marker, ("slow", "local_model")))
    return marked or is_hypothesis_test(getattr(item, "obj", None))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Gives tests that take long a limit of their own; while speed is measured, nobody counts lines.

    Speed is measured first, in processes in which nothing else has been loaded. Then come the files with the embedded model and
    those with other slow tests, for at the end one of several processes would be left alone with them. Between two with the
    model stand two without: its threads wait by turning round, so two engines at once take more than twice as long.
    """
    paths = list(dict.fromkeys(item.path for item in items))
    of_speed = {item.path for item in items if _measures_speed(item)}
    with_model = {item.path for item in items if item.get_closest_marker("local_model")} - of_speed
    slow = {item.path for item in items if _takes_long(item)}
    order = [path for path in paths if path in of_speed]
    others = [path for path in paths if path not in of_speed | with_model]
    others.sort(key=lambda path: path not in slow)
    for path in filter(with_model.__contains__, paths):
        order += [path, *others[:2]]
        del others[:2]
    places = {path: place for place, path in enumerate([*order, *others])}
    items.sort(key=lambda item: places[item.path])
    for item in items:
        if _measures_speed(item):
            item.add_marker(pytest.mark.no_cover)
        if _takes_long(item) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(PATIENCE_S))


def pytest_collection_finish() -> None:
    """Spares the garbage collector what all tests are made of: some 800,000 objects, in each of its collections."""
    _set_aside()


def _set_aside() -> None:
    """Has the garbage collector look no more at what there is, which is kept for good: modules, classes, what is cached."""
    gc.collect()
    gc.freeze()


_FILE: list[Path] = []
"""That of the test under way."""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Runs a test that measures speed by itself, whatever other processes of pytest run of the suite."""
    if [item.path] != _FILE:
        _FILE[:] = [item.path]
        _set_aside()
    with turn_of(alone=_measures_speed(item)):
        return (yield)


_WATCHES: list[Watch] = []
"""Of the tests under way: the last one is told of the tasks that a loop is closed with."""


@pytest.fixture(scope="session", autouse=True)
def _loops_are_watched() -> Iterator[None]:
    with watching_loops(lambda task: _WATCHES[-1].tasks.append(task) if _WATCHES else None):
        yield


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """A test that leaves a process, a thread or a task fails, and no other one does because of it."""
    _WATCHES.append(watch := Watch())
    try:
        yield
        if left := watch.found():
            pytest.fail("left behind: " + "; ".join(left), pytrace=False)
    finally:
        _WATCHES.remove(watch)


@pytest.fixture
def jumping_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits are over as soon as nothing else is to be done, and what is computed takes no time (tests/clock.py)."""
    monkeypatch.setattr(asyncio.events, "new_event_loop", JumpingLoop)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reaches out: a socket to anything but this machine is an error."""
    import socket

    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        host = address[0] if isinstance(address, tuple) else ""
        if host and host not in ("127.0.0.1", "::1", "localhost"):
            raise RuntimeError(f"a test tried to reach {host}")
        real(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    look_up = socket.getaddrinfo

    def getaddrinfo(host: Any, *rest: Any, **more: Any) -> Any:
        if (
            isinstance(host, str)
            and host
            and not host.replace(".", "").isdigit()
            and ":" not in host
            and host != "localhost"
        ):
            raise socket.gaierror(socket.EAI_NONAME, f"a test tried to look up {host}")
        return look_up(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
