"""The exit codes of all commands: a script has to be able to tell how a walk has ended.

0 is done, and 1 a walk that did not complete, or a command that found something (`diff`, `doctor`, `test`...).
"""

from __future__ import annotations

from graphflow import errors

FAILED = 1
USAGE = 2
"""What was asked for cannot be: nothing has run."""
LIMITED = 3
"""A limit has stopped the walk, or a budget is spent; with more it can go on."""
WAITING = 4
"""The run waits for an answer."""
INTERRUPTED = 130
"""What a shell expects after Ctrl-C: 128 + SIGINT."""
TERMINATED = 143
"""What a service manager expects after it has asked a program to end: 128 + SIGTERM."""

_USAGE_ERRORS = (
    errors.ProjectError,
    errors.InputInvalid,
    errors.DepsInvalid,
    errors.GraphError,
    errors.DeclarationError,
    errors.PromptError,
    errors.MissingExtra,
    errors.WeightsError,
    errors.UnknownProvider,
    errors.PluginError,
    errors.ModelUnset,
    errors.KeyMissing,
    errors.StoreUnreadable,
    errors.KeyInvalid,
    errors.StoreLocked,
    errors.StoreUnencrypted,
    errors.RunUnknown,
    errors.RunExists,
    errors.QuestionUnknown,
    errors.AnswerInvalid,
    errors.AnswerExists,
    errors.PlaceUnknown,
    errors.ConversationUnknown,
    errors.ConversationExists,
)
"""Errors of whoever wrote the command or the graph, raised before anything has run."""


class Terminated(errors.WalkCancelled):
    """The walk was stopped by SIGTERM, the way in which services and containers are asked to end."""


def exit_code_of(error: Exception) -> int:
    """The exit code of a command that ends by this error."""
    if isinstance(error, _USAGE_ERRORS):
        return USAGE
    if isinstance(error, Terminated):
        return TERMINATED
    if isinstance(error, errors.WalkCancelled):
        return INTERRUPTED
    # By its run, if it has ended one: a node may have asked another graph, whose limit was its own affair.
    run = getattr(error, "run", None)
    is_limited = isinstance(error, errors.LimitExceeded)
    if run is not None:
        is_limited = run.status == "limited"
    return LIMITED if is_limited else FAILED
