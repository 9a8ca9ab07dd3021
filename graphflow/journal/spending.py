"""What runs have spent on models, read from their rows alone: no graph is loaded, and no message is looked at.

Rules:
1. An answer counts once, in the run that asked for it. What a fork has taken over was paid for by the run before it.
2. A row tells its time since the run began, and a pause of the run is not part of that. So each sitting is dated from when it
   began, which its first row says. Of a record that does not say so, as earlier versions wrote it, later sittings are dated
   backwards from the run's last row: exact for the newest one.
3. A damaged record counts as far as it can be read, and says so.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from graphflow.errors import RunDamaged
from graphflow.events import FrameEntered, ModelFinished, Resumed
from graphflow.journal.row_format import RowBody
from graphflow.journal.store import Store
from graphflow.journal.stored import RunHeader, StoredRow

AT_ONCE = 16
"""Runs that are read at the same time: a store spends most of the time on each with waiting."""


@dataclass(frozen=True, slots=True)
class ModelSpending:
    """What one answer of a model has cost.

    Attributes:
        at: when it came, in seconds since 1970.
        node: who asked, with the graphs around it: "desk > writer".
        model: the model string.
        input_tokens: tokens the model read.
        output_tokens: tokens it wrote.
        usd: US dollars; None where nobody knows its price.
    """

    at: float
    node: str
    model: str
    input_tokens: int
    output_tokens: int
    usd: float | None


@dataclass(frozen=True, slots=True)
class _DatedSitting:
    """One sitting of a run.

    Attributes:
        number: from 1.
        at: when it began, in seconds of the run.
        began: the same in seconds since 1970; None: its record does not say.
    """

    number: int
    at: float
    began: float | None


@dataclass(slots=True)
class RunSpending:
    """What one run has spent.

    Attributes:
        header: of the run.
        answers: of models, in the order in which they came.
        damage: why the rest of its record cannot be read, if it cannot.
    """

    header: RunHeader
    answers: list[ModelSpending] = field(default_factory=list)
    damage: RunDamaged | None = None


async def read_spending(
    store: Store, *, graph: str | None = None, since: float | None = None
) -> AsyncIterator[RunSpending]:
    """What the runs of a store have spent, the newest first; of `AT_ONCE` runs the answers are in memory at a time.

    Args:
        store: where they are kept.
        graph: only runs of the graph of this name.
        since: only runs that have changed since, and of these only what was spent since; in seconds since 1970.
    """
    headers = await store.runs(graph=graph, since=since)
    for first in range(0, len(headers), AT_ONCE):
        some = headers[first : first + AT_ONCE]
        for spent in await asyncio.gather(
            *[_spending_of(store, each, since or 0.0) for each in some]
        ):
            yield spent


async def _spending_of(store: Store, header: RunHeader, since: float) -> RunSpending:
    spent = RunSpending(header)
    reader = _SpendingReader(header)
    try:
        async for row in store.rows(header.id):
            reader.read(row)
    except RunDamaged as damage:
        spent.damage = damage
    spent.answers = [each for each in reader.answers() if each.at >= since]
    return spent


class _SpendingReader:
    """Reads the rows of one run, in order."""

    def __init__(self, header: RunHeader) -> None:
        self._header = header
        self._paths: dict[int, str] = {0: header.graph}
        self._found: list[tuple[_DatedSitting, RowBody]] = []
        """What counts of each answer, with its sitting."""
        self._sitting = _DatedSitting(1, 0.0, header.began)
        self._last: StoredRow | None = None

    def read(self, row: StoredRow) -> None:
        """Takes notice of a row.

        Raises:
            RunDamaged: it is not what a row of its kind is.
        """
        self._last = row
        if row.kind not in _READ:
            return
        try:
            self._note(row.kind, json.loads(row.body))
        except (KeyError, TypeError, ValueError) as error:
            raise RunDamaged(self._header.id, row.number, f"it cannot be read: {error}") from None

    def _note(self, kind: str, body: RowBody) -> None:
        if kind == Resumed.kind:
            number = self._sitting.number + 1
            self._sitting = _DatedSitting(number, body["at"], body.get("began_at"))
        elif kind == FrameEntered.kind:
            self._paths[body["frame"]] = " > ".join(body["path"])
        else:
            # Only what counts: the text of an answer may be long.
            kept = {name: body[name] for name in _COUNTED}
            kept["usd"] = body.get("usd")
            self._found.append((self._sitting, kept))

    def answers(self) -> list[ModelSpending]:
        """All answers that were read and are this run's own."""
        is_fork = bool(self._header.about.get("parent"))
        last_at = _time_of(self._last)
        found: list[ModelSpending] = []
        for sitting, body in self._found:
            if sitting.number == 1 and is_fork:
                continue  # taken over
            found.append(self._answer(sitting, body, last_at))
        return found

    def _answer(self, sitting: _DatedSitting, body: RowBody, last_at: float) -> ModelSpending:
        header = self._header
        at = body["at"]
        if sitting.began is None:
            when = header.changed - max(0.0, last_at - at)
        else:
            when = sitting.began + at - sitting.at
        around = self._paths.get(body["frame"], header.graph)
        return ModelSpending(
            when,
            _node_path(around, body["node"]),
            body["model"],
            body["input_tokens"],
            body["output_tokens"],
            body["usd"],
        )


_COUNTED = ("at", "frame", "node", "model", "input_tokens", "output_tokens")
_READ = frozenset({Resumed.kind, FrameEntered.kind, ModelFinished.kind})
"""The kinds of rows that are looked into."""


def _time_of(row: StoredRow | None) -> float:
    """When a row was written, in seconds of its run; of a row with many facts the last one counts."""
    if row is None:
        return 0.0
    try:
        at = json.loads(row.body)["at"]
        return float(at[-1] if isinstance(at, list) else at)
    except (ValueError, LookupError, TypeError):
        return 0.0  # damaged; the answers before it count all the same


def _node_path(around: str, node: str) -> str:
    """The place of a node. A sub-agent is a frame of its own, which is called like it."""
    if around == node or around.endswith(f" > {node}"):
        return around
    return f"{around} > {node}"
