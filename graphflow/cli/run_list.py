"""The list of runs: which there are, how they stand, what they wait for."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import BaseModel

from graphflow.cli.printing import note, out, out_json
from graphflow.cli.show import table
from graphflow.cli.stored_runs import can_go_on, graph_of, state_of
from graphflow.errors import GraphflowError, StoreError
from graphflow.journal.store import Store
from graphflow.journal.stored import RunHeader
from graphflow.journal.verdict import Verdict
from graphflow.proofs.report import counted


@dataclass(frozen=True, slots=True)
class WantedRuns:
    """Which runs are listed; None: all.

    Attributes:
        graph: of the graph of this name.
        status: that stand so, "interrupted" included.
        since: that have changed since, in seconds since 1970.
        limit: how many.
        check: whether it is said if they can go on.
    """

    graph: str | None
    status: str | None
    since: float | None
    limit: int
    check: bool = False


class RunLine(BaseModel):
    """A run in the list.

    Attributes:
        id: its name.
        graph: what it walks.
        status: how it stands.
        rows: how many facts are kept.
        began: when, in this time zone.
        changed: how long ago it changed.
        waits_for: the questions that are open.
        check: whether it can go on with its graph as it is now.
    """

    id: str
    graph: str
    status: str
    rows: int
    began: str
    changed: str
    waits_for: str = ""
    check: str = ""


@dataclass(frozen=True, slots=True)
class ListedRun:
    """A run with what is to be said of it."""

    header: RunHeader
    state: str
    waits_for: tuple[str, ...]
    verdict: Verdict | None = None

    @property
    def is_stuck(self) -> bool:
        """Whether it is known that it cannot go on."""
        return self.verdict is not None and not self.verdict.may_go_on


async def listed(store: Store, wanted: WantedRuns) -> tuple[list[ListedRun], int]:
    """The runs that are wanted, and how many more there are."""
    now = await store.now()
    found: list[tuple[RunHeader, str]] = []
    for header in await store.runs(graph=wanted.graph, since=wanted.since):
        state = state_of(header, now)
        if wanted.status in (None, state):
            found.append((header, state))
    # Only what is shown is read: a list takes no longer for what it leaves out.
    runs: list[ListedRun] = []
    for header, state in found[: wanted.limit]:
        waits_for = await _questions(store, header) if state == "waiting" else ()
        verdict = await _verdict(store, header) if wanted.check else None
        runs.append(ListedRun(header, state, waits_for, verdict))
    return runs, len(found) - len(runs)


async def _verdict(store: Store, header: RunHeader) -> Verdict | None:
    """Whether a run can go on with its graph as it is now; None if it has ended for good."""
    if not can_go_on(header):
        return None
    # That a graph is gone is a reason, and no mistake of whoever asks.
    try:
        graph = graph_of(header, None)
    except GraphflowError as error:
        return Verdict(header.id, header.status, "refused", (str(error),))
    (verdict,) = await graph.verdict(store=store, runs=[header.id])
    return verdict


async def _questions(store: Store, header: RunHeader) -> tuple[str, ...]:
    """The names of the questions that a run waits for; a broken record hides no other run."""
    try:
        run = await store.load(header.id)
    except StoreError:
        return ()
    answered = await store.answers(header.id)
    return tuple(question.id for question in run.pending if question.id not in answered)


def show_list(runs: list[ListedRun], more: int, *, as_json: bool) -> None:
    """Prints the list."""
    if as_json:
        out_json([_plain(run) for run in runs])
        return
    if not runs:
        note("no runs fit")
        return
    out(table([_line(run) for run in runs]))
    if more:
        note(f"and {counted(more, 'more run')}; --limit lists more")


def _line(run: ListedRun) -> RunLine:
    header = run.header
    waits_for = ", ".join(run.waits_for)
    # All is answered, and nobody has gone on with it yet.
    if run.state == "waiting" and not run.waits_for:
        waits_for = "to be resumed"
    return RunLine(
        id=header.id,
        graph=header.graph,
        status=run.state,
        rows=header.rows,
        began=local_time(header.began),
        changed=ago(header.changed),
        waits_for=waits_for,
        check=_judgement(run.verdict),
    )


def _judgement(verdict: Verdict | None) -> str:
    if verdict is None:
        return ""
    if not verdict.reasons:
        return verdict.judgement
    why = "; ".join(map(str, verdict.reasons))
    return f"{verdict.judgement}: {why}"


def _plain(run: ListedRun) -> dict[str, object]:
    header = run.header
    plain: dict[str, object] = {
        "id": header.id,
        "graph": header.graph,
        "status": run.state,
        "rows": header.rows,
        "began": iso_time(header.began),
        "changed": iso_time(header.changed),
        "waits_for": list(run.waits_for),
        "metadata": dict(header.metadata),
    }
    # Only where somebody has asked for it: to judge a run is to read it.
    if run.verdict is not None:
        plain["check"] = _judgement(run.verdict)
    return plain


def iso_time(seconds: float) -> str:
    """A moment in UTC, for machines."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds")


def local_time(seconds: float) -> str:
    """A moment in this time zone, for people."""
    moment = datetime.fromtimestamp(seconds).astimezone()
    return moment.strftime("%Y-%m-%d %H:%M")


def ago(seconds: float) -> str:
    """How long a moment is past, roughly."""
    past = max(0, int(time.time() - seconds))
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if past >= 2 * size:
            return f"{past // size} {unit} ago"
    return f"{past} s ago"
