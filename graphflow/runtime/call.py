"""A call under way, for those that it goes through."""

from __future__ import annotations

from graphflow.claims.guard import Reservation
from graphflow.declaration.node import AnyNode
from graphflow.messages.state import StateWrites
from graphflow.model.conversation import Conversation
from graphflow.model.turns import Turn
from graphflow.places import Place
from graphflow.policy import Policy
from graphflow.walk.revision import Revision


class Call(Reservation):
    """One call under way, for those it goes through, and for the claims that see it."""

    __slots__ = (
        *("base", "caller", "conversation", "metered", "number", "place"),
        *("policies", "turns", "writes"),
    )

    def __init__(
        self,
        number: int,
        caller: AnyNode,
        place: Place,
        policies: tuple[Policy, ...],
        conversation: Conversation | None,
    ) -> None:
        self.stake = None
        self.number = number
        """Its number in the run, by which its events are told from those of other calls."""
        self.caller = caller
        self.place = place
        self.policies = policies
        """What has agreed to the call, and has to agree to those that it makes."""
        self.conversation = conversation
        self.metered = ""
        """What it was charged as, beside a step."""
        self.turns: tuple[Turn, ...] = ()
        """What the callee has said in the conversation of its caller."""
        self.base: Revision | None = None
        """What the states are for the callee; None where its caller sees none."""
        self.writes: StateWrites = ()
        """What the callee has written."""
