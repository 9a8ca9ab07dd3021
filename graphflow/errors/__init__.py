"""Every error graphflow raises, in one tree.

    GraphflowError
    ├── DeclarationError (TypeError)       a node or arrow cannot mean anything
    │   └── PortUnavailable                a sink cannot serve at its port: somebody else does
    ├── GraphError (ValueError)            a graph is unsound; `problems` holds all that was found
    ├── PromptError (ValueError)           a template does not parse or names what it cannot have
    ├── WalkError                          a walk did not complete; `run` holds what was done
    │   ├── InputInvalid (ValueError)      the message at the start is of the wrong type
    │   ├── DepsInvalid (TypeError)        the dependencies given to a run are not what its graph declares
    │   ├── OutputInvalid (TypeError)      a node or model answered with the wrong type
    │   ├── NoOutput                       the walk ended and nothing reached END
    │   │   └── Stuck                      ... because a port that others waited beside was never filled
    │   ├── LimitExceeded                  a limit stopped the work; `limit` names it
    │   │   ├── BudgetExceeded             ... what runs may spend together; `budget`, `spent`, `resets_at`
    │   │   └── DepthExceeded (RecursionError)
    │   ├── WalkCancelled                  somebody called `run.cancel()`
    │   ├── StrayCancellation              a node raised CancelledError, and nobody had cancelled it
    │   ├── NodeTimeout (TimeoutError)     a node took longer than its `timeout_s`
    │   ├── ClaimBroken                    a node on an arrow did not begin, since a claim would not hold any more
    │   ├── NotReachable (LookupError)     a node called something it has no edge to
    │   ├── StateUndeclared (LookupError)  a node reads or writes a state that it does not declare, or that nobody owns
    │   ├── StateUnset (LookupError)       a state is read that has no value yet
    │   ├── StateInvalid (TypeError)       what is written to a state is not of its type
    │   ├── MergeFailed (ValueError)       what was added to a state cannot be merged into it; `state` names it
    │   ├── QuestionUnknown (LookupError)  no such question is open; the text names those that are
    │   └── AnswerInvalid (ValueError)     an answer does not fit its question, which stays open
    ├── ToolError                          a tool call that cannot be carried out; a model may act on the text
    │   ├── ArgumentsInvalid (ValueError)
    │   ├── ResultInvalid (TypeError)      what a tool answered cannot be shown to a model
    │   ├── PolicyRefused (PermissionError)     a policy does not allow the call; nothing was done
    │   ├── ApprovalRefused (PermissionError)   nobody approved the call; nothing was done
    │   ├── ClaimRefused (PermissionError)  a claim does not allow the call now; the text says what must come first
    │   ├── GuardRejected (ValueError)     a guard rejected what a node was given or has answered
    │   ├── NoteInvalid (ValueError)       what was to be remembered or forgotten is not a note, or names none
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
    │   │   ├── ContextOverflow            ... because it is longer than the model can read
    │   │   │   └── ContextFull            ... and nothing more may be left out of it
    │   │   └── SignatureInvalid           ... because it does not take back what it has signed
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
    │   ├── KeyInvalid (ValueError)        what was given as the key of a store is not one
    │   ├── StoreLocked (PermissionError)  the store is encrypted, and the key is missing or another one
    │   ├── StoreUnencrypted (ValueError)  a key was given for a store that was begun without one
    │   ├── SealBroken (ValueError)        something encrypted has changed since, or was moved from another place
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
    │   ├── RowDiffers (ValueError)        a row of a run that is replayed would be written in another way now
    │   ├── ConversationUnknown (LookupError)   no conversation of that key
    │   ├── ConversationExists (ValueError)     another conversation has that key
    │   ├── ConversationBusy               somebody else has it; `run_id` and `holder` tell who, `questions` what it waits for
    │   ├── ConversationMoved              it has gone on without this run, which adds nothing to it
    │   └── ConversationUnreadable (ValueError)   written by a newer version, or not as it was written
    ├── SecretInvalid (ValueError)         what was given as a secret cannot be one
    ├── SecretUnknown (LookupError)        code asks for a secret that is not there; the text names those that are
    ├── SecretInError                      stands for an error whose own text could not be kept free of secrets; `kind`
    ├── HistoryInvalid (ValueError)        turns that were given as a history are none that a model could be shown
    ├── MemoryUnavailable (ConnectionError)   a memory could not be asked; `on_error="skip"` goes on without it
    ├── PluginError                        a plug-in cannot be used; `seam`, `plugin`, `distribution`
    │   ├── PluginUnknown (LookupError)    no plug-in of that name is installed; the text names near ones
    │   ├── PluginRefused (PermissionError)     it is denied, or its name is taken
    │   ├── PluginBroken (ImportError)     it cannot be loaded, or does not make what it is for
    │   └── PluginOptionsInvalid (ValueError)   it does not take such options; `problems` holds all that is wrong
    ├── RecordedError                      an error that was read from a journal, and whose class is not known here
    └── ProjectError                       what a command names cannot be found or read
        ├── UnknownGraph (LookupError)
        ├── FileUnreadable (OSError)
        ├── ProjectUnknown (LookupError)   no folder in reach is a project
        ├── SettingsInvalid (ValueError)   a project file says what cannot be; `problems` holds all that is wrong
        └── ReloadRefused                  a part of a running project cannot be swapped; the old one is still in use

Rules: the text says what, where and what to change; attributes carry the same for machines; a leaf also inherits the
built-in it refines. An exception of a user's own node is raised as it is, with `.run` attached.
"""

from __future__ import annotations

from graphflow.errors.conversations import (
    ConversationBusy,
    ConversationExists,
    ConversationMoved,
    ConversationUnknown,
    ConversationUnreadable,
    HistoryInvalid,
)
from graphflow.errors.graphs import DeclarationError, GraphError, PortUnavailable, PromptError
from graphflow.errors.memories import MemoryUnavailable, NoteInvalid
from graphflow.errors.models import (
    AuthError,
    BadRequest,
    CommandFailed,
    ConnectionFailed,
    ContentFiltered,
    ContextFull,
    ContextOverflow,
    KeyMissing,
    MalformedReply,
    ModelError,
    ModelTimeout,
    ModelUnset,
    NotFound,
    Overloaded,
    PriceUnknown,
    QuotaExceeded,
    RateLimited,
    Refused,
    ReplayMiss,
    ScriptError,
    ServerError,
    SignatureInvalid,
    ToolUseFailed,
    UnknownProvider,
    WeightsError,
)
from graphflow.errors.plugins import (
    PluginBroken,
    PluginError,
    PluginOptionsInvalid,
    PluginRefused,
    PluginUnknown,
)
from graphflow.errors.projects import (
    FileProblem,
    FileUnreadable,
    ProjectError,
    ProjectUnknown,
    ReloadRefused,
    SettingsInvalid,
    UnknownGraph,
)
from graphflow.errors.root import GraphflowError, IntegerTooLong, MissingExtra
from graphflow.errors.secrets import SecretInError, SecretInvalid, SecretUnknown
from graphflow.errors.stores import (
    AnswerExists,
    Diverged,
    GraphUnstorable,
    KeyInvalid,
    LeaseLost,
    PlaceUnknown,
    RecordedError,
    RecordInvalid,
    RowDiffers,
    RunDamaged,
    RunExists,
    RunOwned,
    RunUnknown,
    SealBroken,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreUnencrypted,
    StoreUnreachable,
    StoreUnreadable,
    Unreadable,
    Unstorable,
)
from graphflow.errors.tools import (
    ApprovalRefused,
    ArgumentsInvalid,
    BackgroundFailed,
    ClaimRefused,
    CodeFailed,
    GuardRejected,
    PolicyRefused,
    ResultInvalid,
    ServerFailed,
    ToolError,
)
from graphflow.errors.walks import (
    AnswerInvalid,
    BudgetExceeded,
    ClaimBroken,
    DepsInvalid,
    DepthExceeded,
    InputInvalid,
    LimitExceeded,
    MergeFailed,
    NodeTimeout,
    NoOutput,
    NotReachable,
    OutputInvalid,
    QuestionUnknown,
    StateInvalid,
    StateUndeclared,
    StateUnset,
    StrayCancellation,
    Stuck,
    WalkCancelled,
    WalkError,
)

__all__ = [
    "AnswerExists",
    "AnswerInvalid",
    "ApprovalRefused",
    "ArgumentsInvalid",
    "AuthError",
    "BackgroundFailed",
    "BadRequest",
    "BudgetExceeded",
    "ClaimBroken",
    "ClaimRefused",
    "CodeFailed",
    "CommandFailed",
    "ConnectionFailed",
    "ContentFiltered",
    "ContextFull",
    "ContextOverflow",
    "ConversationBusy",
    "ConversationExists",
    "ConversationMoved",
    "ConversationUnknown",
    "ConversationUnreadable",
    "DeclarationError",
    "DepsInvalid",
    "DepthExceeded",
    "Diverged",
    "FileProblem",
    "FileUnreadable",
    "GraphError",
    "GraphUnstorable",
    "GraphflowError",
    "GuardRejected",
    "HistoryInvalid",
    "InputInvalid",
    "IntegerTooLong",
    "KeyInvalid",
    "KeyMissing",
    "LeaseLost",
    "LimitExceeded",
    "MalformedReply",
    "MemoryUnavailable",
    "MergeFailed",
    "MissingExtra",
    "ModelError",
    "ModelTimeout",
    "ModelUnset",
    "NoOutput",
    "NodeTimeout",
    "NotFound",
    "NotReachable",
    "NoteInvalid",
    "OutputInvalid",
    "Overloaded",
    "PlaceUnknown",
    "PluginBroken",
    "PluginError",
    "PluginOptionsInvalid",
    "PluginRefused",
    "PluginUnknown",
    "PolicyRefused",
    "PortUnavailable",
    "PriceUnknown",
    "ProjectError",
    "ProjectUnknown",
    "PromptError",
    "QuestionUnknown",
    "QuotaExceeded",
    "RateLimited",
    "RecordInvalid",
    "RecordedError",
    "Refused",
    "ReloadRefused",
    "ReplayMiss",
    "ResultInvalid",
    "RowDiffers",
    "RunDamaged",
    "RunExists",
    "RunOwned",
    "RunUnknown",
    "ScriptError",
    "SealBroken",
    "SecretInError",
    "SecretInvalid",
    "SecretUnknown",
    "ServerError",
    "ServerFailed",
    "SettingsInvalid",
    "SignatureInvalid",
    "StateInvalid",
    "StateUndeclared",
    "StateUnset",
    "StoreError",
    "StoreFull",
    "StoreLocked",
    "StoreUnencrypted",
    "StoreUnreachable",
    "StoreUnreadable",
    "StrayCancellation",
    "Stuck",
    "ToolError",
    "ToolUseFailed",
    "UnknownGraph",
    "UnknownProvider",
    "Unreadable",
    "Unstorable",
    "WalkCancelled",
    "WalkError",
    "WeightsError",
]
