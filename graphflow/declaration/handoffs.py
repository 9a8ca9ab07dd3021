"""Hand-overs: an agent moves the walk on to another node, along an edge that its model chooses.

Rules:
1. A hand-over is a flow edge, not a call: nothing comes back, and the target's answer goes where the target's arrows say.
   A target without arrows of its own answers for the graph: `target >> END`.
2. What travels is one message of the type that the target takes, which the model fills in by its schema; with
   `conversation=True` also what was said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from graphflow.declaration.node import AnyNode, Node
from graphflow.errors import DeclarationError
from graphflow.keywords import strict_keywords
from graphflow.model.turns import Turn


@strict_keywords
@dataclass(frozen=True, slots=True, eq=False)
class Handoff:
    """One hand-over edge, tuned. `Agent(handoffs=[billing, Handoff(support, conversation=True)])`.

    Attributes:
        target: a node, or the name of one in the graph.
        conversation: whether what was said so far travels along; the target is an agent then.
        description: when to hand over, for the model; default: the target's description, never its prompt.
        laps: how often the edge may be taken where hand-overs go round in circles; default: the graph's limit of laps.
    """

    target: AnyNode | str
    conversation: bool = False
    description: str = ""
    laps: int | None = None

    @property
    def name(self) -> str:
        """The target's name."""
        return self.target if isinstance(self.target, str) else self.target.name

    @property
    def tool(self) -> str:
        """What the model calls to hand over."""
        return f"transfer_to_{self.name}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Handoff):
            return NotImplemented
        mine = (self.name, self.conversation, self.description, self.laps)
        if mine != (other.name, other.conversation, other.description, other.laps):
            return False
        # One that names its target means the node of that name, which the graph is compared by, too.
        if isinstance(self.target, str) or isinstance(other.target, str):
            return True
        return self.target == other.target

    def __hash__(self) -> int:
        return hash((Handoff, self.name))


@dataclass(frozen=True, slots=True)
class HandTo:
    """The arm of an agent's output that is a hand-over to this target: what stands on the edge."""

    handoff: Handoff

    def __repr__(self) -> str:
        return f"hand over to {self.handoff.name}"


@dataclass(frozen=True, slots=True)
class Handover:
    """What an agent answers with when it hands over.

    Attributes:
        target: the name of the node that takes over.
        message: what it gets.
        turns: what was said, where that travels along; else empty.
    """

    target: str
    message: object
    turns: tuple[Turn, ...] = field(default=(), repr=False)

    @property
    def travelling(self) -> object:
        """What goes along the edge: the message, or all of this where the conversation travels, too."""
        return self if self.turns else self.message


def without_turns(message: object) -> object:
    """What stands on an edge, as others are told of it: the message alone, without a conversation that came with it."""
    return message.message if type(message) is Handover else message


def read_handoffs(whose: str, given: Sequence[object]) -> tuple[Handoff, ...]:
    """The hand-over edges of an agent.

    Raises:
        DeclarationError: something in the list is not a node, or two of them lead to the same.
    """
    handoffs: list[Handoff] = []
    for entry in given:
        if isinstance(entry, (Node, str)):
            entry = Handoff(entry)
        if not isinstance(entry, Handoff):
            raise DeclarationError(f"agent {whose!r} hands over to {entry!r}, which is not a node")
        if any(entry.name == other.name for other in handoffs):
            raise DeclarationError(
                f"agent {whose!r} has two hand-overs to {entry.name!r}; keep one"
            )
        handoffs.append(entry)
    return tuple(handoffs)
