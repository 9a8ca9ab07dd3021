"""What every kind of node takes: how often it is tried again, how long it may take, who may call it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import iscoroutinefunction
from types import NoneType
from typing import TypedDict

from graphflow._faces import former_name
from graphflow.declaration.arrows import Test
from graphflow.errors import DeclarationError, GraphflowError, ModelError
from graphflow.keywords import refuse, strict_keywords
from graphflow.limits import Quota
from graphflow.messages.state import AnyState, State
from graphflow.policy import Policy


@strict_keywords
@dataclass(frozen=True, slots=True)
class Retry:
    """How often a failing node is tried again, and how long to wait before.

    An error that says how long to wait (`retry_after`) is given at least that time, and no further attempt if it asks for
    more than `max_wait_s`. One that says that trying again is useless (`retryable=False`) is raised at once, unless `on`
    names its class. A tool may ask for its retry itself, with `raise ToolError(..., retry=Retry(...))`: that one holds
    instead of the node's; `on` and `retryable` have no say then, `max_wait_s` has.

    Attributes:
        attempts: tries in all, the first included.
        wait_s: seconds before the second attempt, at least.
        factor: what the wait is multiplied with for each further attempt.
        max_wait_s: seconds a wait is at most, before jitter.
        on: the exceptions that are worth another attempt.
        jitter: share by which a wait may be longer, at random, so that those who failed together do not come back together.
    """

    attempts: int = 3
    wait_s: float = 0.5
    factor: float = 2.0
    max_wait_s: float = 30.0
    on: tuple[type[Exception], ...] = (Exception,)
    jitter: float = 0.1
    most_s = former_name("most_s", "max_wait_s")

    def __post_init__(self) -> None:
        too_few = self.attempts < 1 or self.factor < 1
        too_short = self.wait_s < 0 or self.max_wait_s < 0 or self.jitter < 0
        if too_few or too_short:
            raise DeclarationError(
                f"{self!r}: attempts and factor are at least 1, waits and jitter at least 0"
            )

    def wants(self, error: Exception) -> bool:
        """Whether another attempt is worth it after this error."""
        named = [kind for kind in self.on if isinstance(error, kind)]
        if not named or not self.may_wait(error):
            return False
        # An error that calls itself final is believed, unless somebody has asked for a retry of its very kind.
        by_name = any(kind not in _ANY_ERROR for kind in named)
        if by_name:
            return True
        return getattr(error, "retryable", None) is not False

    def may_wait(self, error: Exception) -> bool:
        """Whether the wait that an error asks for is not too long."""
        wait_s = self._asked_for(error)
        return wait_s <= self.max_wait_s

    def wait_before(
        self, attempt: int, error: BaseException | None = None, chance: float = 0.0
    ) -> float:
        """Seconds to wait before attempt number `attempt` (2, 3, ...).

        Args:
            attempt: the number of the attempt.
            error: what the attempt before it failed with.
            chance: 0 to 1: how much of the jitter is added.
        """
        waits_before = min(attempt - 2, 64)  # a power of more than that is not a float any more
        growing = self.wait_s * self.factor**waits_before
        own_wait = min(self.max_wait_s, growing)
        asked_for = self._asked_for(error)
        wait = max(own_wait, asked_for)
        share = 1 + self.jitter * chance
        return wait * share

    @staticmethod
    def _asked_for(error: BaseException | None) -> float:
        """Seconds that an error asks to be waited for."""
        asked = getattr(error, "retry_after", None)
        if not isinstance(asked, (int, float)):
            return 0.0
        seconds = float(asked)
        return max(0.0, seconds)


_ANY_ERROR = (Exception, GraphflowError, ModelError)
"""Classes by which nobody says that an error of this very kind is worth another attempt."""


class NodeOptions(TypedDict, total=False):
    """What every kind of node takes.

    `retry`: attempts in all, or a `Retry`. `timeout_s`: seconds one attempt may take. `cache`: whether equal messages get
    the answer that was given before; True within a run, a number of seconds across the runs of this process. `policy`: what
    the node, and everything within it, may call. `approval`: whether somebody has to agree before it is activated; a
    function of its message tells case by case. `approval_timeout_s`: seconds after which nobody is waited for any more, and
    the answer is no; it holds for questions that a run waits for, not for `approve=`. `reads`, `adds`, `sets`: the states of
    the graph that its code reads, adds to and replaces. `quota`: what it may use in one run, a `Quota` of calls, seconds, tokens.
    """

    retry: Retry | int | None
    timeout_s: float | None
    cache: bool | float
    policy: Policy | None
    approval: bool | Test
    approval_timeout_s: float | None
    quota: Quota | None
    reads: Sequence[AnyState]
    adds: Sequence[AnyState]
    sets: Sequence[AnyState]


NO_OPTIONS: Mapping[str, object] = {
    "retry": None,
    "timeout_s": None,
    "cache": False,
    "policy": None,
    "approval": False,
    "approval_timeout_s": None,
    "quota": None,
    "reads": (),
    "adds": (),
    "sets": (),
}
FOREVER_S = 10 * 365 * 24 * 3600.0
"""Ten years: seconds that a cached answer is kept at most."""


def read_options(whose: str, given: NodeOptions) -> dict[str, object]:
    """The options that every node has, checked. `whose`: the kind and name of the node, for errors."""
    unknown = [key for key in given if key not in NO_OPTIONS]
    if unknown:
        refuse(whose, unknown, NO_OPTIONS)
    options: dict[str, object] = {**NO_OPTIONS, **given}
    retry = options["retry"]
    if isinstance(retry, int) and not isinstance(retry, bool):
        options["retry"] = Retry(attempts=retry)
    for option, (is_right, remedy) in _OPTION_CHECKS.items():
        value = options[option]
        if not is_right(value):
            raise DeclarationError(f"{whose}: {option}={value!r}{remedy}")
    options.update(_states_of(whose, given))
    if options["cache"] and (options["adds"] or options["sets"]):
        raise DeclarationError(
            f"{whose}: cache= and writing a state do not go together: an answer that is given again would write nothing"
        )
    return options


def _states_of(whose: str, given: NodeOptions) -> dict[str, tuple[AnyState, ...]]:
    """What a node reads, adds to and sets."""
    adds = tuple(given.get("adds", ()))
    # Not left to the first run that adds: by then others may have paid for it.
    for state in adds:
        if state.merge is None:
            raise DeclarationError(
                f"{whose} adds to state {state.name!r}, which has no merge; give it State(..., merge=...)"
            )
    reads = tuple(given.get("reads", ()))
    sets = tuple(given.get("sets", ()))
    return {"reads": reads, "adds": adds, "sets": sets}


def _is_timeout(value: object) -> bool:
    if value is None:
        return True
    return isinstance(value, (int, float)) and value > 0


def _is_retry(value: object) -> bool:
    return isinstance(value, (Retry, NoneType))


def _is_cache(value: object) -> bool:
    if not isinstance(value, (bool, int, float)):
        return False
    return 0 <= value <= FOREVER_S


def _is_policy(value: object) -> bool:
    return isinstance(value, (Policy, NoneType))


def _is_quota(value: object) -> bool:
    return isinstance(value, (Quota, NoneType))


def _are_states(value: object) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(each, State) for each in value)


def _is_approval(value: object) -> bool:
    if isinstance(value, bool):
        return True
    return callable(value) and not iscoroutinefunction(value)


_OPTION_CHECKS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "timeout_s": (_is_timeout, " must be a positive number of seconds"),
    "retry": (_is_retry, " must be a number of attempts or a Retry(...)"),
    "cache": (_is_cache, "; it is True (for a run), or a number of seconds"),
    "policy": (_is_policy, "; give a Policy(...)"),
    "approval": (_is_approval, "; it is True, or a plain function of the message"),
    "approval_timeout_s": (_is_timeout, " must be a positive number of seconds"),
    "quota": (_is_quota, "; give a Quota(calls=...), of seconds or tokens as well"),
    "reads": (_are_states, "; give a list of State(...)"),
    "adds": (_are_states, "; give a list of State(...)"),
    "sets": (_are_states, "; give a list of State(...)"),
}
"""For each option what tells a right value, and the end of the text that refuses a wrong one."""
