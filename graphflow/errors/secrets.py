"""What is wrong with secrets. No text here holds one."""

from __future__ import annotations

from graphflow.errors.root import GraphflowError


class SecretInvalid(GraphflowError, ValueError):
    """What was given as a secret cannot be one: it is too short, its name cannot be shown, or its pattern cannot be followed.

    Also: a secret stands where it cannot be masked, in the id of a run or in the key of its conversation.
    """


class SecretUnknown(GraphflowError, LookupError):
    """Code asks for a secret that the run was not given, or that could not be read; the text names those that there are."""


class SecretInError(GraphflowError):
    """Stands for an error whose own text held a secret that could not be taken out of it.

    Attributes:
        kind: the name of that error's class.
    """

    def __init__(self, kind: str, text: str) -> None:
        # Its class only: the error itself is what must not be seen.
        self.kind = kind
        super().__init__(f"{kind}: {text}")
