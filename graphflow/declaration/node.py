"""A node: a named, stateless unit of work with typed input ports and one output type. The seam is `activate`.

Rules:
1. A node is a value: it never changes, may stand in many graphs, and keeps no state of any run.
2. The executor knows a node only by what is on this page; kinds differ in `activate` alone.
3. `direct` is a shortcut, not another meaning: awaiting `direct(message)` does what `activate` would.

A kind of one's own is a class:

    class Suffix(Node[str, str]):
        kind = "suffix"
        suffix: str

        def __init__(self, name: str, *, suffix: str) -> None:
            self._declare(name, ports=(Port("text", str),), output=str)
            self._set(suffix=suffix)

        async def activate(self, inputs: Inputs, ctx: Context) -> str:
            return inputs["text"] + self.suffix
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from enum import Enum
from functools import cached_property
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Generic,
    Literal,
    Self,
    TypeAlias,
    TypeVar,
    Unpack,
    overload,
)

from graphflow.access import Access
from graphflow.declaration.arrows import (
    Arm,
    Entry,
    ForkPolicy,
    In,
    Into,
    NoArm,
    Origin,
    Out,
    Terminal,
    Test,
    _check_guard,
    _check_policy,
)
from graphflow.declaration.context import Context
from graphflow.declaration.guards import Guards
from graphflow.declaration.hooks import NO_HOOKS, Hooks
from graphflow.declaration.options import NO_OPTIONS, NodeOptions, Retry, read_options
from graphflow.declaration.ports import Port
from graphflow.errors import DeclarationError, NotReachable
from graphflow.keywords import Keywords, check, keywords_of, present_names
from graphflow.limits import Limits, Meter, Quota
from graphflow.messages.state import AnyState, WriteKind
from graphflow.messages.types import Type, type_name
from graphflow.model.conversation import Remembers
from graphflow.model.seam import Model
from graphflow.policy import Effect, Policy
from graphflow.values import check_values

if TYPE_CHECKING:
    from pydantic import BaseModel


A = TypeVar("A")
B = TypeVar("B")
Label: TypeAlias = str | int | Enum
"""What names an arm that is not a type: a text, a number or a truth of a `Literal`, or a member of an enum."""


Direct = Callable[[Any], Coroutine[Any, Any, Any]]
"""What is awaited with the message, where an activation is nothing else."""
Isolation = Literal["isolated", "shared", "forked"]
"""What a sub-agent sees of its caller's conversation: nothing, the very same, or a copy."""


REMARKABLE = (
    "problems",
    "unanswered",
    "in_background",
    "source",
    "calls",
    "handoffs",
    "before",
    "after",
    "reads",
    "adds",
    "sets",
    "remembers",
    "untrusted",
    "takes_untrusted",
)
"""Attributes of a node of which a graph has something to prove, where they are not empty."""
OWN_PROOFS = ("entry", "within", "check_arrivals", "check_beside")
"""What a kind writes that has something to be proven of its own, or has other nodes behind it."""


class Node(Entry[In, Out], Generic[In, Out]):
    """The base of every kind of node. Immutable; compare by value."""

    _keywords: ClassVar[Keywords]
    kind: ClassVar[str] = "node"
    enters: ClassVar[Literal["never", "called", "always"]] = "never"
    """Whether an activation pushes a frame: a graph always does, an agent when it is called."""
    meter: ClassVar[Meter | None] = None
    """What a call of this node counts as, besides a step."""
    prepares: ClassVar[bool] = False
    """Whether `prepare()` has something to find out before a run begins."""
    asks_outside: bool = False
    """Whether it waits for an answer from outside: of a person whom nobody in the process reaches, of another program."""
    model: Model | str | None = None
    """The model it asks, or its name; None: it asks none, or that of its graph."""
    source: ClassVar[bool] = False
    """Whether it stands for other nodes, which are only known when a run begins (the tools of a server)."""
    handoffs: tuple[Any, ...] = ()
    effects: frozenset[Effect] = frozenset()
    undeclared: bool = True
    """Whether nobody has said what it does to the world."""
    access: Access | None = None
    """What it declares of the files and hosts that its arguments name; None: it reaches none by itself."""
    concurrency_safe: bool = True
    isolation: Isolation = "isolated"
    remembers: Remembers | None = None
    """What it is shown of what was said before; None: all of a conversation where the message of its graph reaches it."""
    in_background: bool = False
    inherits_deps: bool = True
    """Whether what is entered behind it gets its caller's dependencies."""
    unanswered: tuple[str, ...] = ()
    """What is wrong with it where its answer travels on an edge; where it is only called, nothing is."""
    untrusted: bool = False
    """Whether what it answers is untrusted content: it came from outside."""
    takes_untrusted: bool = False
    """Whether what it is given is, whoever gives it."""
    checks: bool = False
    """Whether what it answers has been checked, whatever it was made of: by a person, or by code that says so."""
    keeps_in: object | None = None
    """Where it keeps what it is given, for others to find."""
    finds_in: object | None = None
    """Where it finds what it answers."""
    before: Guards = ()
    """What judges the messages that it is given."""
    after: Guards = ()
    """What judges its answers."""
    hooks: Hooks = NO_HOOKS
    """What changes its messages and answers, and what its model is asked and says."""
    wants_deps: Type | None = None
    """The type of the dependencies that its code wants (`Context[Shop]`); None: it does not say."""
    wants_secrets: tuple[str, ...] = ()
    """The secrets of the run that its code is given."""
    sees_run: bool = True
    """Whether its answer may depend on the run: its dependencies, session, model, policies."""

    name: str
    ports: tuple[Port, ...]
    output: Type
    description: str = ""
    calls: tuple[Callee, ...] = ()
    retry: Retry | None = None
    timeout_s: float | None = None
    cache: bool | float = False
    policy: Policy | None = None
    approval: bool | Test = False
    approval_timeout_s: float | None = None
    quota: Quota | None = None
    reads: tuple[AnyState, ...] = ()
    adds: tuple[AnyState, ...] = ()
    sets: tuple[AnyState, ...] = ()
    plain: bool = True
    """Whether an activation needs none of the care that the options above ask for."""
    problems: tuple[str, ...] = ()
    where: tuple[str, int] | None
    """File and line of its declaration, where they are known."""
    passes_input: bool = False
    """Whether what travels on is the node's input and its output only says where: for routers by labels alone.

    A node that sends on what it got declares its output as the type of its port.
    """
    direct: Direct | None = None
    _names_before: tuple[str, ...] = ()
    """The names that it had before `.named()`, the latest first."""
    _as_graph: AnyNode | None = None
    """The graph that it is by itself, once it has been entered as a frame (`solo`)."""

    if not TYPE_CHECKING:  # a checker goes by the `__init__` of each kind, which says more

        def __new__(cls, *given: object, **options: object) -> AnyNode:
            """Refuses what the kind does not take, before its own checks wonder at what is missing."""
            _check_call(cls, given, options)
            return object.__new__(cls)

    def _declare(
        self,
        name: str,
        *,
        ports: tuple[Port, ...],
        output: Type,
        description: str = "",
        calls: Sequence[Callee] = (),
        problems: tuple[str, ...] = (),
        passes_input: bool = False,
        direct: Direct | None = None,
        where: tuple[str, int] | None = None,
        **options: Unpack[NodeOptions],
    ) -> None:
        if (
            not isinstance(name, str)
            or not name
            or name != name.strip()
            or name in ("START", "END")
        ):
            raise DeclarationError(
                f"a node cannot be named {name!r}; give it a non-empty name other than START and END"
            )
        for callee in calls:
            if not isinstance(callee, (Node, str)):
                raise DeclarationError(
                    f"{self.kind} {name!r} calls {callee!r}, which is not a node; decorate functions with @tool"
                )
        rare = {
            "description": description,
            "calls": tuple(calls),
            "problems": problems,
            "passes_input": passes_input,
            "direct": direct,
        }
        # What is as it is with most nodes stands on the class: ten thousand of them are made in one go, and looked at by
        # Python's collector again and again.
        own = {attribute: value for attribute, value in rare.items() if value}
        self._set(name=name, ports=ports, output=output, where=where, **own)
        if options:
            self._tune(options)

    def _tune(self, options: NodeOptions) -> None:
        """Writes the options that every kind takes, checked."""
        whose = f"{self.kind} {self.name!r}"
        own = read_options(whose, options)
        plain = not any(own[option] for option in _FOR_ATTEMPTS)
        direct = self.direct if plain else None
        self._set(**own, plain=plain, direct=direct)

    def _set(self, **attributes: object) -> None:
        """Writes attributes while the node is made; nobody else does, and nothing does afterwards."""
        self.__dict__.pop("is_simple", None)
        self.__dict__.update(attributes)

    async def activate(self, inputs: Inputs, ctx: Context) -> Out:
        """One run of this node for one set of port values.

        A new kind of node writes this and an `__init__` that calls `_declare`, then `_set` for what is its own.
        """
        raise NotImplementedError

    @cached_property
    def is_simple(self) -> bool:
        """Whether a graph has nothing to prove of the node but what its types say: nearly all of a large graph are so."""
        if (
            self.enters != "never"
            or not self.ports
            or any(getattr(self, name) for name in REMARKABLE)
        ):
            return False
        return all(getattr(type(self), name) is getattr(Node, name) for name in OWN_PROOFS)

    @property
    def touched(self) -> tuple[AnyState, ...]:
        """The states that its own code reads or writes."""
        return (*self.reads, *self.adds, *self.sets)

    @property
    def lasting_states(self) -> tuple[AnyState, ...]:
        """Those that it owns and that live as long as a conversation."""
        return ()

    @property
    def needed_states(self) -> tuple[AnyState, ...]:
        """Those that must have a value before it is activated, beside what its own code reads."""
        return ()

    def writes_to(self, state: AnyState) -> set[WriteKind]:
        """How its own code writes a state."""
        kinds: set[WriteKind] = set()
        if state in self.adds:
            kinds.add("add")
        if state in self.sets:
            kinds.add("set")
        return kinds

    @property
    def side_effects(self) -> frozenset[Effect]:
        """What it is declared to do to the world, beside reading it."""
        return self.effects - {"reads"}

    def entry(self) -> tuple[AnyNode, Limits | None]:
        """What is walked when this node is entered as a frame, and the limits of that call edge."""
        return self, None

    @property
    def asks_model(self) -> bool:
        """Whether an activation may ask a model."""
        return False

    @property
    def askers(self) -> tuple[AnyNode, ...]:
        """Who asks a model when this is activated: it, or nodes that stand in it."""
        return (self,) if self.asks_model else ()

    @property
    def max_model_calls(self) -> int:
        """How many questions to models one activation asks at most."""
        return 1 if self.asks_model else 0

    def prepare(self) -> None:
        """Finds out before a run begins whether the node can work at all (`prepares`); raises, if it cannot."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every name it goes by, its own first: those before `.named()`, and those of what is walked in its place.

        Policies look at all of them, so that no wrapper is a way around a list.
        """
        names = [self.name, *self._names_before]
        target, _ = self.entry()
        if target is not self:
            names += target.names
        return tuple(dict.fromkeys(names))

    @property
    def asked_once(self) -> bool:
        """Whether a retry of its caller takes over the answer of a finished call instead of calling again.

        So it is with everything that may have done something to the world: unless it says that it only reads, or does
        nothing, nobody knows. What enters a frame or asks a model is done again; the calls in there are looked at one by one.
        """
        if self.in_background:
            return True
        if self.enters != "never" or self.asks_model:
            return False
        return self.undeclared or not self.effects <= {"reads"}

    def read(self, given: object) -> object:
        """What the node is given along a call edge, checked before a policy looks at it and before anything is done.

        Raises:
            ArgumentsInvalid: it does not fit.
        """
        return given

    def child_deps(self, deps: object) -> object:
        """The dependencies of the frame that this node enters, from its caller's."""
        return deps

    def within(self) -> tuple[AnyNode, ...]:
        """Nodes that stand behind this one and belong to the same graph (the target of a sub-agent)."""
        return ()

    def check_arrivals(self, incoming: Sequence[Type], deps: Type | None) -> list[str]:
        """What is wrong with this node, given the types of the messages that its edges bring."""
        return []

    def check_beside(self, names: Collection[str]) -> list[str]:
        """What is wrong with this node, given the names of the nodes of its graph."""
        return []

    def settle(self) -> None:
        """Reads annotations again that named something not defined yet when the node was declared."""

    def named(self, name: str) -> Self:
        """The same node under another name, so that it can stand in one graph twice."""
        if not isinstance(name, str) or not name or name in ("START", "END"):
            raise DeclarationError(f"a node cannot be named {name!r}")
        before = (self.name, *self._names_before)
        # Found out once for the thousands of twins that a node may have.
        return self.twin(name=name, _names_before=before, is_simple=self.is_simple)

    def twin(self, **changed: object) -> Self:
        """The same node but for these attributes. Internal to kinds and variants."""
        # A copy, not a new declaration: what the kind has checked and read of its function holds.
        twin = object.__new__(type(self))
        attributes = self.__dict__ | changed
        attributes.pop("_as_graph", None)  # the graph that the other one is by itself
        if "is_simple" not in changed:
            attributes.pop("is_simple", None)
        object.__setattr__(twin, "__dict__", attributes)
        return twin

    def guarded(self, before: Guards, after: Guards) -> Self:
        """The same node with guards around those that it has. Internal to `graphflow.security`."""
        return self.twin(
            before=(*before, *self.before), after=(*self.after, *after), plain=False, direct=None
        )

    def into(self, port: str) -> Into[Any, Out]:
        """This node, entered at the port of that name."""
        names = [each.name for each in self.ports]
        if port not in names:
            have = ", ".join(names) or "none"
            raise DeclarationError(f"{self.name!r} has no port {port!r}; its ports are: {have}")
        return Into(self, port)

    # A node that sends models has no labels, and no arms of plain types. That a model is none of those that it sends, no
    # type checker can be told: the graph says so when it is built.
    @overload
    def __getitem__(self: Node[A, BaseModel], arm: Label | type[str | int | float], /) -> NoArm: ...  # type: ignore[overload-overlap]
    @overload
    def __getitem__(self, arm: type[B], /) -> Arm[In, B]: ...
    @overload
    def __getitem__(self, arm: Label | UnionType | None, /) -> Arm[In, Any]: ...
    def __getitem__(self, arm: object, /) -> Arm[In, Any] | NoArm:
        if arm is None:
            arm = type(None)
        return Arm(Origin(self, arm=arm))

    @property
    def each(self: Node[A, list[B]]) -> Arm[A, B]:
        """The items of this node's list, one activation each."""
        return Arm(Origin(self, each=True))

    def when(self, test: Test) -> Arm[In, Out]:
        """This node's message, if `test(message)` holds and no guard written before it did."""
        guard = _check_guard(test)
        return Arm(Origin(self, guard=guard))

    @property
    def otherwise(self) -> Arm[In, Out]:
        """This node's message, if none of its guards holds."""
        return Arm(Origin(self, guard="otherwise"))

    def limit(self, laps: int) -> Arm[In, Out]:
        """This node's message, at most `laps` times within one entry of its loop."""
        return Arm[In, Out](Origin(self)).limit(laps)

    def fork(self, policy: ForkPolicy) -> Arm[In, Out]:
        """What a failing branch of this node's fan-out does to its siblings."""
        fork = _check_policy(policy)
        return Arm(Origin(self, fork=fork))

    def _entry(self) -> tuple[AnyNode | Terminal, str | None]:
        return self, None

    def _exits(self) -> tuple[Origin, ...]:
        return (Origin(self),)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{self!r} is immutable; declare another node, or use .named()")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{self!r} is immutable")

    def _value(self) -> tuple[object, ...]:
        """What makes two nodes the same one."""
        value: list[tuple[str, object]] = []
        made = self.__dict__.get(FACTORY_CALL)
        for name, attribute in self.__dict__.items():
            if name.startswith("_") or name in _NOT_OF_ITS_VALUE:
                continue
            # Each call of a factory has functions of its own, and the call says what they are.
            if made is not None and name in _OF_ITS_FUNCTION:
                continue
            value.append((name, attribute))
        return (*value, made)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(self) is not type(other):
            return False
        return self._value() == other._value()

    def __hash__(self) -> int:
        # By name alone: what else is compared may hold lists and models, which have no hash.
        return hash((type(self), self.name))

    def __repr__(self) -> str:
        ports: list[str] = []
        for port in self.ports:
            kind = type_name(port.type)
            ports.append(f"{port.name}: {kind}")
        taken = ", ".join(ports)
        answer = type_name(self.output)
        return f"<{self.kind} {self.name}({taken}) -> {answer}>"


AnyNode: TypeAlias = Node[Any, Any]
"""A node where it does not matter what it takes and answers."""
Callee: TypeAlias = AnyNode | str
"""What may be called: a node, or the name of one in the same graph."""
Inputs: TypeAlias = Mapping[str, Any]
"""What a node is given, by port."""

_FOR_ATTEMPTS = ("retry", "timeout_s", "cache", "approval", "quota")
"""Options for which an activation is more than a call of the node's function."""
FACTORY_CALL = "_factory_call"
"""Under which name a node has the call of a factory that it came of."""
_OF_ITS_FUNCTION = frozenset({"access", "arguments", "function", "ports"})
"""What is not looked at where a factory has made a node: its function, and what is read or said of that anew each time."""
_NOT_OF_ITS_VALUE = frozenset({"direct", "is_simple", "problems", "where"})
"""What two equal nodes may differ in: how a call is made, where and how well each was declared, what was asked of one already."""


def _check_call(
    kind: type[AnyNode], given: Sequence[object], options: Mapping[str, object]
) -> None:
    """Refuses keywords that a kind of node does not have, values beyond the last place, and calls that lack something."""
    # With the class, so that it is kept no longer.
    known: Keywords | None = kind.__dict__.get("_keywords")
    if known is None:
        known = kind._keywords = keywords_of(kind.__init__, NO_OPTIONS, kind.kind)
    if known.fits(given, options) or not (given or options):  # a copy is made without any arguments
        return
    first = given[0] if given else options.get("name", "")
    called = _name_in_call(first)
    whose = f"{kind.kind} {called!r}" if called else f"{kind.__name__}(...)"
    options = present_names(whose, kind.kind, options)
    check(whose, known, given, options, kind.kind)
    by_place = zip(known.places, given, strict=False)
    check_values(whose, kind.kind, (*by_place, *options.items()))


def _name_in_call(first: object) -> object:
    """What a node is going to be called, by its first argument: a name, a function, or another node."""
    if isinstance(first, str):
        return first
    own = getattr(first, "name", "")
    return getattr(first, "__name__", own)


def read_message(node: AnyNode, message: object) -> object:
    """What a node is given along a call edge, from a message that code has made."""
    return node.read(message)


def find_callee(caller: AnyNode, callee: Callee, reachable: Sequence[AnyNode]) -> AnyNode:
    """The node that `callee` means among those that `caller` has a call edge to.

    Raises:
        NotReachable: there is none; the text lists those there are.
    """
    wanted = callee if isinstance(callee, str) else callee.name
    for node in reachable:
        if node.name != wanted:
            continue
        if isinstance(callee, str) or node == callee:
            return node
        target, _ = node.entry()
        if target == callee:
            return node
    have = ", ".join(node.name for node in reachable) or "nothing"
    raise NotReachable(
        f"{caller.name!r} has no call edge to {wanted!r}; it can reach: {have}. Add it to calls=[...] (or tools=[...])"
    )


def sole_message(inputs: Mapping[str, object]) -> object:
    """What a node was given: its message, or the messages by port."""
    if len(inputs) != 1:
        return inputs
    return next(iter(inputs.values()))
