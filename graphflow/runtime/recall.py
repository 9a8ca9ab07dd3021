"""Recall: code that is carried out again gets what it has got before, by place, and asks the world for the rest."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from graphflow.declaration.context import Context
from graphflow.declaration.node import AnyNode
from graphflow.events import CallFailed, CallFinished
from graphflow.journal.detail import NO_DETAIL, Detail
from graphflow.messages.state import StateWrites
from graphflow.places import Place
from graphflow.runtime.call import Call
from graphflow.runtime.frame import Frame, Invocation
from graphflow.runtime.past import ActivationKey
from graphflow.runtime.records import CallRecord


@dataclass(frozen=True, slots=True)
class KnownCall:
    """A call that has ended in an earlier sitting."""

    record: CallRecord
    node: AnyNode

    @property
    def is_answer(self) -> bool:
        """Whether it has answered, and not failed."""
        return not isinstance(self.record.end, CallFailed)

    @property
    def writes(self) -> StateWrites:
        """What it has written."""
        end = self.record.end
        return end.writes if isinstance(end, CallFinished) else ()

    def answer(self) -> Any:
        """Its answer, or its error, raised again."""
        end = self.record.end
        if isinstance(end, CallFailed):
            raise end.error
        return self.record.output(self.node)


def recorded_call(frame: Frame, ctx: Context, node: AnyNode, place: Place) -> KnownCall | None:
    """The call at a place, if an earlier sitting has seen how it ended."""
    past = frame.shared.past
    if past is None:
        return None
    record = past.call(place.name)
    if record is None:
        return None
    detail = record.detail
    if detail is not None and detail.turns and ctx.conversation is not None:
        ctx.conversation.add(detail.turns)
    return KnownCall(record, node)


async def next_attempt(invocation: Invocation) -> int:
    """The number of the next attempt of an invocation, after what was left of the wait before it."""
    shared = invocation.frame.shared
    past = shared.past
    assert past is not None
    key: ActivationKey | str = (invocation.frame.number, invocation.activation)
    if invocation.call is not None:
        key = invocation.call.place.name
    retry = past.retry(key)
    if retry is None:
        return 1
    waited = past.seconds - retry.at
    await asyncio.sleep(max(0.0, retry.wait_s - waited))
    return retry.attempt


def detail_of_end(call: Call, detail: Detail, *, unbegun: bool = False) -> Detail:
    """What a store keeps of the end of a call; `unbegun`: its node has not done anything."""
    if detail is NO_DETAIL:
        return detail
    return Detail(
        detail.place, detail.node, turns=call.turns, metered=call.metered, unbegun=unbegun
    )
