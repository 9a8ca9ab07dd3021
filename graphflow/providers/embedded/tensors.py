"""Numbers in a safetensors file (huggingface.co/docs/safetensors): read as they are, for nothing in such a file is code."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from graphflow.errors import WeightsError

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

    Numbers: TypeAlias = NDArray[float32]
    Tensors: TypeAlias = dict[str, Numbers]


def read_tensors(path: Path) -> Tensors:
    """The 32-bit numbers of a safetensors file by name: 8 bytes of length, a JSON header, then the raw numbers.

    Raises:
        WeightsError: it is not such a file.
    """
    import numpy as np

    raw = path.read_bytes()
    try:
        (length,) = struct.unpack_from("<Q", raw)
        start = 8 + length
        header = json.loads(raw[8:start])
        tensors: Tensors = {}
        for name, about in header.items():
            if about.get("dtype") != "F32":  # the metadata, and places that count from 0
                continue
            first, end = about["data_offsets"]
            body = raw[start + first : start + end]
            numbers = np.frombuffer(body, "<f4")
            shape = about["shape"]
            tensors[name] = numbers.reshape(shape)
    except (ValueError, KeyError, TypeError, struct.error) as error:
        raise WeightsError(f"{path} is not a safetensors file: {error}; pull it again") from None
    return tensors
