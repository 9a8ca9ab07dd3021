"""What may be called, and who is asked before: policies and approvals.

Rules:
1. Policies only take away. Along a walk they intersect: a call needs the consent of the run's, of every graph's around it,
   and of the caller's own.
2. They judge by name and by the effects that a node declares, never by what its arguments happen to be called; `check`
   sees arguments that have been validated already.
3. `deny` holds for everything that is about to be activated, along a call edge, a hand-over or an arrow, and for every name
   of it: what it is called here, what it was called before `.named()`, and what stands behind a sub-agent or a server's
   prefix. Otherwise a wrapper would be the way around the list. `allow` looks at the name it is called by.
4. `allow`, `effects` and `check` are about calls, and about what on an arrow does something to the world: tools, and nodes
   with effects. A step or an agent on an arrow is the graph's own course; only `deny` takes it away.
5. What a policy refuses whatever the arguments are is not offered to a model at all.
6. `paths`, `write_paths` and `hosts` hold what tools declare of their arguments (`access.py`). Where one of them is given, a tool
   that may reach files, or hosts, and does not say which is refused: nobody could tell.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from inspect import iscoroutinefunction
from typing import Any, Final, Literal, get_args

from pydantic import model_validator

from graphflow.access import Access, AccessRules
from graphflow.errors import DeclarationError
from graphflow.keywords import strict_keywords
from graphflow.messages.message import Message

Effect = Literal["reads", "writes", "network", "executes"]
EFFECTS: tuple[Effect, ...] = get_args(Effect)
"""What a node may do to the world: read or write what outlives the run, talk to other machines, run programs."""
EFFECT_VERBS: Mapping[Effect, str] = {
    "reads": "reads",
    "writes": "writes",
    "network": "uses the network",
    "executes": "runs programs",
}


def effect_words(effects: Collection[object]) -> str:
    """What somebody reads who is asked to agree to a call: "reads and uses the network"; "" where it does nothing that counts."""
    verbs = [verb for effect, verb in EFFECT_VERBS.items() if effect in effects]
    return " and ".join(verbs)


@dataclass(frozen=True, slots=True)
class Use:
    """One call that is about to be made.

    Attributes:
        node: the name of what is called.
        kind: its kind ("tool", "agent"...).
        effects: what it declares to do.
        arguments: what it is given, validated.
        path: names of the frames around the caller.
        key: a name of this very call that stays the same when it is tried again.
        target: the name of what is behind a sub-agent that has another name; else the same as `node`.
        names: every name of what is called: `node` first, then what it was called before and what stands behind it.
        access: what it declares of the files and hosts that its arguments name; None = it reaches none by itself.
    """

    node: str
    kind: str
    effects: frozenset[Effect]
    arguments: Any
    path: tuple[str, ...]
    key: str
    target: str = ""
    names: tuple[str, ...] = ()
    access: Access | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths that its arguments name, as far as it declares which do."""
        return () if self.access is None else self.access.paths_in(self.arguments)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that its arguments name, as far as it declares which do."""
        return () if self.access is None else self.access.hosts_in(self.arguments)


class Approval(Message):
    """What somebody says of a call that needs approval: `allow`, `deny("why")`, `edit({...})` or `always`.

    Attributes:
        consent: "allow" and "always" are a yes, for this call and for all further ones of the node in this run; "edit" is a
            yes to other arguments, which are checked and judged as the first were; "deny" is a no.
        reason: why not; the caller reads it.
        arguments: what the call is made with instead.
    """

    consent: Literal["allow", "deny", "edit", "always"]
    reason: str = ""
    arguments: Any = None

    @model_validator(mode="before")
    @classmethod
    def _read(cls, given: Any) -> Any:
        """True is a yes, and the words of a yes are one. Whatever else is said plainly is a no, and why."""
        if given is True:
            return {"consent": "allow"}
        if given is False or given is None:
            return {"consent": "deny"}
        if isinstance(given, str):
            if given in ("allow", "always"):
                return {"consent": given}
            return {"consent": "deny", "reason": "" if given == "deny" else given}
        return given


allow = Approval(consent="allow")
always = Approval(consent="always")


def deny(reason: str = "") -> Approval:
    """The call is not made; the caller reads why."""
    return Approval(consent="deny", reason=reason)


def edit(arguments: Any) -> Approval:
    """The call is made with other arguments."""
    return Approval(consent="edit", arguments=arguments)


class Undecided(Enum):
    """The type of `undecided`."""

    UNDECIDED = "undecided"


undecided: Final = Undecided.UNDECIDED
"""What a function says that leaves the decision to others: it is asked as if there were no function."""

ApprovalAnswer = bool | str | Approval | Undecided
Approve = Callable[[Use], Awaitable[ApprovalAnswer] | ApprovalAnswer]
"""Asks whether a call may be made: True = yes, False = no, a text = no, and why (the caller reads it); or an `Approval`, or
`undecided`. Async, or plain: then it is asked in a thread, and may block."""


@strict_keywords
@dataclass(frozen=True, slots=True)
class Policy:
    """What may be called.

    Attributes:
        allow: names that may be called, `*` and `?` stand for any text; None = all.
        deny: names that may not, whatever else says so, on arrows as well; every name of what is called counts: those of
            the targets of sub-agents, however deep, those before `.named()`, a server's own names and its tools' own.
        effects: effects that a node may declare; None = all, () = only nodes without any.
        paths: folders that the files of tools must lie in, as tools declare them (`@tool(paths=[...])`); None = anywhere.
        write_paths: the same for tools that write or run programs; None = as `paths` says.
        hosts: hosts that tools may reach, as tools declare them (`@tool(hosts=[...])`), `*.example.org` stands for any below;
            None = all.
        check: a function of the call that returns why it is refused, or None.
    """

    allow: Sequence[str] | None = None
    deny: Sequence[str] = ()
    effects: Sequence[Effect] | None = None
    check: Callable[[Use], str | None] | None = None
    paths: Sequence[str] | None = None
    write_paths: Sequence[str] | None = None
    hosts: Sequence[str] | None = None

    def __post_init__(self) -> None:
        for name in ("allow", "deny", "effects", "paths", "write_paths", "hosts"):
            given = getattr(self, name)
            if isinstance(given, str):
                raise DeclarationError(f"Policy({name}={given!r}): give a list, not one text")
            if given is not None:  # a list of the caller's could be changed later
                object.__setattr__(self, name, tuple(map(str, given)))
        check_effects("Policy", self.effects or ())
        if self.check is None:
            return
        if iscoroutinefunction(self.check) or not callable(self.check):
            raise DeclarationError(
                f"Policy(check={self.check!r}): give a plain function of the call"
            )

    def denies(self, names: Sequence[str]) -> str | None:
        """Why a node that goes by these names may not be activated at all, or None."""
        for name in names:
            if _matches(name, self.deny):
                return f"the policy denies {name!r}"
        return None

    @property
    def access_rules(self) -> AccessRules:
        """What it says of files and hosts."""
        return AccessRules(self.paths, self.write_paths, self.hosts)

    def refuses_path(self, path: str, *, changes: bool = False) -> str | None:
        """Why a file may not be reached, or changed; None if it may."""
        return self.access_rules.refuses_path(path, changes=changes)

    def refuses_host(self, address: str) -> str | None:
        """Why a host may not be reached, or None."""
        return self.access_rules.refuses_host(address)

    def refuses_silence(
        self, name: str, effects: frozenset[Effect], access: Access | None
    ) -> str | None:
        """Why a node may never be called that reaches files or hosts and does not say which; None if it says so, or need not."""
        if access is None:
            return None
        return self.access_rules.unsaid(name, effects, access)

    def refuses(
        self, name: str, effects: frozenset[Effect], others: Sequence[str] = ()
    ) -> str | None:
        """Why a node of that name (and of other names, inside) may never be called; None if that depends."""
        # What is denied, first: no other rule gives it back.
        denied = self.denies((name, *others))
        if denied is not None:
            return denied
        if self.allow is not None and not _matches(name, self.allow):
            allowed = ", ".join(self.allow) or "nothing"
            return f"the policy allows only {allowed}"
        if self.effects is None:
            return None
        beyond = sorted(effects.difference(self.effects))
        if not beyond:
            return None
        does = " and ".join(beyond)
        allowed = ", ".join(self.effects) or "no effects"
        return f"{name!r} {does}, and the policy allows {allowed}"

    def judge(self, use: Use) -> str | None:
        """Why this call is refused, or None."""
        target = use.target or use.node
        refused = self.refuses(use.node, use.effects, (target, *use.names))
        access = use.access
        if refused is None:
            refused = self.refuses_silence(use.node, use.effects, access)
        if refused is None and access is not None:
            # What nobody limits is not even looked for among the arguments.
            refused = self.access_rules.refuses(access, use.effects, use.arguments)
        # `check` is asked last, so that it never sees a call that the lists have refused.
        if refused or self.check is None:
            return refused
        return self.check(use)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def check_effects(whose: str, effects: Sequence[str]) -> frozenset[Effect]:
    """The effects, if each is one."""
    for effect in effects:
        if effect not in EFFECTS:
            have = ", ".join(EFFECTS)
            raise DeclarationError(f"{whose}: {effect!r} is not an effect; there are: {have}")
    return frozenset(effect for effect in EFFECTS if effect in effects)


def also(policies: tuple[Policy, ...], *more: Policy | None) -> tuple[Policy, ...]:
    """Policies and more of them, each asked once."""
    for policy in more:
        if policy is None:
            continue
        is_known = any(policy is known for known in policies)
        if not is_known:
            policies = (*policies, policy)
    return policies
