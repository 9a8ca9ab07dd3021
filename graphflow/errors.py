"""Every error graphflow raises, in one tree.

    GraphflowError
    ├── DeclarationError (TypeError)       a node or arrow cannot mean anything
    ├── GraphError (ValueError)            a graph is unsound; `problems` holds all that was found
    ├── PromptError (ValueError)           a template does not parse or names what it cannot have
    ├── WalkError                          a walk did not complete; `run` holds what was done
    │   ├── InputInvalid (ValueError)      the message at the start is of the wrong type
    │   ├── DepsInvalid (TypeError)        the dependencies given to a run are not what its graph declares
    │   ├── OutputInvalid (TypeError)      a node or model answered with the wrong type
    │   ├── NoOutput                       the walk ended and nothing reached END
    │   │   └── Stuck                      ... because a port that others waited beside was never filled
    │   ├── LimitExceeded                  a limit stopped the work; `limit` names it
    │   │   └── DepthExceeded (RecursionError)
    │   ├── WalkCancelled                  somebody called `run.cancel()`
    │   ├── StrayCancellation              a node raised CancelledError, and nobody had cancelled it
    │   ├── NodeTimeout (TimeoutError)     a node took longer than its `timeout_s`
    │   ├── NotReachable (LookupError)     a node called something it has no edge to
    │   ├── QuestionUnknown (LookupError)  no such question is open; the text names those that are
    │   └── AnswerInvalid (ValueError)     an answer does not fit its question, which stays open
    ├── ToolError                          a tool call that cannot be carried out; a model may act on the text
    │   ├── ArgumentsInvalid (ValueError)
    │   ├── ResultInvalid (TypeError)      what a tool answered cannot be shown to a model
    │   ├── PolicyRefused (PermissionError)     a policy does not allow the call; nothing was done
    │   ├── ApprovalRefused (PermissionError)   nobody approved the call; nothing was done
    │   ├── BackgroundFailed               a background call that was awaited has failed; its error is the cause
    │   ├── ServerFailed (ConnectionError) a tool server is not there, died, or does not keep to its protocol
    │   └── CodeFailed                     code that a model wrote raised, or used up what it was given
    ├── ModelError                         a model could not answer; `retryable`, `status`, `code`, `request_id`
    │   ├── ModelUnset (LookupError)       an agent names no model and nothing gives a default
    │   ├── PriceUnknown (LookupError)     dollars are limited, and nobody knows what a model costs
    │   ├── UnknownProvider (LookupError)
    │   ├── ScriptError (AssertionError)   a scripted model was asked what its script does not hold
    │   ├── ReplayMiss (LookupError)       a recording does not hold this request
    │   ├── AuthError (PermissionError)    the key is missing, wrong, or not allowed to do this
    │   │   └── KeyMissing                 ... no key was given at all; nothing was sent
    │   ├── RateLimited                    too many requests or tokens for now; `retry_after` tells how long, if known
    │   ├── QuotaExceeded                  a limit that waiting does not lift
    │   ├── Overloaded                     the provider has too much to do
    │   ├── ServerError                    the provider failed
    │   ├── BadRequest (ValueError)        the provider does not understand or allow the request
    │   │   └── ContextOverflow            ... because it is longer than the model can read
    │   ├── NotFound (LookupError)         no such model, file or earlier reply
    │   ├── ContentFiltered                a filter of the provider's stopped the question or the answer
    │   ├── Refused                        the model declined to answer
    │   ├── ToolUseFailed                  the model wrote a tool call that its provider could not read
    │   ├── ModelTimeout (TimeoutError)    no connection, token or end within the time allowed; `phase` tells which
    │   ├── ConnectionFailed (ConnectionError)   the provider was not reached, or the connection broke
    │   ├── MalformedReply (ValueError)    what came is not what the wire format allows
    │   └── CommandFailed                  a command-line tool behind a model failed
    ├── MissingExtra (ImportError)         an optional part is not installed; the text is the command that fixes it
    ├── WeightsError (OSError)             model weights could not be had or do not match their hash
    ├── StoreError                         what is kept of runs could not be read or written
    │   ├── StoreUnreadable (OSError)      no store is there, or it is another program's, or a newer version's
    │   ├── StoreUnreachable (ConnectionError)   the database is not there, was lost, or stayed locked
    │   ├── StoreFull (OSError)            there is no room; everything that was acknowledged is kept
    │   ├── RunUnknown (LookupError)       no run of that id; the text names near ones
    │   ├── RunExists (ValueError)         another run has that id
    │   ├── AnswerExists (ValueError)      a question was answered already; `by` tells by whom, and `at` when
    │   ├── RunOwned                       somebody else is working on it; `holder` tells who, and `left_s` for how long
    │   ├── LeaseLost                      somebody else has taken the run over; nothing more is written here
    │   ├── RunDamaged (ValueError)        rows are missing or changed; those before `position` can be used
    │   ├── Unstorable (TypeError)         a value cannot be written so that it comes back as it is; nothing was written
    │   ├── GraphUnstorable (TypeError)    a graph has messages that would not come back, so its runs cannot be kept
    │   ├── Unreadable (ValueError)        what was written does not fit its type, which has changed since
    │   ├── Diverged (ValueError)          a record does not fit the graph as it is now
    │   ├── PlaceUnknown (LookupError)     nothing of that name stands in the record of a run; the text names near ones
    │   └── RowDiffers (ValueError)        a row of a run that is replayed would be written in another way now
    ├── RecordedError                      an error that was read from a journal, and whose class is not known here
    └── ProjectError                       what a command names cannot be found or read
        ├── UnknownGraph (LookupError)
        └── FileUnreadable (OSError)

Rules: the text says what, where and what to change; attributes carry the same for machines; a leaf also inherits the
built-in it refines. An exception of a user's own node is raised as it is, with `.run` attached.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from graphflow._faces import former_name

if TYPE_CHECKING:
    from graphflow.declaration.options import Retry
    from graphflow.model.reply import Reply
    from graphflow.run import Run


class GraphflowError(Exception):
    """The root of every error graphflow raises on purpose.

    Attributes:
        run: where a walk ended with it: the same `Run` that a completed walk returns; finished work is in it.
    """

    run: Run[Any]

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors cross process boundaries: by class, text and attributes, since each class makes its text in its own way."""
        return _made_again, (type(self), self.args), self.__dict__ or None


def _made_again(kind: type[GraphflowError], args: tuple[Any, ...]) -> GraphflowError:
    error = kind.__new__(kind, *args)
    error.args = args
    if isinstance(error, ImportError):
        error.msg = str(args[0]) if args else ""
    return error


class DeclarationError(GraphflowError, TypeError):
    """A node or an arrow was declared in a way that cannot mean anything."""


class GraphError(GraphflowError, ValueError):
    """A graph is unsound. All problems found are in `problems`, one text each."""

    def __init__(self, graph: str, problems: Sequence[str], where: str = "") -> None:
        self.graph = graph
        self.problems = tuple(problems)
        count = f"{len(self.problems)} problem" + ("s" if len(self.problems) > 1 else "")
        head = f"graph {graph!r} has {count}" + (f" ({where})" if where else "")
        lines = [f"  {number}. {problem}" for number, problem in enumerate(self.problems, 1)]
        super().__init__("\n".join([head + ":", *lines]))


class PromptError(GraphflowError, ValueError):
    """A prompt template does not parse, or names a field that its message does not have."""


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


class WalkCancelled(WalkError):
    """The walk was cancelled through `run.cancel()`; what had finished is in `run`."""


class IntegerTooLong(GraphflowError, ValueError):
    """A message holds an integer of more than 4,300 digits. It is not written, as that would take minutes or hours."""


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


class NotReachable(WalkError, LookupError):
    """A node called another one that it has no call edge to."""


class QuestionUnknown(WalkError, LookupError):
    """A run has no open question of that name: it was never asked, or is answered already."""


class AnswerInvalid(WalkError, ValueError):
    """An answer is not of the type that its question asks for. The question stays open."""

    def __init__(self, question: str, wanted: str, why: str) -> None:
        self.question = question
        super().__init__(f"question {question!r} wants {wanted}: {why}")


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


class BackgroundFailed(ToolError):
    """A background call ended without an answer; `__cause__` is its own error."""


class ServerFailed(ToolError, ConnectionError):
    """A tool server could not be started or reached, died, or does not keep to its protocol."""


class CodeFailed(ToolError):
    """Code that a model wrote raised, or used up its time, memory or output.

    Attributes:
        printed: what it had printed before.
    """

    printed: str = ""


class ModelError(GraphflowError):
    """A model could not answer.

    Attributes:
        kind: one word for machines, the same for all providers ("rate_limit", "auth"...).
        retryable: whether the same request may well succeed a little later.
        provider: the endpoint that failed ("anthropic", "openai"...), or empty.
        status: the HTTP status, or None if none was received.
        code: the provider's own code, or empty.
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
        code: str = "",
        type: str = "",
        request_id: str = "",
        retry_after: float | None = None,
    ) -> None:
        self.source = source
        self.provider = provider
        self.status = status
        self.code = code
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


class MissingExtra(GraphflowError, ImportError):
    """An optional part of graphflow is not installed."""

    def __init__(self, what: str, extra: str, detail: str = "") -> None:
        self.extra = extra
        super().__init__(
            f"{what} needs the extra {extra!r}: pip install 'graphflow-agents[{extra}]'"
            + (f" ({detail})" if detail else "")
        )


class WeightsError(GraphflowError, OSError):
    """Model weights could not be fetched, or are not the ones that were pinned."""


class StoreError(GraphflowError):
    """What is kept of runs could not be read or written."""


class StoreUnreadable(StoreError, OSError):
    """There is no store at an address, or it was written by another program or by a newer version of this one."""


class StoreUnreachable(StoreError, ConnectionError):
    """A database is not there, the connection to it was lost, or another process kept it locked for too long."""


class StoreFull(StoreError, OSError):
    """There is no room for what was to be written. Everything that was acknowledged before is kept."""


class RunUnknown(StoreError, LookupError):
    """A store holds no run of that id."""


class RunExists(StoreError, ValueError):
    """A run of that id is in the store already."""


class AnswerExists(StoreError, ValueError):
    """A question of a run was answered already. The first answer counts.

    Attributes:
        by: who gave it; "" if nobody said.
        at: when, in seconds since 1970.
    """

    def __init__(self, run: str, question: str, by: str, at: float) -> None:
        self.by = by
        self.at = at
        who = f" by {by}" if by else ""
        when = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
        super().__init__(
            f"question {question!r} of run {run!r} was answered{who} at {when}; the first answer counts, this one was not kept"
        )


class RunOwned(StoreError):
    """Somebody else is working on a run.

    Attributes:
        holder: who it is.
        left_s: for how many seconds, if it does not renew its lease.
    """

    def __init__(self, run: str, holder: str, left_s: float) -> None:
        self.holder = holder
        self.left_s = left_s
        super().__init__(
            f"run {run!r} is owned by {holder} for another {left_s:.0f} s; try again after that"
        )


class LeaseLost(StoreError):
    """Somebody else has taken a run over, because its lease was not renewed in time. Nothing more is written here."""


class RunDamaged(StoreError, ValueError):
    """Rows of a run are missing, or are not as they were written. Those before them can be used.

    Attributes:
        position: the number of the first row that cannot be used.
    """

    def __init__(self, run: str, position: int, problem: str) -> None:
        self.position = position
        super().__init__(
            f"run {run!r} is damaged at row {position}: {problem}; the rows before it can be used"
        )


class Unstorable(StoreError, TypeError):
    """A value cannot be written so that it comes back as it is. Nothing was written.

    Attributes:
        type: the declared type of the whole value.
        path: where in the value it is: `.items[3].when`; empty for the value itself.
        wanted: what is declared there.
        found: what is there.
    """

    def __init__(self, type: str, path: str, wanted: str, found: str, remedy: str = "") -> None:
        self.type = type
        self.path = path
        self.wanted = wanted
        self.found = found
        where = f" at {path}" if path else ""
        advice = f"; {remedy}" if remedy else ""
        super().__init__(
            f"a value of type {type} cannot be stored:{where} expected {wanted}, found {found}{advice}"
        )


class GraphUnstorable(StoreError, TypeError):
    """A graph declares messages that cannot be written so that they come back. No run of it is kept in a store."""


class Unreadable(StoreError, ValueError):
    """What was written does not fit its type, which has changed since. `run` says whose run it is, if it is another graph's.

    Attributes:
        type: the type of the whole value, as it is declared now.
        path: where in the value it is: `.items[3].when`; empty for the value itself.
        wanted: what belongs there.
        found: what was written there.
    """

    def __init__(self, type: str, path: str, wanted: str, found: str, run: str = "") -> None:
        self.type = type
        self.path = path
        self.wanted = wanted
        self.found = found
        where = f" at {path}" if path else ""
        super().__init__(
            f"{run}a stored value of type {type} cannot be read:{where} expected {wanted}, found {found}; "
            "go on with the version of the type that it was written by, or give new fields a default"
        )


class RecordedError(GraphflowError):
    """An error that was read from a journal and whose class is not known here: raised as a class of its recorded name."""


class RecordInvalid(StoreError, ValueError):
    """Something cannot be recorded, as it is no data, or what was read is no record of what was expected."""


class Diverged(StoreError, ValueError):
    """A record of a run does not fit the graph: the graph has changed, or the record is of another one.

    Attributes:
        path: names of the frames from the outermost to the one where they part.
        recorded: what the record tells.
        found: what the graph does there now.
        node: the node that it is about; "" if it is about none.
    """

    def __init__(self, path: Sequence[str], recorded: str, found: str, node: str = "") -> None:
        self.path = tuple(path)
        self.node = node
        self.recorded = recorded
        self.found = found
        frames = " > ".join(self.path)
        super().__init__(
            f"in {frames!r} the record tells of {recorded}, and the graph has {found} there; "
            "resume it with the graph that it was begun with, or declare how the old messages become new ones"
        )


class PlaceUnknown(StoreError, LookupError):
    """Nothing of that name stands in the record of a run, or several things do."""


class RowDiffers(StoreError, ValueError):
    """A row of a run that is replayed would be written in another way now.

    Attributes:
        row: its number in the run.
        recorded: what it says.
        found: what it would say.
    """

    def __init__(self, run: str, row: int, recorded: str, found: str) -> None:
        self.row = row
        self.recorded = recorded
        self.found = found
        super().__init__(
            f"run {run!r} is not the same when it is replayed: row {row} says {_beginning(recorded)}, "
            f"and would say {_beginning(found)} now; replay it with the types that it was written by"
        )


def _beginning(text: str) -> str:
    """A text, as much of it as an error shows."""
    return text if len(text) <= 200 else f"{text[:197]}..."


class ProjectError(GraphflowError):
    """What a command names cannot be found or read."""


class UnknownGraph(ProjectError, LookupError):
    """No graph of that name is in reach."""


class FileUnreadable(ProjectError, OSError):
    """A file is missing, empty, or not of the kind that is needed."""
