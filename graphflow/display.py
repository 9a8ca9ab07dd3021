"""What shows itself in a notebook, though the notebook's room stands above it.

This is the one place below the faces that names a room above by string: whoever looks at such a value in a notebook has
that room already, and nobody else ever loads it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Displayed:
    """A mixin: `graphflow.notebook` knows what the value looks like."""

    __slots__ = ()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        bundle: dict[str, Any] = import_module("graphflow.notebook").shown(self)
        return bundle
