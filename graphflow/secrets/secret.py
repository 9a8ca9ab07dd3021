"""One secret, as code is given it."""

from __future__ import annotations

from typing import Any, NoReturn


class Secret:
    """A secret for code to use: it shows its name, and its value only to whoever asks for it.

    A parameter of a tool or node that is annotated with it gets the run's secret of the parameter's name, or of the name in
    `Annotated[Secret, "name"]`. No model is asked for it, and it is not part of what is recorded or compared.

    Attributes:
        name: what it is called.
    """

    __slots__ = ("__value", "name")

    def __init__(self, name: str, value: str) -> None:
        self.name = name
        self.__value = value

    def reveal(self) -> str:
        """The value itself."""
        return self.__value

    def __repr__(self) -> str:
        return f"<secret {self.name}>"

    def __str__(self) -> str:
        return f"[{self.name}]"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"the secret {self.name!r} must not be written anywhere")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> NoReturn:
        raise TypeError(
            "a Secret cannot be part of a message; annotate a parameter of a tool or node with it"
        )
