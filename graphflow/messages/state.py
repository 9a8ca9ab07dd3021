"""State: a value that travels with the tokens of a graph, so that it is the same under any latency.

Rules:
1. A graph owns a state (`Graph(state=[notes])`); each of its frames begins with the start value.
2. A node sees every write on the ways that led to it, and its own. `set` replaces the value, `add` merges into it.
3. Behind a join the writes of all branches stand one after the other, in logical order. A message that is lost loses its
   writes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NoReturn,
    TypeAlias,
    TypeVar,
)

from graphflow.errors import DeclarationError, MergeFailed, StateInvalid

if TYPE_CHECKING:
    from graphflow.messages.types import Type

V = TypeVar("V")
MergeFunction: TypeAlias = Callable[[Any, Any], Any]
"""Makes of a value and what is added to it the next value. It changes neither."""
WriteKind: TypeAlias = Literal["set", "add"]
StateScope: TypeAlias = Literal["frame", "conversation"]
"""How long the values of a state live."""
SCOPES: tuple[StateScope, ...] = ("frame", "conversation")


class _Unset:
    def __repr__(self) -> str:
        return "no value"


_PLAIN_VALUES = (str, bytes, int, float, list, tuple, dict, set)
"""What somebody gives who means a value, or the text of a type."""
UNSET = _Unset()
"""Stands for the value of a state that has none yet."""


class _Unknown:
    def __repr__(self) -> str:
        return "an unknown value"


UNKNOWN = _Unknown()
"""Stands for the value of a state in a walk that does not know what it was lent. What is added to it makes it no better known."""


class State(Generic[V]):
    """A value that the nodes of a graph share.

    Args:
        name: its name, unique in the graphs that share it; prompts read it as `{{ state.name }}`.
        type: the type of its value.
        start: the value at the beginning of each frame of the graph that owns it; without one it has to be set first.
        merge: makes of the value and what a node adds the next value: a ready one of `graphflow.merges`, or a function of
            both. Without one it can be set, and not added to.
        scope: how long its values live: "frame", as long as a frame of the graph that owns it; "conversation", as long as the
            conversation of its run, of which each run begins with what the one before has made of it. Only the outermost graph
            may own such a state; in a run without a conversation it begins anew.

    Raises:
        DeclarationError: an argument cannot be what it is meant as.
    """

    __slots__ = ("_expected", "_fits", "hidden", "merge", "name", "scope", "start", "tools", "type")

    def __init__(
        self,
        name: str,
        type: type[V],
        *,
        start: V | _Unset = UNSET,
        merge: MergeFunction | None = None,
        scope: StateScope = "frame",
    ) -> None:
        # With all of pydantic, which arrows and events without states do not need.
        from graphflow.messages.copies import copy_of
        from graphflow.messages.types import output_check, type_name

        if not isinstance(name, str) or not name.isidentifier():
            raise DeclarationError(
                f"State({name!r}): the name must be an identifier, as in 'notes'"
            )
        if isinstance(type, _PLAIN_VALUES):
            raise DeclarationError(
                f"state {name!r}: type={type!r} must be a type, as in State({name!r}, list[str])"
            )
        if merge is not None and not callable(merge):
            raise DeclarationError(
                f"state {name!r}: merge={merge!r} must be a function of the value and what is added"
            )
        if scope not in SCOPES:
            raise DeclarationError(f"state {name!r}: scope={scope!r} must be one of {SCOPES}")
        self.name = name
        self.scope: StateScope = scope
        self.type: Type = type
        self.merge = merge
        self._expected, self._fits = output_check(type)  # type: ignore[arg-type]  # every type can be a key
        if start is not UNSET and not self.accepts(start):
            raise DeclarationError(
                f"state {name!r}: start={start!r} is not of its type {type_name(type)}"
            )
        self.start: V | _Unset = copy_of(start)
        self.hidden = False
        """Whether it is none that people have declared: what an agent has said, for itself."""
        self.tools: dict[WriteKind, object] = {}
        """The tools by which agents write it, once they are made."""

    def __repr__(self) -> str:
        return f"State({self.name!r}, {self.kind})"

    def __rrshift__(self, nodes: object) -> NoReturn:
        raise DeclarationError(
            f"an arrow that writes state {self.name!r} leaves one node: write an arrow for each, as in "
            f"first >> {self.name}, second >> {self.name}"
        )

    @property
    def kind(self) -> str:
        """Its type, in words."""
        from graphflow.messages.types import type_name

        return type_name(self.type)

    def __eq__(self, other: object) -> bool:
        """Whether two are one and the same state: of that name, type and merge. Start and scope are for the owner to say."""
        if not isinstance(other, State):
            return NotImplemented
        return (self.name, self.type, self.merge) == (other.name, other.type, other.merge)

    def __hash__(self) -> int:
        return hash(self.name)

    def accepts(self, value: object) -> bool:
        """Whether a value is of its type."""
        return value.__class__ is self._expected or self._fits is None or self._fits(value)


AnyState: TypeAlias = State[Any]
"""A state where it does not matter what it holds."""


class StateWrite(NamedTuple):
    """What one node has written: which state, whether it replaces or is merged, and the value."""

    state: AnyState
    kind: WriteKind
    value: Any


StateWrites: TypeAlias = tuple[StateWrite, ...]
"""What was written, in order."""


def check_fits(state: AnyState, value: object) -> None:
    """Refuses what is not of a state's type.

    Raises:
        StateInvalid: it is not.
    """
    if state.accepts(value):
        return
    from graphflow.messages.types import type_name

    found = type_name(type(value))
    raise StateInvalid(f"{found} was written into state {state.name!r}, which is {state.kind}")


def after(state: AnyState, value: Any, writes: Sequence[StateWrite]) -> Any:
    """The value of a state after some writes to it, one after the other.

    Args:
        state: the state.
        value: before them; `UNSET` if it has none.
        writes: to this state.

    Raises:
        MergeFailed: its merge raised, or made something of another type.
    """
    place = 0
    while place < len(writes):
        write = writes[place]
        if write.kind == "set":
            value = write.value
            place += 1
            continue
        # What is added in a row is merged in one go where the merge knows how: a list of thousands is copied once.
        end = place
        while end < len(writes) and writes[end].kind == "add":
            end += 1
        # A walk that only replays facts merges nothing: it is not asked for values.
        if value is not UNKNOWN:
            added = [each.value for each in writes[place:end]]
            value = _merged(state, value, added)
        place = end
    return value


def _merged(state: AnyState, value: Any, added: Sequence[Any]) -> Any:
    merge = state.merge
    assert merge is not None  # adding was refused else
    if value is UNSET:
        raise MergeFailed(
            state.name, "it has no value to add to; give it start=..., or set it first"
        )
    bulk = getattr(merge, "bulk", None)
    try:
        if bulk is not None:
            value = bulk(value, added)
        else:
            value = _merged_one_by_one(merge, value, added)
    except Exception as error:
        raise MergeFailed(
            state.name, f"its merge raised {type(error).__name__}: {error}"
        ) from error
    if not state.accepts(value):
        found = type(value).__name__
        raise MergeFailed(state.name, f"its merge made {found} of it, not {state.kind}")
    return value


def _merged_one_by_one(merge: MergeFunction, value: object, added: Sequence[object]) -> object:
    """What a user's function makes of them."""
    from graphflow.messages.copies import copy_of

    # It is given copies: one that changes its arguments must not change the past, nor what others see.
    value = copy_of(value)
    for each in added:
        value = merge(value, copy_of(each))
    return value
