"""Policies that plug-ins bring, and several policies as one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from graphflow.access import Access
from graphflow.plugins.making import Making, keep_making, making_of
from graphflow.plugins.seams import POLICIES
from graphflow.policy import Effect, Policy, Use


class JointPolicy(Policy):
    """Several policies, all of which have to agree.

    Attributes:
        policies: they, in the order in which they are asked.
    """

    policies: tuple[Policy, ...]

    def __init__(self, *policies: Policy) -> None:
        deny = [pattern for policy in policies for pattern in policy.deny]
        checks = any(policy.check is not None for policy in policies)
        super().__init__(deny=deny, check=self._checked if checks else None)
        object.__setattr__(self, "policies", policies)

    def refuses(
        self,
        name: str,
        effects: frozenset[Effect],
        others: Sequence[str] = (),
    ) -> str | None:
        refusals = (policy.refuses(name, effects, others) for policy in self.policies)
        return _first(refusals)

    def refuses_silence(
        self,
        name: str,
        effects: frozenset[Effect],
        access: Access | None,
    ) -> str | None:
        refusals = (policy.refuses_silence(name, effects, access) for policy in self.policies)
        return _first(refusals)

    def refuses_path(self, path: str, *, changes: bool = False) -> str | None:
        refusals = (policy.refuses_path(path, changes=changes) for policy in self.policies)
        return _first(refusals)

    def refuses_host(self, address: str) -> str | None:
        refusals = (policy.refuses_host(address) for policy in self.policies)
        return _first(refusals)

    def judge(self, use: Use) -> str | None:
        refusals = (policy.judge(use) for policy in self.policies)
        return _first(refusals)

    def _checked(self, use: Use) -> str | None:
        """The checks alone, for whoever asks whether there are any."""
        refusals = (policy.check(use) for policy in self.policies if policy.check is not None)
        return _first(refusals)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, JointPolicy):
            return False
        return self.policies == other.policies

    def __hash__(self) -> int:
        return hash(self.deny)

    def __repr__(self) -> str:
        inside = ", ".join(map(repr, self.policies))
        return f"JointPolicy({inside})"


class PluggedPolicy(JointPolicy):
    """A policy that a plug-in has made, which files can say again. Two that were made alike are equal."""

    def __init__(self, policy: Policy, making: Making) -> None:
        super().__init__(policy)
        keep_making(self, making)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PluggedPolicy):
            return False
        return _making(self) == _making(other)

    def __hash__(self) -> int:
        return hash(self.deny)

    def __repr__(self) -> str:
        making = _making(self)
        return f"<policy {making.word}>" if making else "<policy>"


def _first(refusals: Iterable[str | None]) -> str | None:
    """Why the first policy refuses that does; those after it are not asked."""
    for refused in refusals:
        if refused:
            return refused
    return None


def _making(policy: Policy) -> Making | None:
    return making_of(policy, POLICIES.name)


def joint(policies: Sequence[Policy]) -> Policy | None:
    """One policy of several; None: there is none."""
    if len(policies) < 2:
        return policies[0] if policies else None
    return JointPolicy(*policies)
