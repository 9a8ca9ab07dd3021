"""The door to the outside: what it answers comes in here, each answer with its place (`graphflow/places.py`).

Rules:
1. A question is known by its place: where it is asked, of whom, what, and how many equal ones were asked before. So every
   attempt meets the answers of those before it.
2. What may have left something behind in the world is not asked for twice: the answer of an earlier attempt counts.
3. Whoever wants to keep answers, or give back kept ones, does it here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from graphflow.declaration.background import Background
from graphflow.events import AnswerKept
from graphflow.places import EffectState, Place
from graphflow.policy import Approval
from graphflow.runtime.cache import copied
from graphflow.runtime.frame import Answer, Invocation


@dataclass(frozen=True, slots=True)
class Consent:
    """What came of asking whether something may be done.

    Attributes:
        decision: what somebody has said.
        failure: what went wrong with asking.
        lasts: whether somebody has decided; where nobody could be asked, the next attempt asks again.
    """

    decision: Approval
    failure: Exception | None = None
    lasts: bool = True


def answered_once(invocation: Invocation, ask: Callable[[Invocation], Answer]) -> Answer:
    """The answer to an invocation: an earlier attempt's, if there is one that must not be asked for again."""
    effect = invocation.place.effect
    if effect is None:
        return ask(invocation)
    if effect.answered or effect.under_way:
        return _known_or_asked(invocation, effect, ask)
    if invocation.frame.states is not None:
        return _with_writes(invocation, effect, ask)
    return effect.first(ask, invocation)


async def _with_writes(
    invocation: Invocation, effect: EffectState, ask: Callable[[Invocation], Answer]
) -> Any:
    """The first answer of a call that can write states: who takes it over takes over what was written."""
    output = await effect.first(ask, invocation)
    effect.writes = invocation.writes
    return output


async def _known_or_asked(
    invocation: Invocation, effect: EffectState, ask: Callable[[Invocation], Answer]
) -> Any:
    _forget_what_failed(effect)
    was_known = await effect.once(ask, invocation)
    if was_known:
        invocation.keep_writes(effect.writes)
    else:
        effect.writes = invocation.writes
    if not was_known:
        return effect.answer
    node = invocation.node
    invocation.frame.tell(AnswerKept(*invocation.stamp, node.name, invocation.place.key))
    # A handle stands for one and the same call in the background; of anything else each attempt has its own.
    return effect.answer if node.in_background else copied(effect.answer)


def _forget_what_failed(effect: EffectState) -> None:
    """A call in the background has answered with a handle at once. Whether that is an answer shows later."""
    answer = effect.answer
    if isinstance(answer, Background) and answer.status not in ("running", "completed"):
        effect.answered = False


async def decided_once(place: Place, ask: Callable[[], Awaitable[Consent]]) -> Consent:
    """What somebody has decided of the call at this place. Nobody is asked twice."""
    consents = place.effects.consents
    known: Consent | None = consents.get(place.name)
    if known is not None:
        return known
    consent = await ask()
    if consent.lasts:
        consents[place.name] = consent
    return consent
