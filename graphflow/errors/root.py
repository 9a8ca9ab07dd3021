"""The root of every error, and those that belong to no room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphflow.run import Run


class GraphflowError(Exception):
    """The root of every error graphflow raises on purpose.

    Attributes:
        run: where a walk ended with it: the same `Run` that a completed walk returns; finished work is in it.
    """

    run: Run[Any]

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

    def __init__(self, what: str, extra: str, detail: str = "") -> None:
        self.extra = extra
        text = f"{what} needs the extra {extra!r}: pip install 'graphflow-agents[{extra}]'"
        if detail:
            text += f" ({detail})"
        super().__init__(text)


class IntegerTooLong(GraphflowError, ValueError):
    """A message holds an integer of more than 4,300 digits. It is not written, as that would take minutes or hours."""
