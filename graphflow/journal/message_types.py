"""The types of messages: by which type a message in a row is written, and read again."""

from __future__ import annotations

from typing import Any

from graphflow.declaration.background import Background
from graphflow.declaration.node import AnyNode
from graphflow.events import (
    BackgroundFinished,
    CallFinished,
    CallStarted,
    Event,
    FrameEntered,
    FrameExited,
    NodeFinished,
    RunEnded,
    RunStarted,
    ValueKept,
)
from graphflow.journal.codec.value_codec import ValueCodec, codec_of
from graphflow.journal.detail import FrameForm
from graphflow.messages.message import Failure, LimitReached, TimedOut
from graphflow.messages.types import Type, arms, item_type
from graphflow.proofs.program import Program

_CARRIERS = frozenset({Failure, LimitReached, TimedOut})
"""Messages that hold what a node was given, whatever that is."""


def message_type(event: Event, form: FrameForm | None, node: AnyNode | None) -> Type | None:
    """The type by which the message in an event is written; None: it is only shown.

    Args:
        event: the event.
        form: of the event's frame.
        node: the node that was called, where the event tells of a call.
    """
    if isinstance(event, ValueKept):
        return Any
    if isinstance(event, (CallStarted, CallFinished, BackgroundFinished)):
        return None if node is None else _called_type(event, node)
    if form is None:
        return None
    program = form.program
    if isinstance(event, (RunStarted, FrameEntered)):
        return program.input
    if isinstance(event, (RunEnded, FrameExited)):
        return program.output
    if isinstance(event, NodeFinished):
        finished = program.nodes_by_name.get(event.node)
        return None if finished is None else finished.output
    return None


def _called_type(
    event: CallStarted | CallFinished | BackgroundFinished, node: AnyNode
) -> Type | None:
    """The type of what a call was given, or has answered."""
    if isinstance(event, CallFinished):
        return Background if node.in_background else node.output
    if isinstance(event, BackgroundFinished):
        return node.output if event.status == "completed" else None
    # What an ordinary call was given is told again by its caller. One in the background may have to be begun again by the
    # record alone.
    return _entry_type(node) if node.in_background else None


def _entry_type(node: AnyNode) -> Type:
    target, _ = node.entry()
    return target.ports[0].type


def handover_type(program: Program, target: str) -> Type:
    """The type of what is handed over to the node of that name."""
    taker = program.nodes_by_name.get(target)
    return Any if taker is None else taker.ports[0].type


def codec_in(form: FrameForm | None, kind: Type) -> ValueCodec:
    """What writes the messages of a type in a frame, and reads them."""
    if form is None:
        return codec_of(kind)
    # In a message that tells of trouble stands another one, of this graph or one around it: only the frame knows which
    # types it may have.
    if not _CARRIERS.isdisjoint(arms(kind)) or item_type(kind) in _CARRIERS:
        return codec_of(kind, form.message_types)
    return codec_of(kind)
