"""Why a model did not answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from graphflow._faces import former_name
from graphflow.errors.root import GraphflowError

if TYPE_CHECKING:
    from graphflow.model.reply import Reply


class ModelError(GraphflowError):
    """A model could not answer.

    Attributes:
        kind: one word for machines, the same for all providers ("rate_limit", "auth"...).
        retryable: whether the same request may well succeed a little later.
        provider: the endpoint that failed ("anthropic", "openai"...), or empty.
        status: the HTTP status, or None if none was received.
        provider_code: the provider's own code, or empty.
        type: the provider's own type of error, or empty.
        request_id: the provider's name for the request, for its support; or empty.
        retry_after: seconds to wait that the provider asked for, or None.
        provider_message: the provider's own words.
        partial: the `Reply` as far as it had come, if anything had.
        source: who the text is about, which stands before it: a wire format, an endpoint, in the end the model; or empty.
        hints: what else may help, which stands behind it.
    """

    kind: ClassVar[str] = "model"
    retryable: bool = False
    source: str = ""
    hints: tuple[str, ...] = ()
    said = former_name("said", "provider_message")

    def __init__(
        self,
        message: str,
        *,
        source: str = "",
        provider: str = "",
        status: int | None = None,
        provider_code: str = "",
        type: str = "",
        request_id: str = "",
        retry_after: float | None = None,
    ) -> None:
        self.source = source
        self.provider = provider
        self.status = status
        self.provider_code = provider_code
        self.type = type
        self.request_id = request_id
        self.retry_after = retry_after
        self.provider_message = message
        self.partial: Reply | None = None
        super().__init__(message)

    def __str__(self) -> str:
        text = super().__str__()
        if self.source:
            text = f"{self.source}: {text}"
        return "; ".join([text, *self.hints])


class ModelUnset(ModelError, LookupError):
    """An agent names no model, and neither its graph nor the run gives a default.

    Attributes:
        agent: the agent's name.
        graph: its graph's name.
    """

    def __init__(self, agent: str, graph: str) -> None:
        self.agent = agent
        self.graph = graph
        super().__init__(
            f"{agent!r} names no model, and neither graph {graph!r} nor this run gives a default; "
            "pass one: Agent(..., model='provider:model'), Graph(..., model=...) or run(..., model=...)"
        )


class PriceUnknown(ModelError, LookupError):
    """A limit in dollars holds for a model whose price nobody knows; nothing was asked."""


class UnknownProvider(ModelError, LookupError):
    """A model string names a provider that nobody registered."""


class ScriptError(ModelError, AssertionError):
    """A scripted model was asked something its script does not hold, or its script was not used up."""


class ReplayMiss(ModelError, LookupError):
    """A recording holds no answer to this request; the text shows how the nearest recorded one differs."""


class AuthError(ModelError, PermissionError):
    """The key is wrong, or may not do this."""

    kind = "auth"


class KeyMissing(AuthError):
    """No key was given and none is in the environment; nothing was sent."""


class RateLimited(ModelError):
    """Too many requests or tokens for now."""

    kind = "rate_limit"
    retryable = True


class QuotaExceeded(ModelError):
    """A limit that waiting does not lift: the plan, the budget or the credit is used up."""

    kind = "quota"


class Overloaded(ModelError):
    """The provider has more to do than it can."""

    kind = "overloaded"
    retryable = True


class ServerError(ModelError):
    """The provider failed on its own side."""

    kind = "server"
    retryable = True


class BadRequest(ModelError, ValueError):
    """The provider does not understand or allow the request."""

    kind = "invalid_request"


class ContextOverflow(BadRequest):
    """The request is longer than the model can read."""

    kind = "context_length"


class ContextFull(ContextOverflow):
    """What must be shown does not fit into what the model can read, and nothing more may be left out.

    Attributes:
        tokens: about how many tokens it is, at least.
        room: tokens that a request may have.
    """

    tokens: int = 0
    room: int = 0


class SignatureInvalid(BadRequest):
    """The provider does not take back what it has signed: thinking, or a call. It was another model's, or was changed."""

    kind = "signature"


class NotFound(ModelError, LookupError):
    """The provider knows no model, file or earlier reply of that name."""

    kind = "not_found"


class ContentFiltered(ModelError):
    """A filter of the provider's stopped the question or the answer."""

    kind = "content_filter"


class Refused(ModelError):
    """The model declined to answer; the text is what it said."""

    kind = "refusal"


class ToolUseFailed(ModelError):
    """The model wrote a tool call that its provider could not read; asking it again often helps."""

    kind = "tool_use_failed"


class ModelTimeout(ModelError, TimeoutError):
    """No connection, first token, next token or end within the time allowed; `phase` tells which."""

    kind = "timeout"
    retryable = True
    phase = ""


class ConnectionFailed(ModelError, ConnectionError):
    """The provider was not reached, or the connection broke before the reply was whole."""

    kind = "connection"
    retryable = True


class MalformedReply(ModelError, ValueError):
    """What came is not what the wire format allows: no JSON, no end, or far too much."""

    kind = "malformed"
    retryable = True


class CommandFailed(ModelError):
    """A command-line tool behind a model could not be started, or ended with an error."""

    kind = "command"


class WeightsError(GraphflowError, OSError):
    """Model weights could not be fetched, or are not the ones that were pinned."""
