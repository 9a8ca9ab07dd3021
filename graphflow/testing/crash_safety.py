"""Crash safety: a run that is cut off anywhere goes on as if nothing had happened. Tried, not believed.

    await check_crash_safety(desk, Question(text="..."), model=ComputedModel(reply))

Rules:
1. The graph is run once, and its record kept. For each beginning of that record, a run that knows no more is taken up: so a
   run stands that has died just then. What it comes to is compared with what the first has come to.
2. A record tells of each answer that was got from outside. So whatever is told twice was asked for twice, and whatever is
   missing was never asked for. That records tell the truth is looked at, too: what nodes and models were really asked is
   counted.
3. What is compared is what happened where, not when: which branch was faster may change with every run.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from graphflow.errors import StoreError, Unstorable
from graphflow.journal.row_format import HOPS
from graphflow.journal.store import Store
from graphflow.journal.stored import StoredRow
from graphflow.journal.stores.memory import MemoryStore
from graphflow.testing.census import Census, census_of
from graphflow.testing.witness import Witness

if TYPE_CHECKING:
    from graphflow.graph import Graph
    from graphflow.journal.question import Question
    from graphflow.model.seam import Model
    from graphflow.run import Run

Answers = Mapping[str, Any] | Callable[["Question"], Any]
"""What questions are answered with: by the name of the node that asks, or by a function of the question."""
MOST_CUTS = 400
"""Places at which a record is cut at most; of a longer one so many are taken, evenly."""


@dataclass(frozen=True, slots=True)
class CrashReport:
    """What was tried.

    Attributes:
        rows: rows of the whole record.
        cuts: places at which it was cut.
        sittings: how often a run was taken up.
    """

    rows: int
    cuts: int
    sittings: int


async def check_crash_safety(
    graph: Graph[Any, Any],
    message: object,
    *,
    model: Model | None = None,
    answers: Answers | None = None,
    seeds: Iterable[int] = (0, 1),
    store: Store | None = None,
    sync: str = "each",
    most: int = MOST_CUTS,
    **options: Any,
) -> CrashReport:
    """Runs a graph once, and takes the run up again from every beginning of its record: all must come to the same.

    The same output, or the same error; the same answers at the same places, none of them got twice and none left out; the
    same usage. Each run that was taken up is cut off once more, and taken up again.

    Args:
        graph: the graph. What its nodes do must depend on what they are given, and on `ctx`, not on how often they ran.
        message: what it is given.
        model: for agents that name none. Its answers must depend on what it is asked, not on the order of questions: give a
            `ComputedModel`; a `ScriptedModel` will not do.
        answers: what its questions are answered with: by the name of the node that asks, or by a function of the question.
        seeds: for each, nodes and models take their time in another order.
        store: where the first run is kept; it may be any. Its beginnings are kept in memory.
        sync: as for `run`: with "each" every step is a row; with "effects" rows of many steps are cut inside, too.
        most: at how many places the record is cut at most.
        **options: as for `run`: `deps`, `limits`, `policy`, `approve`...

    Returns:
        How much was tried.

    Raises:
        AssertionError: something differs. The text says where the record was cut, and what differs.
    """
    options["sync"] = sync
    trial = _Trial(graph, message, model, answers, options)
    whole = await trial.sit(store or MemoryStore(), "crash-safety", seed=0)
    rows = await _rows_of(whole.store, whole.id)
    cuts = _spread(list(_beginnings(rows)), most)
    sittings = 0
    for number, rows_kept in enumerate(cuts):
        for seed in seeds:
            shown = _shown_cut(rows_kept, rows)
            again = await trial.take_up(whole, rows_kept, seed)
            sittings += 1
            again.compare(whole, census_of(rows_kept), f"{shown}, seed {seed}")
            later = await _rows_of(again.store, whole.id)
            second = list(_beginnings(later))[len(rows_kept) + 1 :]
            if not second:
                continue
            cut_again = second[random.Random(number * 31 + seed).randrange(len(second))]
            third = await trial.take_up(again, cut_again, seed)
            sittings += 1
            third.compare(
                whole,
                census_of(cut_again),
                f"{shown}; then {_shown_cut(cut_again, later)}, seed {seed}",
            )
    return CrashReport(len(rows), len(cuts), sittings)


# -- one trial -------------------------------------------------------------------------------------
@dataclass(slots=True)
class _Sat:
    """What a run has come to."""

    id: str
    store: Store
    run: Run[Any]
    census: Census
    begun: Counter[str]
    """What was really begun in its newest sittings, by node and by model."""
    rows_told: Counter[str]
    """What its record tells to have been begun there."""

    def compare(self, other: _Sat, known: Census, where: str) -> None:
        """Refuses what differs from the run that was not cut off.

        Raises:
            AssertionError: something does.
        """
        problems = [*self._outcome(other), *self.census.differences(other.census, known)]
        for name, count in (self.begun - self.rows_told).items():
            problems.append(f"{name} was begun {count} more time(s) than the record tells")
        if not problems:
            return
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise AssertionError(
            f"{self.run.graph!r} taken up after a crash comes to something else ({where}):\n{listed}"
        )

    def _outcome(self, other: _Sat) -> list[str]:
        run, whole = self.run, other.run
        problems: list[str] = []
        for what in ("status", "output"):
            now, then = getattr(run, what), getattr(whole, what)
            if now != then:
                problems.append(f"{what}: it was {then!r}, and is {now!r}")
        errors = [_error_text(each.error) for each in (whole, run)]
        if errors[0] != errors[1]:
            problems.append(f"error: it was {errors[0]}, and is {errors[1]}")
        if self.census.is_stopped or other.census.is_stopped:
            return problems  # how far a branch comes that is told to stop is a matter of time
        for what in ("steps", "tool_calls", "model_calls", "input_tokens", "output_tokens", "usd"):
            now, then = getattr(run.usage, what), getattr(whole.usage, what)
            if now != then:
                problems.append(f"usage.{what}: it was {then}, and is {now}")
        return problems


def _error_text(error: BaseException | None) -> str:
    return "none" if error is None else f"{type(error).__name__}: {error}"


@dataclass(slots=True)
class _Trial:
    """A graph with all that its runs are given."""

    graph: Graph[Any, Any]
    message: object
    model: Model | None
    answers: Answers | None
    options: dict[str, Any]

    async def sit(self, store: Store, id: str, seed: int, first: int = 0) -> _Sat:
        """Runs the graph, or takes the run up, until it has ended."""
        with Witness(self.graph, self.model, seed) as witness:
            run = await self._settled(store, id, witness)
        census = census_of(await _rows_of(store, id))
        return _Sat(id, store, run, census, witness.begun, census.begun_since(first))

    async def take_up(self, other: _Sat, rows: Sequence[StoredRow], seed: int) -> _Sat:
        """Takes a run up of which only so much is known."""
        store = MemoryStore()
        header = await other.store.header(other.id)
        begun = replace(header, status="running", rows=0, lease=None)
        ownership = await store.create(begun, "a process that is gone")
        large: dict[str, bytes] = {}
        for row in rows:
            for digest in json.loads(row.body).get("large", {}).values():
                content = await other.store.large(digest)
                if content is not None:
                    large[digest] = content
        await store.append(ownership, rows, large)
        await store.release(ownership)
        return await self.sit(store, other.id, seed, len(rows))

    async def _settled(self, store: Store, id: str, witness: Witness) -> Run[Any]:
        while True:
            try:
                run = await self.graph.run(
                    self.message, store=store, id=id, model=self.model, **self.options
                )
            except Exception as error:
                ended: Run[Any] | None = getattr(error, "run", None)
                if ended is None or isinstance(error, (StoreError, Unstorable)):
                    raise
                return ended
            if run.status != "waiting":
                return run
            witness.begun.clear()  # what rests with a sitting is begun again with the next
            for question in run.pending:
                await run.answer(question.id, self._answer_to(question))

    def _answer_to(self, question: Question) -> Any:
        answers = self.answers
        if callable(answers):
            return answers(question)
        if answers is None or question.node not in answers:
            raise AssertionError(
                f"{question.node!r} asks, and nothing is said to answer it with; give answers={{{question.node!r}: ...}}"
            )
        return answers[question.node]


# -- cuts ------------------------------------------------------------------------------------------
def _beginnings(rows: Sequence[StoredRow]) -> Iterable[list[StoredRow]]:
    """Every beginning of a record, the whole of it last; a row of many hops is cut inside, too."""
    for number, row in enumerate(rows):
        before = list(rows[:number])
        yield before
        if row.kind == HOPS:
            for begun in _begun_hops(row):
                yield [*before, begun]
    yield list(rows)


def _begun_hops(row: StoredRow) -> Iterable[StoredRow]:
    """A row of hops as it would be had it been written sooner, hop by hop."""
    body = json.loads(row.body)
    if "large" in body:
        return
    count = len(body["at"])
    names, started = body["nodes"], body["started"]
    order = body.get("order") or list(range(count))
    column_of = body.get("columns") or [0] * len(names)
    for end in range(1, count):
        taken = Counter(column_of[place] for place in order[:end])
        begun = {**body, "at": body["at"][:end], "order": order[:end]}
        if isinstance(started, list):
            begun["started"] = started[:end]
        begun["outputs"] = [
            column[: taken[number]] for number, column in enumerate(body["outputs"])
        ]
        yield StoredRow.of(row.number, row.kind, row.place, json.dumps(begun))


def _spread(cuts: list[list[StoredRow]], most: int) -> list[list[StoredRow]]:
    if len(cuts) <= most:
        return cuts
    return [cuts[number * (len(cuts) - 1) // (most - 1)] for number in range(most)]


def _shown_cut(known: Sequence[StoredRow], rows: Sequence[StoredRow]) -> str:
    if not known:
        return f"cut off before the first of {len(rows)} rows"
    last = known[-1]
    return f"cut off behind row {last.number} of {len(rows)}: {last.kind} at {last.place or 'the outermost frame'}"


async def _rows_of(store: Store, id: str) -> list[StoredRow]:
    return [row async for row in store.rows(id)]
