"""`local:minilm`: all-MiniLM-L6-v2 in numpy, a sentence encoder of six layers, without torch.

    text > word pieces > embeddings > 6 x (attention, feed-forward) > mean of all pieces > unit length

The network is BERT's (Devlin et al. 2018, arXiv:1810.04805); the pooling is that of the model card.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from graphflow.errors import WeightsError
from graphflow.providers.embedded.tensors import read_tensors
from graphflow.providers.embedded.word_pieces import WordPieces

if TYPE_CHECKING:
    from graphflow.providers.embedded.tensors import Numbers, Tensors

LAYERS = 6
HEADS = 12
SMALL = 1e-12
"""Keeps divisors from being 0; BERT's own value."""


class _Linear:
    """x times a matrix, plus a vector."""

    def __init__(self, tensors: Tensors, *path: str) -> None:
        name = ".".join(path)
        self.weight = tensors[f"{name}.weight"]
        self.bias = tensors[f"{name}.bias"]

    def __call__(self, x: Numbers) -> Numbers:
        product: Numbers = x @ self.weight.T
        return product + self.bias


class _Heads(_Linear):
    """The same, with the numbers of each piece dealt out to 12 heads."""

    def __call__(self, x: Numbers) -> Numbers:
        count = len(x)
        whole = super().__call__(x)
        split = whole.reshape(count, HEADS, -1)
        return split.transpose(1, 0, 2)


class _Norm:
    """Each row with mean 0 and variance 1, then scaled and moved."""

    def __init__(self, tensors: Tensors, *path: str) -> None:
        name = ".".join(path)
        self.weight = tensors[f"{name}.weight"]
        self.bias = tensors[f"{name}.bias"]

    def __call__(self, x: Numbers) -> Numbers:
        import numpy as np

        small = np.float32(SMALL)
        mean = x.mean(axis=-1, keepdims=True)
        variance = x.var(axis=-1, keepdims=True)
        spread = np.sqrt(variance + small)
        centred = x - mean
        scaled: Numbers = centred / spread
        scaled *= self.weight
        return scaled + self.bias


class _Attention:
    """What each piece takes over from all pieces, by how well they fit it: scaled dot products, in 12 heads."""

    def __init__(self, tensors: Tensors, layer: str) -> None:
        name = f"{layer}.attention.self"
        self.query = _Heads(tensors, name, "query")
        self.key = _Heads(tensors, name, "key")
        self.value = _Heads(tensors, name, "value")

    def __call__(self, x: Numbers) -> Numbers:
        import numpy as np

        queries = self.query(x)
        keys = self.key(x)
        values = self.value(x)
        *_, size = queries.shape
        turned = keys.transpose(0, 2, 1)
        fit = queries @ turned
        fit /= np.sqrt(np.float32(size))
        # A softmax; the greatest is taken off first, so that no power overflows.
        best = fit.max(axis=-1, keepdims=True)
        share = np.exp(fit - best)
        total = share.sum(axis=-1, keepdims=True)
        share /= total
        taken: Numbers = share @ values
        joined = taken.transpose(1, 0, 2)
        return joined.reshape(x.shape)


class _Layer:
    """Attention, then a network for each piece; both add to what was there."""

    def __init__(self, tensors: Tensors, name: str) -> None:
        self.attention = _Attention(tensors, name)
        self.mix = _Linear(tensors, name, "attention.output.dense")
        self.mix_norm = _Norm(tensors, name, "attention.output.LayerNorm")
        self.widen = _Linear(tensors, name, "intermediate.dense")
        self.narrow = _Linear(tensors, name, "output.dense")
        self.norm = _Norm(tensors, name, "output.LayerNorm")

    def __call__(self, x: Numbers) -> Numbers:
        mixed = self.attention(x)
        x = x + self.mix(mixed)
        x = self.mix_norm(x)
        wide = self.widen(x)
        inner = _gelu(wide)
        x = x + self.narrow(inner)
        return self.norm(x)


def _gelu(x: Numbers) -> Numbers:
    """The activation, by its approximation with tanh (Hendrycks and Gimpel 2016, arXiv:1606.08415, section 2)."""
    import numpy as np

    small = np.float32(0.044715)
    root = np.float32(0.7978845608)  # of 2 / pi
    half = np.float32(0.5)
    cube = x * x * x
    cube *= small
    bent = root * (x + cube)
    gate: Numbers = np.tanh(bent)
    gate += 1
    gate *= half
    return x * gate


class MiniLM:
    """The network.

    Args:
        folder: where `model.safetensors` and `vocab.txt` lie.

    Raises:
        WeightsError: what lies there is not it.
    """

    def __init__(self, folder: Path) -> None:
        text = (folder / "vocab.txt").read_text(encoding="utf-8")
        vocabulary = text.split("\n")
        self._pieces = WordPieces(vocabulary)
        tensors = read_tensors(folder / "model.safetensors")
        try:
            self._words = tensors["embeddings.word_embeddings.weight"]
            self._places = tensors["embeddings.position_embeddings.weight"]
            # BERT tells two kinds of text apart; here all is of the first.
            self._kind = tensors["embeddings.token_type_embeddings.weight"][0]
            self._norm = _Norm(tensors, "embeddings.LayerNorm")
            self._layers: list[_Layer] = []
            for number in range(LAYERS):
                layer = _Layer(tensors, f"encoder.layer.{number}")
                self._layers.append(layer)
        except KeyError as error:
            raise WeightsError(f"the weights of 'minilm' lack {error}; pull it again") from None

    def encode(self, texts: Sequence[str]) -> Numbers:
        """A unit vector of 384 numbers for each text, as the rows of a matrix."""
        import numpy as np

        rows = [self._vector(text) for text in texts]
        return np.array(rows, np.float32)

    def _vector(self, text: str) -> Numbers:
        import numpy as np

        numbers = self._pieces.numbers(text)
        count = len(numbers)
        hidden = self._words[numbers]
        hidden += self._places[:count]
        hidden += self._kind
        hidden = self._norm(hidden)
        for layer in self._layers:
            hidden = layer(hidden)
        mean: Numbers = hidden.mean(axis=0)
        length = np.linalg.norm(mean)
        divisor = max(float(length), SMALL)
        return mean / divisor
