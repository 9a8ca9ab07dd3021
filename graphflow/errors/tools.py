"""Why a call was not carried out. A model reads the texts, and may act on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphflow.errors.root import GraphflowError

if TYPE_CHECKING:
    from graphflow.declaration.options import Retry


class ToolError(GraphflowError):
    """A tool call that cannot be carried out. Raise it in a tool to tell the model why, in words it can act on.

    Attributes:
        retry: how the same call shall be tried again before anybody is told: the tool's own request, a `Retry`. It holds
            instead of the node's, for this very error: its `on` has no say. An error with a `retry_after` above its
            `max_wait_s` is not tried again.
    """

    def __init__(self, *args: object, retry: Retry | None = None) -> None:
        self.retry = retry
        super().__init__(*args)


class ArgumentsInvalid(ToolError, ValueError):
    """Arguments do not fit a tool's schema; the text names each field."""


class ResultInvalid(ToolError, TypeError):
    """A tool answered with something that cannot be written as JSON, so no model can read it."""


class PolicyRefused(ToolError, PermissionError):
    """A policy does not allow this call. Nothing was done."""


class ApprovalRefused(ToolError, PermissionError):
    """The call needs approval, and it was refused, or nobody is there to give it. Nothing was done."""


class ClaimRefused(ToolError, PermissionError):
    """A claim of a graph does not allow this call now; the text says what must come first. Nothing was done.

    Attributes:
        node: what was to be called.
        claim: the claim, as it is written.
    """

    def __init__(self, node: str, claim: str, why: str) -> None:
        # The text is for a model: it says what to do first, and names the claim for whoever reads the record.
        self.node = node
        self.claim = claim
        super().__init__(f"{node!r} may not be called now: {why} (claim {claim})")


class GuardRejected(ToolError, ValueError):
    """A guard rejected what a node was given, and nothing was done; or what it answered, and nobody got it.

    Attributes:
        node: whose guard it is.
        stage: "before": what it was given was rejected; "after": what it answered.
        guard: the name of the guard.
        retryable: what was given is the same in every attempt, so only a rejected answer is worth another one.
    """

    def __init__(self, node: str, stage: str, guard: str, why: str) -> None:
        self.node = node
        self.stage = stage
        self.guard = guard
        self.retryable = stage == "after"
        what = "what it answered" if stage == "after" else "what it was given"
        super().__init__(f"{node!r}: {guard} rejected {what}: {why}")


class BackgroundFailed(ToolError):
    """A background call ended without an answer; `__cause__` is its own error."""


class ServerFailed(ToolError, ConnectionError):
    """A tool server could not be started or reached, died, or does not keep to its protocol."""

    retryable = True


class CodeFailed(ToolError):
    """Code that a model wrote raised, or used up its time, memory or output.

    Attributes:
        printed: what it had printed before.
    """

    printed: str = ""
