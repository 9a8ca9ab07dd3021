"""What goes wrong with conversations, and with what was said in them."""

from __future__ import annotations

from collections.abc import Sequence

from graphflow.errors.root import GraphflowError
from graphflow.errors.stores import StoreError


class ConversationUnknown(StoreError, LookupError):
    """A store holds no conversation of that key."""


class ConversationExists(StoreError, ValueError):
    """A conversation of that key is in the store already."""


class ConversationBusy(StoreError):
    """Somebody else has a conversation at the moment, or a run of it waits for answers.

    Attributes:
        run_id: the id of the run that has it.
        holder: who walks it, in words for people; "": nobody at the moment.
        questions: what it waits for, by the ids of the questions.
    """

    retryable = True

    def __init__(self, name: str, run: str, holder: str, questions: Sequence[str] = ()) -> None:
        self.run_id = run
        self.holder = holder
        self.questions = tuple(questions)
        # Nobody is at a run that waits for an answer.
        who = f"{holder} is at it" if holder else "it waits"
        remedy = 'try again later, or give busy="wait"'
        if questions:
            listed = ", ".join(map(repr, questions))
            remedy = f'answer {listed}, or give busy="cancel" to drop it'
        super().__init__(f"{name} is busy with run {run!r}, {who}; {remedy}")


class ConversationMoved(StoreError):
    """A conversation has gone on without a run that was to add to it. Nothing was added: say it again, with another id."""


class ConversationUnreadable(StoreError, ValueError):
    """What was kept of a conversation was written by a newer version, or is not as it was written."""


class HistoryInvalid(GraphflowError, ValueError):
    """Turns that were given as a history are none that a model could be shown."""
