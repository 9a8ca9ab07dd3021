"""Whether a limit in dollars can be kept: it cannot where nobody knows what a model costs.

Rules:
1. What is known to have no price is refused when a run starts, wherever the limit stands: at the run, at a graph, at a call
   edge. A limit that counts nothing is worse than none.
2. An answer whose cost turns out to be unknown is told by an event (`cost.unknown`), or ends the walk
   (`Limits(unpriced="end")`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from graphflow.budgets import Budget
from graphflow.errors import PriceUnknown
from graphflow.limits import Limits
from graphflow.model.prices import price_cure
from graphflow.model.seam import Model
from graphflow.proofs.proven import AnyGraph, ProvenGraph

Named = Model | str | None
"""A model, or the name of one; None: nobody names any."""


def check_prices(
    graph: AnyGraph, limits: Limits, default: Named, opened: Callable[[Model | str], Model]
) -> None:
    """Refuses a limit in dollars over a model whose price is known to be missing.

    Args:
        graph: what is walked.
        limits: those of the run.
        default: the model for nodes that name none.
        opened: the model of a model string.

    Raises:
        PriceUnknown: there is one; the text says how to set its price.
    """
    limited = limits.usd is not None
    if not limited and not graph.caps_dollars:
        return
    for asker, model in _unpriced(graph, default, opened, limited=limited):
        raise PriceUnknown(
            f"Limits(usd=...) cannot hold for {asker!r}: nobody knows what {model!r} costs. "
            f"{price_cure(model)}, or limit tokens instead"
        )


def check_budgets(
    graph: AnyGraph,
    budgets: Sequence[Budget],
    default: Named,
    opened: Callable[[Model | str], Model],
) -> None:
    """Refuses a budget in dollars over a model whose price is known to be missing, unless it counts tokens alone then.

    Raises:
        PriceUnknown: there is one; the text says how to set its price.
    """
    counting = [each for each in budgets if each.usd is not None and each.unpriced == "end"]
    if not counting or not graph.needs_models:
        return
    for asker, model in _unpriced(graph, default, opened, limited=True):
        name = counting[0].name
        raise PriceUnknown(
            f"budget {name!r} counts dollars, and nobody knows what {model!r} costs, which {asker!r} asks. "
            f"{price_cure(model)}, count tokens instead, or give the budget unpriced='tell'"
        )


def _unpriced(
    graph: AnyGraph,
    default: Named,
    opened: Callable[[Model | str], Model],
    *,
    limited: bool,
) -> Iterator[tuple[str, str]]:
    """Nodes that ask a model of unknown price while dollars are limited, with its name."""
    for asker, named in _under_a_limit(graph, default, limited):
        if named is None:
            continue  # a run without one is refused by itself
        unpriced: Sequence[str] = getattr(opened(named), "unpriced", ())
        if unpriced:
            yield asker, unpriced[0]


def _under_a_limit(graph: AnyGraph, default: Named, limited: bool) -> Iterator[tuple[str, Named]]:
    """Nodes that ask a model while dollars are limited, with the model that each asks."""
    limited = limited or _caps(graph.limits)
    for node in graph.reach():
        target, edge = node.entry()
        within = limited or _caps(edge)
        if isinstance(target, ProvenGraph):
            inner = target.model if target.model is not None else default
            yield from _under_a_limit(target, inner, within)
        elif within:
            for asker in target.askers:
                named = asker.model if asker.model is not None else default
                yield node.name, named


def _caps(limits: Limits | None) -> bool:
    return limits is not None and limits.usd is not None
