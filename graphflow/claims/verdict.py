"""How a claim holds, and what shows that it does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from graphflow.declaration.claims import Claim

ClaimStatus: TypeAlias = Literal["proven", "refuted", "enforced", "unknown"]


@dataclass(frozen=True, slots=True)
class WalkStep:
    """One step of a walk that was explored.

    Attributes:
        node: the path of the node.
        does: what it does: "answers Approved", "fails", "is cancelled", "is entered".
        acts: the numbers of the activations that lead to it, one for each frame; empty at START.
        begins: the paths of the nodes that begin with this step.
        outcomes: which of its node's outcomes it is; and those of the nodes around whose frames end with it.
    """

    node: str
    does: str
    acts: tuple[int, ...] = ()
    begins: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f"{self.node} {self.does}"
        if self.begins:
            listed = ", ".join(self.begins)
            text += f"; {listed} {'begins' if len(self.begins) == 1 else 'begin'}"
        return text


@dataclass(frozen=True, slots=True)
class Counterexample:
    """The shortest walk that was found in which a claim is broken.

    Attributes:
        graph: the graph's name.
        claim: the claim.
        steps: what happens, one step after the other; with the last the claim is broken.
        ends: whether the walk completes with the last step.
    """

    graph: str
    claim: Claim
    steps: tuple[WalkStep, ...]
    ends: bool = False

    def __str__(self) -> str:
        lines: list[str] = []
        for number, step in enumerate(self.steps, 1):
            lines.append(f"  {number}. {step}")
        last = "and the walk completes" if self.ends else "and the claim is broken"
        lines.append(f"  {last}: {self.claim.words}")
        return "\n".join(lines)

    def to_test(self, import_line: str = "") -> str:
        """The text of a pytest file that makes this walk with stand-in nodes; it fails when the graph allows it no more.

        Args:
            import_line: how the graph is imported; default: `from graphs.NAME import NAME`.
        """
        graph = self.graph
        imported = import_line or f"from graphs.{graph} import {graph}"
        name = imported.split()[-1]
        kind = type(self.claim).__name__
        steps = [
            f"    ({step.acts!r}, {step.outcomes!r}),  # {step}"
            for step in self.steps
            if step.outcomes
        ]
        lines = [
            f'"""{self.claim} does not hold in the graph {graph!r}: a walk that breaks it, with stand-in nodes."""',
            "",
            "import asyncio",
            "",
            f"from graphflow import {kind}",
            "from graphflow.testing import breaks",
            imported,
            "",
            f"CLAIM = {self.claim}",
            "STEPS = [",
            *steps,
            "]",
            "",
            "",
            "def test_a_walk_breaks_the_claim() -> None:",
            f"    assert asyncio.run(breaks(CLAIM, {name}, STEPS))",
            "",
        ]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class ClaimVerdict:
    """How a claim holds in a graph.

    Attributes:
        claim: the claim.
        status: "proven"; "refuted": the arrows allow a walk that breaks it; "enforced": a model or code decides, and the walk
            refuses what would break it; "unknown": neither was found within the budget, or it is not declared and nobody
            enforces it.
        by: how that was found.
        states: how many states of walks were looked at.
        lists: up to which length of lists it is proven; None: whatever their lengths.
        counterexample: the walk that refutes it.
        vacuous: whether it only holds because what it speaks of never happens.
        widest: what was under way in the widest state, where the budget was used up.
        is_enforced: whether the walk sees to it, because the graph declares it and it is not proven.
    """

    claim: Claim
    status: ClaimStatus
    by: str
    states: int = 0
    lists: int | None = None
    counterexample: Counterexample | None = None
    vacuous: bool = False
    widest: str = ""
    is_enforced: bool = False

    @property
    def holds(self) -> bool:
        """Whether no walk breaks it: it is proven, or enforced."""
        return self.status == "proven" or self.is_enforced

    @property
    def how(self) -> str:
        """How it holds, in a few words."""
        if self.status == "enforced":
            return f"enforced ({self.by})"
        text = self._found
        if self.is_enforced:
            text += "; enforced"
        return text

    @property
    def _found(self) -> str:
        """What was found out about it."""
        if self.status == "proven":
            lists = "" if self.lists is None else f" for lists up to {self.lists}"
            nothing = ", but what it speaks of never happens" if self.vacuous else ""
            return f"proven{lists}{nothing} ({self.by})"
        if self.counterexample is not None:
            count = len(self.counterexample.steps)
            steps = "step" if count == 1 else "steps"
            return f"refuted by a walk of {count} {steps}"
        if not self.states:
            return f"unknown: {self.by}"
        widest = f", widest at {self.widest}" if self.widest else ""
        return f"unknown after {self.states:,} states{widest}"

    def __str__(self) -> str:
        text = f"{self.claim}: {self.how}"
        if self.counterexample is not None:
            text += f"\n{self.counterexample}"
        return text
