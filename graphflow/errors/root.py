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
        return _made_again, (type(self), self.args), self.__dict__ or None


def _made_again(kind: type[GraphflowError], args: tuple[Any, ...]) -> GraphflowError:
    error = kind.__new__(kind, *args)
    error.args = args
    if isinstance(error, ImportError):
        error.msg = str(args[0]) if args else ""
    return error


class MissingExtra(GraphflowError, ImportError):
    """An optional part of graphflow is not installed."""

    def __init__(self, what: str, extra: str, detail: str = "") -> None:
        self.extra = extra
        super().__init__(
            f"{what} needs the extra {extra!r}: pip install 'graphflow-agents[{extra}]'"
            + (f" ({detail})" if detail else "")
        )


class IntegerTooLong(GraphflowError, ValueError):
    """A message holds an integer of more than 4,300 digits. It is not written, as that would take minutes or hours."""
