"""How a walk ends that does not complete."""

from __future__ import annotations

from collections.abc import Sequence

from graphflow.errors.root import GraphflowError


class WalkError(GraphflowError):
    """A walk did not complete."""


class InputInvalid(WalkError, ValueError):
    """The message given to a graph at the start does not fit the graph's input type; nothing ran."""


class DepsInvalid(WalkError, TypeError):
    """The dependencies given to a run, or to a sub-agent, are not of the type that the graph declares; nothing of it ran."""


class OutputInvalid(WalkError, TypeError):
    """A node returned, or a model wrote, something that its declared output type does not allow.

    Attributes:
        attempts: all that a model answered, the repairs included, in order.
    """

    attempts: tuple[str, ...] = ()


class NoOutput(WalkError):
    """The walk ended, every branch settled, and no message reached END; the text says where each one ended."""


class Stuck(NoOutput):
    """A join had messages on some of its ports and can never get one on another."""

    def __init__(
        self, message: str, *, node: str, port: str, edges: Sequence[str], scope: str
    ) -> None:
        self.node = node
        self.port = port
        self.edges = tuple(edges)
        self.scope = scope
        super().__init__(message)


class LimitExceeded(WalkError):
    """A limit stopped the work.

    Attributes:
        limit: the field of `Limits` that was reached ("steps", "tokens", "seconds"...).
        value: that limit's value.
        path: names of the frames from the outermost graph to the one whose limit it is.
    """

    def __init__(
        self,
        limit: str,
        value: float,
        path: Sequence[str],
        detail: str = "",
        remedy: str = "",
        *,
        text: str = "",
    ) -> None:
        self.limit = limit
        self.value = value
        self.path = tuple(path)
        self.ledger: object | None = None
        super().__init__(text or self._text(detail, remedy))

    def _text(self, detail: str, remedy: str) -> str:
        frames = " > ".join(self.path)
        what = f"{self.limit} limit of {self.value:g} reached in {frames!r}"
        why = f": {detail}" if detail else ""
        advice = remedy or f"raise it with Limits({self.limit}=...) or make the graph do less"
        return f"{what}{why}; {advice}"


class DepthExceeded(LimitExceeded, RecursionError):
    """A sub-agent or graph would have been entered deeper than the depth limit allows; it did no work."""

    def __init__(self, path: Sequence[str], limit: int) -> None:
        frames = " > ".join(path)
        level = len(path) - 1
        text = (
            f"depth limit of {limit} reached: {frames} would be level {level}; "
            f"raise it with Limits(depth={level}) or delegate less deeply"
        )
        super().__init__("depth", limit, path, text=text)


class BudgetExceeded(LimitExceeded):
    """What runs may spend together is spent; no model was asked. The run is kept as it is, and can be resumed later.

    Attributes:
        budget: what the budget is called.
        limit: what is spent: "tokens" or "usd".
        value: how much of it the budget allows.
        spent: how much of it is spent, in all processes; with what is held for questions under way.
        resets_at: when its account begins anew, in seconds since 1970; None: it does not.
        path: the name of the outermost graph.
    """

    def __init__(
        self,
        budget: str,
        limit: str,
        value: float,
        spent: float,
        resets_at: float | None,
        path: Sequence[str],
        *,
        text: str,
    ) -> None:
        self.budget = budget
        self.spent = spent
        self.resets_at = resets_at
        super().__init__(limit, value, path, text=text)


class WalkCancelled(WalkError):
    """The walk was cancelled through `run.cancel()`; what had finished is in `run`."""


class StrayCancellation(WalkError):
    """A node raised `CancelledError`, and nobody had cancelled it: it awaited something that was cancelled elsewhere.

    It is a failure of the node like any other; `__cause__` is the cancellation itself.
    """

    def __init__(self, node: str, reason: str = "") -> None:
        self.node = node
        super().__init__(
            f"node {node!r} raised CancelledError({reason}), though nobody had cancelled it: something that it awaits was "
            "cancelled elsewhere (a task, a future, a client that was closed); catch that in the node, or give it a retry"
        )


class NodeTimeout(WalkError, TimeoutError):
    """A node did not finish within its `timeout_s`."""

    def __init__(self, node: str, timeout_s: float) -> None:
        self.node = node
        self.timeout_s = timeout_s
        super().__init__(f"node {node!r} took longer than its timeout_s={timeout_s:g}")


class ClaimBroken(WalkError):
    """A node on an arrow did not begin, or a walk did not complete, since a claim of the graph would not hold any more.

    It is a failure of that node, or of the walk, like any other.

    Attributes:
        node: what was to begin, or the graph.
        claim: the claim, as it is written.
    """

    def __init__(self, node: str, claim: str, why: str) -> None:
        # Claims are values of a room above; their text is enough to tell them apart.
        self.node = node
        self.claim = claim
        super().__init__(f"{node!r} would break a claim: {why} (claim {claim})")


class NotReachable(WalkError, LookupError):
    """A node called another one that it has no call edge to."""


class StateUndeclared(WalkError, LookupError):
    """Code reads or writes a state that its node does not declare, or that no graph around it owns. Nothing was done."""


class StateUnset(WalkError, LookupError):
    """Code reads a state that has no value yet."""


class StateInvalid(WalkError, TypeError):
    """What code writes to a state is not of the state's type. Nothing was written."""


class MergeFailed(WalkError, ValueError):
    """A state could not be made of what was added to it.

    Attributes:
        state: the state's name.
        branches: of a join, the nodes before it, whose writes it puts together.
    """

    def __init__(self, state: str, why: str, branches: Sequence[str] = ()) -> None:
        self.state = state
        self.why = why
        self.branches = tuple(branches)
        text = f"state {state!r}: {why}"
        if branches:
            listed = ", ".join(map(repr, branches))
            text += f"; it puts together what was written on the ways by {listed}"
        super().__init__(text)


class QuestionUnknown(WalkError, LookupError):
    """A run has no open question of that name: it was never asked, or is answered already."""


class AnswerInvalid(WalkError, ValueError):
    """An answer is not of the type that its question asks for. The question stays open."""

    def __init__(self, question: str, wanted: str, why: str) -> None:
        self.question = question
        super().__init__(f"question {question!r} wants {wanted}: {why}")
