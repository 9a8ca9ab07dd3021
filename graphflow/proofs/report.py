"""The report of `check()`: what was proven of a graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphflow.messages.copies import unfrozen_in
from graphflow.messages.types import type_name
from graphflow.model.prices import price_of
from graphflow.model.resolve import known_problem
from graphflow.proofs.depths import out_of_reach

if TYPE_CHECKING:
    from graphflow.proofs.proof import Proof
    from graphflow.proofs.proven import AnyGraph


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of the proofs.

    Attributes:
        graph: its name.
        errors: what is wrong; empty for every graph that could be built.
        warnings: what is allowed, and probably not meant.
        facts: what was proven, in words.
    """

    graph: str
    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    facts: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.errors

    def __str__(self) -> str:
        outcome = "sound" if self.ok else "unsound"
        lines = [f"graph {self.graph!r}: {outcome}"]
        sections = {"error": self.errors, "warning": self.warnings, "fact": self.facts}
        for mark, texts in sections.items():
            for text in texts:
                lines.append(f"  {mark}: {text}")
        return "\n".join(lines)


def report(graph: AnyGraph, more: Sequence[str] = (), more_warnings: Sequence[str] = ()) -> Report:
    """What `check()` returns.

    Args:
        graph: what was proven.
        more: what others have found out, as facts.
        more_warnings: the same, as warnings.
    """
    proof = graph.proof
    taken = type_name(graph.input)
    answer = type_name(graph.output)
    nodes = counted(len(proof.nodes), "node")
    edges = counted(len(proof.edges), "edge")
    facts = [
        f"takes {taken}, answers {answer}",
        f"{nodes} and {edges}, all reachable, all leading to END",
        *proof.facts,
        *_join_facts(proof),
    ]
    if graph.program.straight:
        facts.append("straight: one token at a time, walked by plain awaits")
    if proof.nesting:
        facts.append(f"graphs nested {proof.nesting} deep")
    facts += more
    warnings = (*proof.warnings, *_warnings(graph), *more_warnings)
    return Report(graph.name, (), warnings, tuple(facts))


def _join_facts(proof: Proof) -> list[str]:
    top = proof.topology
    facts: list[str] = []
    rank = top.order.__getitem__
    for number in sorted(top.joins, key=rank):
        join = top.joins[number]
        verb = "collects" if join.collect else "one message a port"
        node = proof.wiring.name(join.node)
        fork = proof.wiring.name(join.fork)
        facts.append(f"join {node}: {verb} of the fork at {fork}")
    return facts


def _warnings(graph: AnyGraph) -> list[str]:
    warnings: list[str] = []
    deepest = out_of_reach(graph)
    if deepest is not None:
        warnings.append(deepest)
    warnings += _model_warnings(graph)
    warnings += _mutable_messages(graph)
    for node in graph.nodes:
        if type_name(node.output) == "Any":
            warnings.append(
                f"{node.name!r} returns Any, so its arrows are only checked when messages arrive"
            )
    return warnings


def _model_warnings(graph: AnyGraph) -> list[str]:
    """Models that are not named, cannot be had, or cannot be held to a limit in dollars."""
    warnings: list[str] = []
    caps_dollars = graph.limits is not None and graph.limits.usd is not None
    for name, model in graph.models_needed(graph.model):
        if model is None:
            warnings.append(unset_model(name))
        if not isinstance(model, str):
            continue
        problem = known_problem(model)
        if problem:
            warnings.append(f"{name!r}: {problem}")
        # What runs on this machine costs nothing, so it needs no price.
        priced = model.startswith("local:") or price_of(model) is not None
        if caps_dollars and not priced:
            warnings.append(
                f"{name!r}: Limits(usd=...) cannot hold {model!r}, whose price is unknown: a run is refused; see set_price"
            )
    return warnings


def unset_model(node: str) -> str:
    """The warning of a node that names no model, in a graph that gives none."""
    return f"{node!r} names no model and the graph gives no default; pass one: run(..., model='provider:model')"


def _mutable_messages(graph: AnyGraph) -> list[str]:
    """The classes of messages that are not frozen, and what to write instead; none if all are."""
    kinds = [graph.input]
    for node in graph.nodes:
        kinds.append(node.output)
        kinds += [port.type for port in node.ports]
    names: dict[str, None] = {}
    for kind in kinds:
        for known in unfrozen_in(kind):
            names[type_name(known)] = None
    if not names:
        return []
    first = next(iter(names))
    shown = ", ".join(names)
    return [
        f"messages that can be changed after they were sent: {shown}. They are copied where they fork and where they "
        f"enter and leave a walk. Write `class {first}(BaseModel, frozen=True)`, or "
        "`model_config = ConfigDict(frozen=True)` (`@dataclass(frozen=True)`), and they travel as they are"
    ]


def counted(number: int, what: str) -> str:
    """A number of things: "1 node", "2 nodes"."""
    if number != 1:
        what += "s"
    return f"{number:,} {what}"
