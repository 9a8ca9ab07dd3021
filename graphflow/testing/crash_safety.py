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
from graphflow.journal.row_format import HOPS, hop_nodes, node_columns
from graphflow.journal.row_reader import digests_in
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

    AnyRun = Run[Any]

Answers = Mapping[str, Any] | Callable[["Question"], Any]
"""What questions are answered with: by the name of the node that asks, or by a function of the question."""
_KeptRows = Sequence[StoredRow]
"""A record, or a beginning of one."""
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
    every_cut = list(_beginnings(whole.rows))
    cuts = _spread(every_cut, most)
    sittings = 0
    for number, known in enumerate(cuts):
        for seed in seeds:
            # Another place for each, and the same ones each time.
            chance = random.Random(number * 31 + seed)
            sittings += await trial.cut_twice(whole, known, seed, chance)
    return CrashReport(len(whole.rows), len(cuts), sittings)


# -- one trial -------------------------------------------------------------------------------------
@dataclass(slots=True)
class _Trace:
    """What a run has come to, and what can be seen of how.

    Attributes:
        id: the run's.
        store: where it is kept.
        run: the run.
        rows: its record.
        census: what that tells.
        begun: what was really begun in its newest sittings, by node and by model.
        first: the first row of these sittings.
    """

    id: str
    store: Store
    run: AnyRun
    rows: _KeptRows
    census: Census
    begun: Counter[str]
    first: int

    def compare(self, whole: _Trace, known: _KeptRows, where: str) -> None:
        """Refuses what differs from the run that was not cut off.

        Raises:
            AssertionError: something does.
        """
        problems = self._outcome_problems(whole)
        known_then = census_of(known)
        problems += self.census.differences(whole.census, known_then)
        recorded = self.census.begun_since(self.first)
        untold = self.begun - recorded
        for name, count in untold.items():
            problems.append(f"{name} was begun {count} more time(s) than the record tells")
        if not problems:
            return
        listed = "".join(f"\n  - {problem}" for problem in problems)
        raise AssertionError(
            f"{self.run.graph!r} taken up after a crash comes to something else ({where}):{listed}"
        )

    def _outcome_problems(self, whole: _Trace) -> list[str]:
        run = self.run
        whole_run = whole.run
        problems = _differences("", run, whole_run, ("status", "output"))
        error = _error_text(run.error)
        whole_error = _error_text(whole_run.error)
        if error != whole_error:
            problems.append(f"error: it was {whole_error}, and is {error}")
        # How far a branch comes that is told to stop is a matter of time.
        is_stopped = self.census.is_stopped or whole.census.is_stopped
        if not is_stopped:
            problems += _differences("usage.", run.usage, whole_run.usage, _COUNTED)
        return problems


_COUNTED = ("steps", "tool_calls", "model_calls", "input_tokens", "output_tokens", "usd")
"""What of a run's usage does not depend on time."""


def _differences(of: str, found: object, whole: object, names: Sequence[str]) -> list[str]:
    """The attributes of those names in which one differs from the other."""
    problems: list[str] = []
    for name in names:
        now = getattr(found, name)
        then = getattr(whole, name)
        if now != then:
            problems.append(f"{of}{name}: it was {then!r}, and is {now!r}")
    return problems


def _error_text(error: BaseException | None) -> str:
    if error is None:
        return "none"
    kind = type(error).__name__
    return f"{kind}: {error}"


@dataclass(slots=True)
class _Trial:
    """A graph with all that its runs are given."""

    graph: Graph[Any, Any]
    message: object
    model: Model | None
    answers: Answers | None
    options: dict[str, Any]

    async def cut_twice(
        self, whole: _Trace, known: _KeptRows, seed: int, chance: random.Random
    ) -> int:
        """Takes the run up where it was cut off, and once more from somewhere within what it has done then.

        Returns:
            How often it was taken up.

        Raises:
            AssertionError: it has come to something else.
        """
        where = _shown_cut(known, whole.rows)
        again = await self.take_up(whole, known, seed)
        again.compare(whole, known, f"{where}, seed {seed}")
        beginnings = list(_beginnings(again.rows))
        # Cuts before that were tried by whoever calls this.
        first_new = len(known) + 1
        later = beginnings[first_new:]
        if not later:
            return 1
        place = chance.randrange(len(later))
        known_then = later[place]
        where_then = _shown_cut(known_then, again.rows)
        third = await self.take_up(again, known_then, seed)
        third.compare(whole, known_then, f"{where}; then {where_then}, seed {seed}")
        return 2

    async def sit(self, store: Store, id: str, seed: int, first: int = 0) -> _Trace:
        """Runs the graph, or takes the run up, until it has ended."""
        with Witness(self.graph, self.model, seed) as witness:
            run = await self._settled(store, id, witness)
        rows = [row async for row in store.rows(id)]
        census = census_of(rows)
        return _Trace(id, store, run, rows, census, witness.begun, first)

    async def take_up(self, other: _Trace, rows: _KeptRows, seed: int) -> _Trace:
        """Takes a run up of which only so much is known."""
        store = MemoryStore()
        header = await other.store.header(other.id)
        # As a process leaves it that dies: it goes on, and nobody owns it.
        begun = replace(header, status="running", rows=0, lease=None)
        ownership = await store.create(begun, "a process that is gone")
        large: dict[str, bytes] = {}
        for row in rows:
            for digest in digests_in(row):
                content = await other.store.large(other.id, digest)
                if content is not None:
                    large[digest] = content
        await store.append(ownership, rows, large)
        await store.release(ownership)
        return await self.sit(store, other.id, seed, len(rows))

    async def _settled(self, store: Store, id: str, witness: Witness) -> AnyRun:
        while True:
            try:
                run = await self.graph.run(
                    self.message, store=store, id=id, model=self.model, **self.options
                )
            except Exception as error:
                # A graph may fail, and has to fail in the same way each time; a store may not.
                ended: AnyRun | None = getattr(error, "run", None)
                if ended is None or isinstance(error, (StoreError, Unstorable)):
                    raise
                return ended
            if run.status != "waiting":
                return run
            witness.begun.clear()  # what rests with a sitting is begun again with the next
            for question in run.pending:
                answer = self._answer_to(question)
                await run.answer(question.id, answer)

    def _answer_to(self, question: Question) -> Any:
        answers = self.answers
        if callable(answers):
            return answers(question)
        if answers is None or question.node not in answers:
            node = repr(question.node)
            raise AssertionError(
                f"{node} asks, and nothing is said to answer it with; give answers={{{node}: ...}}"
            )
        return answers[question.node]


# -- cuts ------------------------------------------------------------------------------------------
def _beginnings(rows: _KeptRows) -> Iterable[_KeptRows]:
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
    # Columns that are kept by their digest are not at hand.
    if "large" in body:
        return
    ended = body["at"]
    started = body["started"]
    outputs = body["outputs"]
    order = list(hop_nodes(body))
    column_of = node_columns(body)
    for end in range(1, len(ended)):
        begun = dict(body)
        begun["at"] = ended[:end]
        begun["order"] = order[:end]
        if isinstance(started, list):
            begun["started"] = started[:end]
        lengths = Counter(column_of[node] for node in order[:end])
        columns: list[object] = []
        for number, column in enumerate(outputs):
            length = lengths[number]
            columns.append(column[:length])
        begun["outputs"] = columns
        text = json.dumps(begun)
        yield StoredRow.of(row.number, row.kind, row.place, text)


def _spread(cuts: list[_KeptRows], most: int) -> list[_KeptRows]:
    """So many cuts at most, evenly, the first and the last among them."""
    if len(cuts) <= most:
        return cuts
    last = len(cuts) - 1
    places = [number * last // (most - 1) for number in range(most)]
    return [cuts[place] for place in places]


def _shown_cut(known: _KeptRows, rows: _KeptRows) -> str:
    if not known:
        return f"cut off before the first of {len(rows)} rows"
    last = known[-1]
    where = last.place or "the outermost frame"
    return f"cut off behind row {last.number} of {len(rows)}: {last.kind} at {where}"
