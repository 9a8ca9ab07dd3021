"""Recorded cases: a run that was kept becomes a test in one line.

    test_refund = recorded("cases/refund.jsonl", desk)

The file is a run's in a store of files: `graphflow run desk "..." --store jsonl:cases --id refund` makes one. Beside it lies
`large/`, if the run has large values.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from graphflow.errors import FileUnreadable
from graphflow.journal.stores.jsonl import JsonlStore

if TYPE_CHECKING:
    from graphflow.graph import Graph
    from graphflow.run import Run


def recorded(
    path: str | Path, graph: Graph[Any, Any], check: Callable[[Run[Any]], object] | None = None
) -> Callable[[], None]:
    """A test that replays a kept run through the graph as it is now: nobody is asked, and no node runs.

    The test fails with `Diverged` where the graph would go another way, with `Unreadable` where a message has another type,
    and with `RowDiffers` where something would be written in another way.

    Args:
        path: the run's file; relative to the file of whoever calls this.
        graph: what the run walked.
        check: is given the run, to look at what is to hold besides.

    Raises:
        FileUnreadable: there is no such file; when the test is made, not when it runs.
    """
    # A path in a test is meant from the file of the test, wherever pytest was started.
    file = Path(sys._getframe(1).f_code.co_filename).parent / path
    if not file.is_file():
        raise FileUnreadable(
            f"{file} is not there; `graphflow run ... --store jsonl:FOLDER --id NAME` keeps a run as FOLDER/NAME.jsonl"
        )

    def test() -> None:
        run = asyncio.run(_replayed(file, graph))
        if check is not None:
            check(run)

    test.__doc__ = f"The run in {file.name}, replayed."
    return test


async def _replayed(file: Path, graph: Graph[Any, Any]) -> Run[Any]:
    async with JsonlStore(str(file.parent)) as store:
        return await graph.replay(unquote(file.stem), store=store)
