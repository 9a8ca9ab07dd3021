"""From the outside: what `Graph.run`, `start` and `stream` do.

Rules:
1. Whatever can be refused is refused in `begin`, before a step is made: the message, the models.
2. A walk runs in the task of its caller; `drive` turns however it ends into exactly one terminal event.
"""

from __future__ import annotations

import asyncio
import time
import warnings
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from graphflow.clock import now
from graphflow.errors import (
    DeclarationError,
    GraphflowError,
    ModelUnset,
    WalkCancelled,
)
from graphflow.events import HistoryMended, Resumed, RunEnded, RunStarted, Status
from graphflow.journal.detail import NO_DETAIL, Detail
from graphflow.keywords import refuse
from graphflow.limits import Ledger, Limits, tightest
from graphflow.messages.message import shortened
from graphflow.model.history import read_history
from graphflow.model.resolve import check_model
from graphflow.model.seam import Model
from graphflow.policy import Approve, Policy, also
from graphflow.proofs.proven import AnyGraph
from graphflow.runtime.attempts import error_line
from graphflow.runtime.budget import check_prices
from graphflow.runtime.calls import SHELL
from graphflow.runtime.cancellation import uncancel
from graphflow.runtime.endings import status_of
from graphflow.runtime.frame import Frame
from graphflow.runtime.given_history import GivenHistory
from graphflow.runtime.notes import note_deps, note_node
from graphflow.runtime.options import KEEPING, RunOptions, text_problem
from graphflow.runtime.run_record import AnyRecord, RunRecord
from graphflow.runtime.run_scope import RunScope
from graphflow.runtime.sources import NewsMaker, Sources
from graphflow.runtime.tracing import take_trace, tell_trace, traced
from graphflow.runtime.validation import check_all_deps, check_input, check_owners
from graphflow.runtime.walks import walked
from graphflow.runtime.watch import watch_of
from graphflow.trace_context import within_trace

if TYPE_CHECKING:
    from graphflow.model.turns import Turn
    from graphflow.runtime.durability import Durability
    from graphflow.runtime.hidden import Hidden, RunNames
    from graphflow.runtime.recorder import RunRecorder
    from graphflow.secrets.declared import Secrets

R = TypeVar("R", bound=RunRecord[Any])
Make = Callable[[str, Ledger], R]
"""Makes the record of a run: the class that users know, which stands above."""
Walking: TypeAlias = Coroutine[Any, Any, R]
"""What is awaited for a run."""
NOTHING_GIVEN = (None,) * 5
"""The options that `begin` checks, where none of them was given: asked in one go, as every run asks."""


def begin(
    graph: AnyGraph,
    message: object,
    make: Make[R],
    *,
    deps: object = None,
    model: Model | str | None = None,
    limits: Limits | None = None,
    session: str | None = None,
    policy: Policy | None = None,
    approve: Approve | None = None,
    keep_steps: int | None = None,
    history: object = None,
    id: str | None = None,
    answers: Mapping[str, Any] | None = None,
    secrets: Secrets | None = None,
    durability: Durability | None = None,
    observed: bool = False,
    plain: bool = True,
    **unknown: Any,
) -> tuple[R, Frame, Any]:
    """The run, its outermost frame and the checked message: all that can be refused is refused here."""
    if unknown:
        refuse(f"the run of {graph.name!r}", unknown, RunOptions.__annotations__, "run")
    if (limits, session, policy, approve, keep_steps) != NOTHING_GIVEN:
        _check_scope(graph, limits, session)
        _warn_of_session(session)
        _check_options(graph, policy, approve, keep_steps)
    program = graph.program
    hidden = None
    if secrets is not None or graph.is_lent:
        check_owners(graph)
        names = _names_of(id, session, durability)
        hidden, message = _hide(graph, secrets, message, names)
    message = check_input(graph, message)
    if program.copy_input is not None:
        message = program.copy_input(message)
    check_all_deps(graph, deps)
    own_limits = graph.own_limits if limits is None else tightest(graph.limits, limits)
    ledger = Ledger((graph.name,), own_limits)
    run = make(graph.name, ledger)
    run.declared = graph
    _set_up(run, graph, id, keep_steps, observed)
    default = graph.model
    if model is not None:
        check_model(model, f"the run of {graph.name!r}")
        default = model
    # Somebody who listens wants to be told what follows from the facts at once, which only the machine can do.
    plain = plain and not observed
    shared = RunScope(run, default, session, approve, plain=plain)
    if hidden is not None:
        hidden.begin(shared)
    if history is not None:
        _take_history(graph, shared, history, durability)
    if durability is not None:
        durability.prepare(shared, answers)
    policies = graph.own_policies if policy is None else also((), policy, graph.policy)
    frame = Frame(SHELL, shared, program, ledger, default, deps, policies)
    ledger.on_warning = frame.warn
    if not graph.needs_nothing:
        _prepare(graph, frame, default)
    return run, frame, message


def _set_up(
    run: AnyRecord, graph: AnyGraph, id: str | None, keep_steps: int | None, observed: bool
) -> None:
    """Gives a run its name, and says what it keeps."""
    if id is not None:
        check_id(graph, id)
        run._id = id
    if keep_steps is not None:
        run.keep_steps = keep_steps
    if observed:
        run.watch()


def _names_of(id: str | None, session: str | None, durability: Durability | None) -> RunNames:
    """What a run and its conversation are called."""
    key = session
    if durability is not None and durability.talk is not None:
        key = durability.talk.key
    return ("id", id), ("conversation", key)


def _hide(
    graph: AnyGraph, secrets: Secrets | None, message: object, names: RunNames
) -> tuple[Hidden | None, object]:
    """The secrets of a run, and its message without them: not even the error of one that does not fit shows any.

    Raises:
        SecretUnknown, SecretInvalid: one cannot be read, or is none; or what the run is called holds one.
    """
    if secrets is None and not graph.secrets_below and not graph.secrets_wanted:
        return None, message
    from graphflow.runtime.hidden import hide  # who has no secrets never loads it

    return hide(graph, secrets, message, names)


def _take_history(
    graph: AnyGraph, shared: RunScope, given: object, durability: Durability | None
) -> None:
    """Gives a run a history that somebody else keeps, and tells what was mended in it.

    Raises:
        HistoryInvalid: something in it is not a turn.
        DeclarationError: it has a conversation as well.
    """
    if durability is not None and durability.talk is not None:
        raise DeclarationError(
            f"the run of {graph.name!r}: conversation= and history= are both what was said before; give one"
        )
    given_turns, problems = read_history(given)
    turns: Sequence[Turn] = given_turns
    if shared.mask is not None:
        turns = shared.mask.early_turns(turns)
    history = GivenHistory(graph, turns)
    history.mended = tuple(problems)
    shared.talk = shared.run.turns_before = history


def _prepare(graph: AnyGraph, frame: Frame, default: Model | str | None) -> None:
    """Opens the models of a run, has its claims watch it, and refuses what cannot work."""
    frame.be_watched(watch_of(graph))
    shared = frame.shared
    if graph.needs_sources:
        shared.sources = Sources(graph.name, graph.server_callers)
    for node in graph.preparing:
        node.prepare()
    if graph.needs_models:
        for agent, named in graph.models_needed(default):
            if named is None:
                raise ModelUnset(agent, graph.name)
            # A model on this machine finds its weights before anything is spent on others.
            prepare = getattr(shared.model_of(named), "prepare", None)
            if prepare is not None:
                prepare()
        check_prices(graph, frame.ledger.limits, default, shared.model_of)


def check_id(graph: AnyGraph, id: object) -> None:
    """Refuses a name of a run that not every store can keep.

    Raises:
        DeclarationError: it is none.
    """
    whose = f"the run of {graph.name!r}"
    problem = text_problem(id)
    if problem is not None:
        raise DeclarationError(f"{whose}: id={shortened(id)}: {problem}")


def _check_scope(graph: AnyGraph, limits: Limits | None, session: str | None) -> None:
    whose = f"the run of {graph.name!r}"
    if limits is not None and not isinstance(limits, Limits):
        raise DeclarationError(f"{whose}: limits={limits!r}; give Limits(...)")
    if session is not None and not isinstance(session, str):
        raise DeclarationError(f"{whose}: session={session!r}; give a text")


def _warn_of_session(session: str | None) -> None:
    """Says that there is a better word."""
    if session is None:
        return
    warnings.warn(
        "session= is called conversation= now, which keeps what was said where a store is given; session= goes in 0.4",
        DeprecationWarning,
        stacklevel=5,
    )


def _check_options(
    graph: AnyGraph, policy: Policy | None, approve: Approve | None, keep_steps: int | None
) -> None:
    whose = f"the run of {graph.name!r}"
    if policy is not None and not isinstance(policy, Policy):
        raise DeclarationError(f"{whose}: policy={policy!r}; give a Policy(...)")
    if approve is not None and not callable(approve):
        raise DeclarationError(f"{whose}: approve={approve!r}; give a function of the call")
    if keep_steps is None:
        return
    if isinstance(keep_steps, int) and keep_steps >= 0:
        return
    raise DeclarationError(
        f"{whose}: keep_steps={keep_steps!r}; it must be a number of activations, 0 or more"
    )


async def drive_durably(
    run: R, frame: Frame, message: object, durability: Durability, limits: Limits | None
) -> R:
    """The same for a run that a store keeps: it begins, or goes on, or has ended already."""
    run._task = asyncio.current_task()
    recorder = durability.recorder
    assert recorder is not None
    try:
        has_ended = await durability.open(run, frame, message, limits)
    except BaseException as raised:
        recorder.muted = True
        lost = recorder.error
        if lost is not None:  # somebody else has taken the run while its record was read
            uncancel()
        error = lost or raised
        _end(run, frame, status_of(error), error)
        run.close()
        await durability.close()
        if lost is not None:
            raise lost from None
        raise
    if has_ended:
        run._task = None
        await durability.close()
        if run.error is not None:
            _attach(run, run.error)
            raise run.error
        return run
    try:
        return await drive(run, frame, message)
    finally:
        durability.look_no_more()
        if run.sitting is not None:
            run.sitting.close()
        try:
            await _finished(recorder, run)
        finally:
            run.close()  # whoever has heard all of it may resume it at once
            await durability.close()


async def _finished(recorder: RunRecorder, run: AnyRecord) -> None:
    """Sees to it that the end of a run is kept, even while its task is being cancelled."""
    finishing = asyncio.get_running_loop().create_task(recorder.finish(run.status))
    run._finishing = finishing
    cancelled = False
    while not finishing.done():
        try:
            await asyncio.shield(finishing)
        except asyncio.CancelledError:
            cancelled = not finishing.cancelled()
        except Exception as error:
            if run.error is not None:
                return  # what ended the run is told; it can be resumed from what is kept
            if recorder.best_effort:
                run.unkept = error
                return
            _attach(run, error)
            run.status, run.error = status_of(error), error  # whoever awaits the run is told, too
            raise
    if cancelled:
        raise asyncio.CancelledError


def _beginning(recorder: RunRecorder, run: AnyRecord, message: object) -> tuple[RunStarted, Detail]:
    """What a run that is kept begins with: as its store has it already, if it does."""
    if recorder.started is not None:
        return recorder.started, NO_DETAIL
    started = RunStarted(0.0, 0, run.graph, message, recorder.beginnings)
    if run.declared is None:
        return started, NO_DETAIL
    from graphflow.runtime.durability import form_to_keep

    return started, Detail(form=form_to_keep(run.declared))


def _tell_beginning(run: AnyRecord, shared: RunScope, message: object) -> None:
    """Tells that a run begins, or goes on."""
    past = shared.past
    if past is None:
        if shared.recorder is None:
            run.tell(RunStarted(0.0, 0, run.graph, message))
        else:
            run.tell(*_beginning(shared.recorder, run, message))
            tell_trace(run, 0.0)
        run.began = time.perf_counter()
        run.began_at = time.time()
        before = run.turns_before
        if before is not None and before.mended:
            run.tell(HistoryMended(0.0, 0, before.mended))
    else:  # its clock stands still between its sittings
        run.began = time.perf_counter() - past.seconds
        began_at = round(now(), 6)
        run.tell(Resumed(past.seconds, 0, past.sittings + 1, past.unknown, began_at))
        tell_trace(run, past.seconds)
    if shared.mask is not None:
        shared.mask.tell_early()


async def drive(run: R, frame: Frame, message: object) -> R:
    """Walks to the end in the caller's own task; exactly one terminal event, whatever happens."""
    run._task = asyncio.current_task()
    shared = frame.shared
    _tell_beginning(run, shared, message)
    try:
        if run._cancelled:
            raise asyncio.CancelledError
        try:
            if shared.sources is not None:
                tell = partial(_tell_news, frame)
                await shared.sources.open(
                    run.id,
                    can_wait=shared.sitting is not None,
                    tell=tell,
                    conversation=_conversation_of(frame),
                )
            output = await walked(frame, message)
            if shared.is_over:  # a node has swallowed the request to stop
                raise asyncio.CancelledError
            copy = frame.program.copy_output
            run._output = output if copy is None else copy(output)
            if frame.states is not None and frame.walk is not None:
                run._final = frame.walk.final
        finally:
            if not shared.idle:
                await _close(shared)
    except asyncio.CancelledError as cancelled:
        return _stopped(run, frame, cancelled)
    except BaseException as raised:
        if shared.is_over and isinstance(raised, Exception):
            # A node has failed because it was told to stop: it begins again with the next sitting.
            uncancel()
            return _waiting(run, frame)
        _end(run, frame, status_of(raised), raised)
        raise
    _end(run, frame, "completed", None, output)
    return run


def _conversation_of(frame: Frame) -> str:
    """The conversation of a run, with its graph: two graphs may call theirs alike. "": it has none."""
    key = frame.conversation_key
    return "" if key is None else f"{frame.path[0]} {key}"


def _tell_news(frame: Frame, make: NewsMaker) -> None:
    frame.tell(make(frame.clock()))


def _stopped(run: R, frame: Frame, cancelled: asyncio.CancelledError) -> R:
    """A run whose task was cancelled: because it waits now, or what raises says why."""
    recorder = frame.shared.recorder
    if recorder is not None and recorder.error is not None:
        uncancel()
        lost = recorder.error
        _end(run, frame, status_of(lost), lost)
        raise lost from None
    if frame.shared.is_over:
        uncancel()
        return _waiting(run, frame)
    if not run._cancelled:
        _end(run, frame, "cancelled", _task_was_cancelled(run))
        cancelled.run = run  # type: ignore[attr-defined]  # as every error that ends a walk
        raise cancelled
    uncancel()
    error = WalkCancelled(f"the walk of {run.graph!r} was cancelled")
    _end(run, frame, "cancelled", error)
    raise error from None


def _waiting(run: R, frame: Frame) -> R:
    """A run that waits for answers. Nothing of it moves any more.

    Raises:
        AnswerInvalid, AnswerExists: it was given one that does not fit, or that came too late.
        QuestionUnknown: it was given one that nobody has asked for.
    """
    if run.unkept is not None:  # what waits has to be kept
        _end(run, frame, status_of(run.unkept), run.unkept)
        raise run.unkept from None
    _end(run, frame, "waiting", None)
    sitting = frame.shared.sitting
    assert sitting is not None
    problems: list[GraphflowError] = [*sitting.refused]
    if sitting.answers:
        from graphflow.runtime.late_answers import problem_of_unasked

        problems.append(problem_of_unasked(run, sitting))
    if problems:
        _attach(run, problems[0])
        raise problems[0]
    return run


def _task_was_cancelled(run: AnyRecord) -> WalkCancelled:
    return WalkCancelled(f"the task that walked {run.graph!r} was cancelled")


async def _close(shared: RunScope) -> None:
    """Ends what goes on beside the walk, even while the walk is being cancelled."""
    closing = asyncio.get_running_loop().create_task(shared.close())
    cancelled = False
    while not closing.done():
        try:
            await asyncio.shield(closing)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError


def _end(
    run: AnyRecord,
    frame: Frame,
    status: Status,
    error: BaseException | None,
    output: object = None,
) -> None:
    run.status = status
    run.error = error
    run.ended = time.perf_counter()
    text = ""
    if error is not None:
        _attach(run, error)
        note_node(run, error)
        note_deps(error, frame.deps)
        text = error_line(error)
    seconds = run.ended - run.began
    detail = NO_DETAIL if error is None else Detail(error=error)
    run.tell(RunEnded(seconds, 0, status, output, text), detail)
    if run.store is None:  # else that has to be kept, too
        run.close()
    run._task = None
    frame.ledger.on_warning = None  # break the cycle run > ledger > closure > run


def _attach(run: AnyRecord, error: BaseException) -> None:
    """Partial work travels with the error that ended it."""
    try:
        error.run = run  # type: ignore[attr-defined]  # any exception of a node's
    except AttributeError:  # an exception class with slots
        error.add_note(f"in the walk of {run.graph!r}")


def _durability_of(graph: AnyGraph, options: dict[str, Any]) -> Durability | None:
    """How a run is kept, if it is. Who keeps none never loads what it takes."""
    if not graph.may_wait and KEEPING.isdisjoint(options):
        return None
    from graphflow.runtime.keeping import take_durability

    return take_durability(graph, options)


class Executor(Generic[R]):
    """Runs graphs.

    Args:
        make: makes the record of each run.
    """

    def __init__(self, make: Make[R]) -> None:
        self.make = make

    def run(self, graph: AnyGraph, message: object, **options: Any) -> Walking[R]:
        """`Graph.run`, up to what has to be awaited."""
        if options or graph.may_wait:
            trace = take_trace(options)
            if trace is not None:
                return traced(trace, partial(self.run, graph, message, **options))
            durability = _durability_of(graph, options)
            if durability is not None:
                run, frame, message = begin(
                    graph, message, self.make, durability=durability, **options
                )
                return drive_durably(run, frame, message, durability, options.get("limits"))
        run, frame, message = begin(graph, message, self.make, **options)
        return drive(run, frame, message)

    async def resume(self, graph: AnyGraph, id: str, **options: Any) -> R:
        """`Graph.resume`."""
        from graphflow.runtime.durability import begun_with
        from graphflow.runtime.keeping import take_durability

        check_id(graph, id)
        trace = take_trace(options)
        if trace is not None:
            return await traced(trace, partial(self.resume, graph, id, **options))
        durability = take_durability(graph, options, resumes=True)
        assert durability is not None
        try:
            message, limits = await begun_with(durability.store, id, graph)
            options.setdefault("limits", limits)
            run, frame, message = begin(
                graph, message, self.make, id=id, durability=durability, **options
            )
        except BaseException:
            await durability.close()
            raise
        return await drive_durably(run, frame, message, durability, options["limits"])

    def start(
        self, graph: AnyGraph, message: object, *, observed: bool = True, **options: Any
    ) -> R:
        """`Graph.start`: the run goes on by itself; whoever iterates it sees every event."""
        trace = take_trace(options)
        if trace is not None:
            with within_trace(trace):  # the task that walks takes it along
                return self.start(graph, message, observed=observed, **options)
        durability = _durability_of(graph, options)
        run, frame, message = begin(
            graph, message, self.make, observed=observed, durability=durability, **options
        )
        loop = asyncio.get_running_loop()
        if durability is None:
            work = drive(run, frame, message)
        else:
            work = drive_durably(run, frame, message, durability, options.get("limits"))
        run._task = loop.create_task(work)

        def retrieve(task: asyncio.Task[Any]) -> None:
            if not task.cancelled():
                # It stays on `run.error`; asyncio need not complain that nobody asked.
                task.exception()
            elif run.status == "running":  # cancelled from outside before its first turn
                run.tell(RunStarted(0.0, 0, run.graph, message))
                _end(run, frame, "cancelled", _task_was_cancelled(run))

        run._task.add_done_callback(retrieve)
        return run
