"""Attempts: how one activation or call is carried out. Approved, looked up, retried, timed and checked, as its node says.

    perform  >  approve  >  from_cache  >  in_turn  >  retried  >  attempt  >  answer  >  node.activate
       |                                                  ^                       ^
       |                         tool asks for its retry  |                       |
       +------------------------- without these options --+-----------------------+

Rules:
1. What is retried is the node, not the consent: a call is allowed and approved once, and its key stays the same.
2. Each attempt has messages of its own, and begins with the context variables that were set before the first.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager, nullcontext
from contextvars import Context as Variables
from contextvars import copy_context
from functools import partial
from random import random
from typing import TYPE_CHECKING, Any

from graphflow.contexts import adopt, within
from graphflow.declaration.background import collector
from graphflow.declaration.context import Context
from graphflow.declaration.node import AnyNode
from graphflow.declaration.options import Retry
from graphflow.errors import LimitExceeded, PolicyRefused, ToolError, Unstorable
from graphflow.events import AnswerCached, CacheHit, NodeRetried
from graphflow.messages.copies import copy_of
from graphflow.messages.message import error_text
from graphflow.messages.state import StateWrite
from graphflow.messages.types import Type
from graphflow.proofs.program import Slot, acts, is_done_once
from graphflow.redaction import scrub
from graphflow.runtime.cache import Cache, CacheKey, copied
from graphflow.runtime.cancellation import may_be_told_to_stop, stray
from graphflow.runtime.consent import approve
from graphflow.runtime.effects import answered_once
from graphflow.runtime.frame import Answer, Frame, Invocation
from graphflow.runtime.guarding import judge_answer, judge_given
from graphflow.runtime.hooking import changed_answer, changed_given
from graphflow.runtime.recall import next_attempt
from graphflow.runtime.sitting import Sitting
from graphflow.runtime.state_view import StateView
from graphflow.runtime.time_limits import in_time
from graphflow.runtime.validation import check_output
from graphflow.runtime.waits import is_for_us, waiting_for, working_on

if TYPE_CHECKING:
    from graphflow.runtime.run_mask import RunMask


async def activate(frame: Frame, slot: Slot, inputs: dict[str, Any], activation: int) -> Any:
    """The output of one activation on a graph's arrows."""
    node = slot.node
    assert node is not None
    if frame.denied is not None and slot.name in frame.denied:
        why = frame.denied[slot.name]
        raise PolicyRefused(f"{slot.name!r} may not be activated here: {why}")
    if slot.enters:
        (message,) = inputs.values()
        inputs = {"": message}
    invocation = Invocation(frame, node, inputs, activation)
    if frame.watch is not None:
        invocation.reservation = frame.watch.open.get(activation)
    recorder = frame.shared.recorder
    if recorder is not None:
        frame.count_activation(node, inputs, activation)
        if acts(node):
            await recorder.before_effect()
    try:
        if frame.origin is not None and not slot.enters and is_done_once(node):
            output = await _once_for_all(invocation)
        else:
            output = await perform(invocation)
        return copy_of(output)  # the node may keep what it has returned, and go on changing it
    finally:
        if frame.places:
            frame.places.pop(activation, None)


async def _once_for_all(invocation: Invocation) -> Any:
    """The output of an activation that later attempts of its frame take over."""
    output = await answered_once(invocation, perform)
    frame = invocation.frame
    if frame.keeps_effects:
        frame.effects[invocation.activation] = invocation.place.name
    return output


def perform(invocation: Invocation) -> Answer:
    """The output of one activation or call."""
    node = invocation.node
    # A call has been judged already, by whoever makes it. On an arrow that matters is judged which acts on the world.
    judged = invocation.call is None and bool(invocation.frame.policies) and _acts(node)
    if not node.plain or not node.concurrency_safe or judged:
        return _performed(invocation, judged)
    if invocation.frame.shared.past is not None:
        return _gone_on_with(invocation)
    return _at_once(invocation)


async def _gone_on_with(invocation: Invocation) -> Any:
    """The output of a node without options, of which earlier sittings may have seen attempts."""
    attempt = await next_attempt(invocation)
    if attempt > 1:
        return await _retried(invocation, attempt)
    return await _at_once(invocation)


async def _at_once(invocation: Invocation) -> Any:
    """The output of a node without options."""
    # A tool may ask for a retry by its error. The first attempt runs where it stands all the same, for one in variables
    # of its own would cost much more. If there is another, it begins with these, and what the first has set is set back
    # (a variable that had no value before keeps one behind the node: none can be unset).
    node = invocation.node
    variables = copy_context()
    requests = _requests_to_stop()
    try:
        output = await _begun(invocation)
    except asyncio.CancelledError as cancelled:
        if _is_meant(node, requests):
            raise
        raise stray(node.name, cancelled) from cancelled
    except ToolError as error:
        retry = _next_retry(invocation, 1, error, requests)
        if retry is None:
            raise
        problem = error
    else:
        check_output(node, output)
        return output
    adopt(variables)
    await _pause(invocation, 2, retry, problem)
    return await _retried(invocation, 2, variables)


async def _performed(invocation: Invocation, judged: bool) -> Any:
    """The output of a node with options, or of one that has to be judged."""
    frame, node = invocation.frame, invocation.node
    if invocation.call is None:
        read = {port: node.read(message) for port, message in invocation.inputs.items()}
        invocation = invocation.given(read)
    if judged:
        frame.judge(node, invocation.message, invocation.place, frame.policies)
    if node.hooks.before:
        invocation = await changed_given(invocation)
    if node.before:
        await judge_given(invocation)
    if node.approval:
        invocation = await _approved(invocation)
    if node.cache:
        return await _from_cache(invocation)
    return await _in_turn(invocation)


async def _approved(invocation: Invocation) -> Invocation:
    """What somebody has agreed to."""
    frame, node = invocation.frame, invocation.node
    if node.enters == "always":  # nobody is asked about what may not be entered anyway
        frame.ledger.check_depth(node.name)
    approved = await approve(invocation)
    if node.before and approved is not invocation:  # somebody has edited it
        await judge_given(approved)
    return approved


def _acts(node: AnyNode) -> bool:
    """Whether an activation is for policies to judge: one that may change the world, or that counts as a call."""
    return bool(node.effects) or node.meter is not None


# -- the cache -------------------------------------------------------------------------------------
async def _from_cache(invocation: Invocation) -> Any:
    """The answer that the node has given to the same before; else its answer, kept for those who ask the same."""
    frame, node = invocation.frame, invocation.node
    cache = frame.shared.cache_of(node)
    around = _surroundings(invocation) if node.sees_run else ()
    key = cache.key(node, invocation.inputs, around)
    if key is None:
        return await _in_turn(invocation)
    _take_up_answers(invocation, cache, around)
    known = await _known_answer(cache, key, frame.shared.sitting)
    if known is _MINE:
        return await _in_turn(invocation)
    if known is not _NONE:
        frame.tell(CacheHit(*invocation.stamp, node.name))
        return copied(known)
    future = cache.begin(key, float(node.cache))
    try:
        with working_on(future):
            output = await _in_turn(invocation)
    except BaseException:
        cache.forget(key, future)
        future.cancel()
        raise
    future.set_result(copied(output))
    _keep_answer(invocation, output)
    return output


def _port_types(node: AnyNode) -> dict[str, Type]:
    types = {port.name: port.type for port in node.ports}
    types[""] = node.ports[0].type  # what is entered as a frame has one port without a name
    return types


def _keep_answer(invocation: Invocation, output: object) -> None:
    """Has the record of the run tell an answer that is kept, unless it cannot: then it is asked for again after a crash."""
    node = invocation.node
    if node.cache is not True or not invocation.frame.is_recorded:
        return
    from graphflow.journal.codec.value_codec import codec_of  # who keeps no record never loads it

    types = _port_types(node)
    try:
        question = {
            port: codec_of(types[port]).encode(message)
            for port, message in invocation.inputs.items()
        }
        answer = codec_of(node.output).encode(output)
    except Unstorable:
        return
    invocation.frame.tell(AnswerCached(*invocation.stamp, node.name, question, answer))


def _take_up_answers(invocation: Invocation, cache: Cache, around: tuple[Any, ...]) -> None:
    """Gives a cache the answers that earlier sittings of the run have kept of a node, where its surroundings are the same."""
    frame, node = invocation.frame, invocation.node
    past = frame.shared.past
    if past is None or node.cache is not True:
        return
    from graphflow.journal.codec.value_codec import codec_of

    types = _port_types(node)
    for event in past.take_cached(node.name, frame.path if node.sees_run else None):
        inputs = {port: codec_of(types[port]).decode(data) for port, data in event.question.items()}
        key = cache.key(node, inputs, around)
        if key is not None and cache.get(key) is None:
            cache.begin(key, float(node.cache)).set_result(
                codec_of(node.output).decode(event.answer)
            )


_NONE = object()
"""Nobody has an answer."""
_MINE = object()
"""Who works on the answer waits for us: waiting for it would be waiting for ourselves."""


def _resting(sitting: Sitting | None) -> AbstractContextManager[None]:
    return nullcontext() if sitting is None else sitting.resting()


async def _known_answer(cache: Cache, key: CacheKey, sitting: Sitting | None) -> Any:
    """An answer that is there, or that somebody is working on just now."""
    while True:
        future = cache.get(key)
        if future is None:
            return _NONE
        if not future.done():
            if is_for_us(future):
                return _MINE
            with waiting_for(future), _resting(sitting):
                await asyncio.wait([future])
        if not future.cancelled() and future.exception() is None:
            return future.result()
        # Whoever worked on it has failed. Perhaps somebody else has begun meanwhile.
        cache.forget(key, future)


def _surroundings(invocation: Invocation) -> tuple[Any, ...]:
    """What an answer may depend on beside what was asked."""
    frame, node = invocation.frame, invocation.node
    # What was answered with one customer's key is not an answer for another customer.
    secrets = None if frame.mask is None else frame.mask.secrets
    whose = frame.deps, frame.session, frame.conversation_key, secrets
    if node.enters == "never" and not node.calls and not node.asks_model:
        return whose
    return *whose, frame.default, invocation.policies


# -- attempts --------------------------------------------------------------------------------------
async def _in_turn(invocation: Invocation) -> Any:
    """The output of a node, within its quota."""
    frame, node = invocation.frame, invocation.node
    if node.quota is None:
        return await _in_own_turn(invocation)
    work = partial(_in_own_turn, invocation)
    return await frame.shared.quotas.within(node, frame.path, work)


async def _in_own_turn(invocation: Invocation) -> Any:
    """The same of a node which waits for its turn if it must not run twice at a time."""
    node = invocation.node
    if node.concurrency_safe:
        return await _retried(invocation)
    # In whatever run of this event loop: what must not run twice at a time does not know of runs.
    turn = invocation.frame.shared.turn_of(node)
    # A node that calls itself by a detour has its turn already.
    if is_for_us(turn):
        return await _retried(invocation)
    sitting = invocation.frame.shared.sitting
    with waiting_for(turn), _resting(sitting):
        await turn.acquire()
    try:
        with working_on(turn):
            return await _retried(invocation)
    finally:
        turn.release()


async def _retried(
    invocation: Invocation, attempt: int = 1, initial: Variables | None = None
) -> Any:
    """The output of the first attempt that succeeds.

    Args:
        invocation: what is carried out.
        attempt: the number of the next attempt.
        initial: the context variables that each attempt begins with, if they are not the current ones.
    """
    node = invocation.node
    requests = _requests_to_stop()
    if initial is None:
        initial = copy_context()
    if attempt == 1 and invocation.frame.shared.past is not None:
        attempt = await next_attempt(invocation)
    while True:
        variables = initial.copy()
        invocation.attempt = attempt
        try:
            output = await _attempt(invocation, variables)
            if node.hooks.after:
                output = await changed_answer(invocation, output)
            check_output(node, output)
            if node.after:
                await judge_answer(invocation, output)
            adopt(variables)
            return output
        except Exception as error:
            retry = _next_retry(invocation, attempt, error, requests)
            if retry is None:
                adopt(variables)
                raise
            problem = error
        attempt += 1
        await _pause(invocation, attempt, retry, problem)


def _next_retry(
    invocation: Invocation, attempt: int, error: Exception, requests: int
) -> Retry | None:
    """How attempt number so much is followed by another one; None if its error is final.

    `requests` to stop there were before the first attempt: if there are more by now, nothing is tried again.
    """
    retry = _retry_for(invocation.node, error)
    if (
        retry is None
        or attempt >= retry.attempts
        or may_be_told_to_stop(invocation.frame, requests, error)
    ):
        return None
    return retry


def _retry_for(node: AnyNode, error: Exception) -> Retry | None:
    """The retry that holds for an error: what the tool itself asks for, else that of its node."""
    if isinstance(error, LimitExceeded):
        return None
    if isinstance(error, ToolError) and error.retry is not None:
        # The tool has named this very error, so `on` has no say; how long may be waited has.
        return error.retry if error.retry.may_wait(error) else None
    retry = node.retry
    if retry is None or not retry.wants(error):
        return None
    return retry


async def _pause(invocation: Invocation, attempt: int, retry: Retry, problem: Exception) -> None:
    """Tells that attempt number so much is to come, and waits as long as `retry` says."""
    wait_s = retry.wait_before(attempt, problem, random())
    name = invocation.node.name
    why = error_line(problem)
    number = invocation.call.number if invocation.call is not None else None
    frame, call = invocation.frame, invocation.call
    frame.tell(NodeRetried(*invocation.stamp, name, attempt, why, wait_s, number))
    past = frame.shared.past
    if past is not None:
        past.give_up(
            (frame.number, invocation.activation), None if call is None else call.place.name
        )
    await asyncio.sleep(wait_s)


async def _attempt(invocation: Invocation, variables: Variables) -> Any:
    """One attempt, with these context variables."""
    work = _answer(invocation)
    if invocation.node.timeout_s is None:
        return await within(variables, work)
    return await in_time(invocation, work, variables)


async def _answer(invocation: Invocation) -> Any:
    """The answer of the node itself. A cancellation that nobody has asked for is a failure of the node like any other."""
    node = invocation.node
    requests = _requests_to_stop()
    try:
        return await _begun(invocation)
    except asyncio.CancelledError as cancelled:
        if _is_meant(node, requests):
            raise
        raise stray(node.name, cancelled) from cancelled


def _begun(invocation: Invocation) -> Answer:
    """What the node itself has to answer, to be awaited."""
    node = invocation.node
    if node.enters == "always":
        (message,) = invocation.inputs.values()
        return invocation.frame.shell.enter(invocation, copy_of(message), None)
    invocation.note_begun()
    if invocation.frame.shared.mask is not None:
        return _masked(invocation, invocation.frame.shared.mask)
    return _activated(invocation)


def _activated(invocation: Invocation) -> Answer:
    if invocation.frame.states is not None:
        return _with_states(invocation)
    return invocation.node.activate(*_given(invocation))


async def _masked(invocation: Invocation, mask: RunMask) -> Any:
    """The same where the run has secrets: nobody sees an answer or an error before they are taken out."""
    name = invocation.node.name
    try:
        output = await _activated(invocation)
    except BaseException as error:
        clean = mask.error(error, invocation.stamp, name)
        if clean is error:
            raise
        problem = clean
    else:
        writes = invocation.writes
        if writes:
            masked = [_masked_write(invocation, mask, write) for write in writes]
            invocation.keep_writes(tuple(masked))
        return mask.value(output, "output", invocation.stamp, name)
    raise problem


def _masked_write(invocation: Invocation, mask: RunMask, write: StateWrite) -> StateWrite:
    value = mask.value(write.value, "state", invocation.stamp, invocation.node.name)
    if value is write.value:
        return write
    return StateWrite(write.state, write.kind, value)


async def _with_states(invocation: Invocation) -> Any:
    """The same for a node that can see states: what it has written counts when it has answered."""
    frame, node = invocation.frame, invocation.node
    assert frame.states is not None
    inputs, ctx = _given(invocation)
    revision = invocation.revision
    assert revision is not None
    activation = (frame.number, invocation.activation)
    view = ctx.states = StateView(node, frame.states.visible, revision, activation)
    token = collector.set(view)
    try:
        output = await node.activate(inputs, ctx)
    finally:
        collector.reset(token)
    invocation.keep_writes(view.writes)
    return output


def _given(invocation: Invocation) -> tuple[dict[str, Any], Context]:
    """What the node itself is given: messages of its own, and where it stands."""
    frame, node, call = invocation.frame, invocation.node, invocation.call
    inputs = {port: copy_of(message) for port, message in invocation.inputs.items()}
    if call is None:
        ctx = Context(frame, node, invocation.activation, inputs)
        ctx.attempt = invocation.attempt
        return inputs, ctx
    ctx = Context(frame, node, invocation.activation, inputs, call.place)
    ctx.attempt = invocation.attempt
    ctx.caller = call.caller
    ctx.conversation = call.conversation
    ctx.policies = call.policies
    return inputs, ctx


def _is_meant(node: AnyNode, requests: int) -> bool:
    """Whether a cancellation is what it says: somebody has told the task to stop since there were so many requests.

    What is entered as a frame has told already which of its nodes raised one that nobody had asked for.
    """
    if node.enters == "always":
        return True
    task = asyncio.current_task()
    return task is None or task.cancelling() > requests


def _requests_to_stop() -> int:
    """How often the current task has been told to stop, by anybody."""
    task = asyncio.current_task()
    return task.cancelling() if task is not None else 0


def error_line(error: BaseException) -> str:
    """An error in a line, without what is secret."""
    kind, text = type(error).__name__, error_text(error)
    return scrub(f"{kind}: {text}")
