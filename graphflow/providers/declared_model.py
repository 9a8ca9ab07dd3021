"""A model that a file declares: opened when it is needed, and written back as it was declared."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from typing import Any

from graphflow.compaction.room import readers_of, window_of
from graphflow.errors import KeyMissing
from graphflow.model.seam import Model, ModelEvent, Request
from graphflow.providers.streams import aclosing


class DeclaredModel:
    """One model of a file.

    Attributes:
        spec: the mapping that declares it.
        name: what it is called in events.
    """

    def __init__(self, spec: dict[str, Any], name: str, make: Callable[[], Model]) -> None:
        self.spec = spec
        self.name = name
        self._make = make
        self._model: Model | None = None
        with suppress(KeyMissing):  # a key need not be there where a graph is only looked at
            self._model = make()  # whatever else is wrong is reported when the file is read

    @property
    def unpriced(self) -> tuple[str, ...]:
        """What it says of itself, once it is open."""
        return getattr(self._model, "unpriced", ())

    @property
    def context_window(self) -> int | None:
        """Tokens that it reads and writes at most, as far as that is known."""
        return None if self._model is None else window_of(self._model)

    @property
    def readers(self) -> Sequence[str]:
        """The models that may be asked, as turns name them."""
        return () if self._model is None else readers_of(self._model)

    def prepare(self) -> None:
        """Opens it.

        Raises:
            KeyMissing: its key is not there.
        """
        if self._model is None:
            self._model = self._make()
        further: Any = getattr(self._model, "prepare", None)
        if further is not None:
            further()

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """What the model answers."""
        self.prepare()
        assert self._model is not None
        async with aclosing(self._model.stream(request)) as events:
            async for event in events:
                yield event

    def __repr__(self) -> str:
        return f"<model {self.name}>"
