"""The root of every error, and those that belong to no room."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from graphflow.errors.cures import CURES

if TYPE_CHECKING:
    from graphflow.run import Run


PAGE = "https://github.com/graphflow/graphflow/blob/main/docs/errors.md"
"""Where all errors are described."""
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+|[0-9]+")
"""The words of a class's name: HTTPError is "http" and "error"."""


class GraphflowError(Exception):
    """The root of every error graphflow raises on purpose.

    Attributes:
        run: where a walk ended with it: the same `Run` that a completed walk returns; finished work is in it.
        code: a name for machines that stays the same, of its class: "limit-exceeded".
        retryable: whether the same may well succeed a little later; None where nobody can know.
    """

    run: Run[Any]
    code: str = "graphflow-error"
    retryable: bool | None = None

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        words = _WORDS.findall(cls.__name__)
        cls.code = "-".join(words).lower()

    @property
    def hint(self) -> str:
        """What to do about it, in a sentence."""
        for kind in type(self).__mro__:
            cure = CURES.get(kind.__dict__.get("code", ""))
            if cure is not None:
                return cure
        return CURES[GraphflowError.code]

    @property
    def url(self) -> str:
        """The address of its part of the documentation: cause and cure."""
        known = [kind for kind in type(self).__mro__ if kind.__dict__.get("code") in CURES]
        return f"{PAGE}#{known[0].__dict__['code']}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors cross process boundaries: by class, text and attributes, since each class makes its text in its own way."""
        recipe = (type(self), self.args)
        attributes = self.__dict__ or None
        return _rebuild, recipe, attributes


def _rebuild(kind: type[GraphflowError], args: tuple[Any, ...]) -> GraphflowError:
    error = kind.__new__(kind, *args)
    error.args = args
    # Only the constructor, which is not called here, gives an ImportError the text that it prints.
    if isinstance(error, ImportError):
        text = args[0] if args else ""
        error.msg = str(text)
    return error


class MissingExtra(GraphflowError, ImportError):
    """An optional part of graphflow is not installed."""

    retryable = False

    def __init__(self, what: str, extra: str, detail: str = "") -> None:
        self.extra = extra
        text = f"{what} needs the extra {extra!r}: pip install 'graphflow-agents[{extra}]'"
        if detail:
            text += f" ({detail})"
        super().__init__(text)


class IntegerTooLong(GraphflowError, ValueError):
    """A message holds an integer of more than 4,300 digits. It is not written, as that would take minutes or hours."""
