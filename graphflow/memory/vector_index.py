"""Which notes mean what a question means: vectors of unit length, compared one by one.

Exact search is fast enough for what one memory holds: 100,000 vectors of 512 numbers take 17 ms. On disk a number has 16
bits, which changes a cosine by less than a thousandth; in memory it has the 32 that processors multiply fastest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from graphflow.errors import MemoryUnavailable, MissingExtra

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

    Matrix: TypeAlias = NDArray[float32]

ROOM = 256
"""Rows that the matrix has at least; it doubles when it is full."""


def require_numpy() -> None:
    """Refuses a memory by meaning where it could not search.

    Raises:
        MissingExtra: numpy is not installed.
    """
    from importlib.util import find_spec

    if find_spec("numpy") is None:
        raise MissingExtra("a memory that recalls by meaning", "local")


def pack_vector(numbers: Sequence[float]) -> bytes:
    """A vector as it is stored: scaled to unit length, 16 bits a number."""
    import numpy as np

    vector = np.asarray(numbers, np.float32)
    length = float(np.linalg.norm(vector))
    if length > 0:
        vector = vector / length
    short = vector.astype("<f2")
    return short.tobytes()


class VectorIndex:
    """Vectors that are known by their numbers: 0, 1, 2..."""

    def __init__(self) -> None:
        self._matrix: Matrix | None = None
        self._count = 0
        self._size = 0
        """Bytes of a vector; 0 while there is none."""

    def add(self, vectors: Sequence[bytes]) -> None:
        """Takes up further vectors, as they are stored.

        Raises:
            MemoryUnavailable: they do not have as many numbers as those before.
        """
        import numpy as np

        if not vectors:
            return
        size = self._size or len(vectors[0])
        for vector in vectors:
            if len(vector) != size:
                raise MemoryUnavailable(
                    "an embedder gave vectors of different sizes; forget what was remembered, or name another"
                )
        rows = [np.frombuffer(vector, "<f2") for vector in vectors]
        start = self._count
        end = start + len(rows)
        matrix = self._with_room(end, len(rows[0]))
        matrix[start:end] = np.stack(rows)
        self._matrix, self._count, self._size = matrix, end, size

    def _with_room(self, count: int, numbers: int) -> Matrix:
        """The matrix, with so many rows at least."""
        import numpy as np

        matrix = self._matrix
        if matrix is None:
            rows = max(count, ROOM)
            return np.zeros((rows, numbers), np.float32)
        if count <= len(matrix):
            return matrix
        rows = max(count, 2 * len(matrix))
        larger = np.zeros((rows, numbers), np.float32)
        larger[: len(matrix)] = matrix
        return larger

    def ranking(self, vector: bytes, bonus: Mapping[int, float]) -> list[tuple[int, float]]:
        """All of them by their cosine with a vector, plus a bonus that some have; the best first, of equals the latest."""
        import numpy as np

        if self._matrix is None:
            return []
        if len(vector) != self._size:
            raise MemoryUnavailable("an embedder gave vectors of different sizes")
        asked = np.frombuffer(vector, "<f2").astype(np.float32)
        rows = self._matrix[: self._count]
        scores = rows @ asked
        for number, extra in bonus.items():
            scores[number] += extra
        # Sorted backwards, so that the latest of equals, which has the highest number, comes first.
        order = np.argsort(scores, kind="stable")[::-1]
        numbers = order.tolist()
        sorted_scores = scores[order].tolist()
        return list(zip(numbers, sorted_scores, strict=True))
