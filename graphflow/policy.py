"""What may be called, and who is asked before: policies and approvals.

Rules:
1. Policies only take away. Along a walk they intersect: a call needs the consent of the run's, of every graph's around it,
   and of the caller's own.
2. They judge by name and by the effects that a node declares, never by what its arguments happen to be called; `check`
   sees arguments that have been validated already.
3. What a policy refuses whatever the arguments are is not offered to a model at all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from inspect import iscoroutinefunction
from typing import Any, Literal, get_args

from graphflow.errors import DeclarationError

Effect = Literal["reads", "writes", "network", "executes"]
EFFECTS: tuple[Effect, ...] = get_args(Effect)
"""What a node may do to the world: read or write what outlives the run, talk to other machines, run programs."""


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
    """

    node: str
    kind: str
    effects: frozenset[Effect]
    arguments: Any
    path: tuple[str, ...]
    key: str
    target: str = ""


Approve = Callable[[Use], Awaitable[bool | str] | bool | str]
"""Asks whether a call may be made: True = yes, False = no, a text = no, and why (the caller reads it). Async, or plain: then
it is asked in a thread, and may block."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be called.

    Attributes:
        allow: names that may be called, `*` and `?` stand for any text; None = all.
        deny: names that may not, whatever else says so; those of the targets of sub-agents count, too.
        effects: effects that a node may declare; None = all, () = only nodes without any.
        check: a function of the call that returns why it is refused, or None.
    """

    allow: Sequence[str] | None = None
    deny: Sequence[str] = ()
    effects: Sequence[Effect] | None = None
    check: Callable[[Use], str | None] | None = None

    def __post_init__(self) -> None:
        for name in ("allow", "deny", "effects"):
            value = getattr(self, name)
            if isinstance(value, str):
                raise DeclarationError(f"Policy({name}={value!r}): give a list, not one text")
            if value is not None:
                object.__setattr__(self, name, tuple(value))
        check_effects("Policy", self.effects or ())
        if self.check is not None and (not callable(self.check) or iscoroutinefunction(self.check)):
            raise DeclarationError(f"Policy(check={self.check!r}): give a plain function of the call")

    def refuses(self, name: str, effects: frozenset[Effect], target: str = "") -> str | None:
        """Why a node of that name (and of a target of another name) may never be called; None if that depends."""
        for denied in (name, target or name):
            if any(fnmatchcase(denied, pattern) for pattern in self.deny):
                return f"the policy denies {denied!r}"
        if self.allow is not None and not any(fnmatchcase(name, pattern) for pattern in self.allow):
            return f"the policy allows only {', '.join(self.allow) or 'nothing'}"
        beyond = [] if self.effects is None else sorted(effects - set(self.effects))
        if beyond:
            return f"{name!r} {' and '.join(beyond)}, and the policy allows {', '.join(self.effects or ()) or 'no effects'}"
        return None

    def judge(self, use: Use) -> str | None:
        """Why this call is refused, or None."""
        return self.refuses(use.node, use.effects, use.target) or (None if self.check is None else self.check(use))


def check_effects(whose: str, effects: Sequence[Any]) -> frozenset[Effect]:
    """The effects, if each is one."""
    for effect in effects:
        if effect not in EFFECTS:
            raise DeclarationError(f"{whose}: {effect!r} is no effect; there are: {', '.join(EFFECTS)}")
    return frozenset(effects)
