"""Context variables of a walk: who sees what a node has set.

Rules:
1. An activation runs in a copy of the context of what fed it, so it sees what was set on the way that led to it; behind a
   join that is the branch that comes first in logical order. Latencies change nothing.
2. What is set within a walk stays within it: who runs a graph, enters one, or calls a node finds its own variables as
   they were.
3. How a node is carried out makes no difference: in a thread, with a time limit or with retries, what it has set is seen
   behind it.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from contextvars import Context
from types import coroutine
from typing import Any, TypeVar

T = TypeVar("T")


@coroutine
def within(context: Context, work: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
    """Awaits a coroutine in a context of its own, in the task that awaits it.

    A task would do the same at the price of a turn of the event loop, and would be another task: what a node learns of
    `asyncio.current_task()`, and what cancels it, would change.
    """
    enter = context.run
    step: Any = work.send
    given: Any = None
    while True:
        try:
            wanted = enter(step, given)
        except StopIteration as answer:
            result: T = answer.value
            return result
        try:
            given = yield wanted
            step = work.send
        except GeneratorExit:
            enter(work.close)
            raise
        except BaseException as error:
            step, given = work.throw, error


_UNSET = object()


def adopt(context: Context) -> None:
    """Sets in the current context what was set in another one that was copied from it.

    graphflow's own variables tell where code runs, and are no business of what comes after it.
    """
    for variable, value in context.items():
        if variable.get(_UNSET) is not value and not variable.name.startswith("graphflow_"):
            variable.set(value)
