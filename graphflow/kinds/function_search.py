"""Finding functions: what code asks for where there are too many to be shown to a model.

    find_functions("orders of a customer")   >   ["orders(customer: str, limit: int = 10) -> list[dict]: All orders", ...]

Rules:
1. It finds what could be called now, and nothing that a policy or the depth limit takes away.
2. The same words give the same functions in the same order: those that fit best, and of equals the one that was declared first.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from math import log

from graphflow.declaration.node import AnyNode
from graphflow.kinds.functions import FIND, signature_line
from graphflow.kinds.tool import spec_of

LISTED = 50
"""Functions that are listed for a model, unless the node says otherwise: about 2,500 tokens."""
FOUND = 10
"""Functions that are found at once, unless the code says otherwise."""
MOST_FOUND = 50
SHORTEST_STEM = 3
"""Letters of a word that another word may go on from: "order", "orders"."""
IN_NAME = 3
IN_PARAMETER = 2
IN_DESCRIPTION = 1

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\d_a-zA-Z]+")


def finder_line(count: int) -> str:
    """What a model reads that cannot be shown all functions."""
    return (
        f"There are {count} functions it can call, as they are or at the same time with `await asyncio.gather(f(1), f(2))`. "
        f"{FIND}(words: str = '', limit: int = {FOUND}) -> list[str] gives the signatures of those that fit best: print it "
        "first, and call what it has found in the next code; do not import anything of it"
    )


def find_functions(
    nodes: Sequence[AnyNode], words: object = "", limit: object = FOUND
) -> list[str]:
    """The signatures of the functions that fit some words best; of none, the first ones.

    Raises:
        TypeError: what was given are no words, or no number.
    """
    if not isinstance(words, str):
        raise TypeError(f"{FIND}() takes words as one str")
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise TypeError(f"{FIND}() takes a number from 1 as its limit")
    most = min(limit, MOST_FOUND)
    asked = _words_in(words)
    fitting = _by_fit(nodes, asked) if asked else nodes
    return [signature_line(node) for node in fitting[:most]]


def _by_fit(nodes: Sequence[AnyNode], asked: Sequence[str]) -> list[AnyNode]:
    """The nodes that fit some words, the best first."""
    known = [_weights_of(node) for node in nodes]
    scores = [0.0] * len(nodes)
    for word in asked:
        weights = [_weight(word, each) for each in known]
        fitting = len(nodes) - weights.count(0)
        if not fitting:
            continue
        # A word that every function has says nothing about any.
        rarity = log(1 + len(nodes) / fitting)
        for place, weight in enumerate(weights):
            scores[place] += weight * rarity
    places = [place for place, score in enumerate(scores) if score]
    places.sort(key=scores.__getitem__, reverse=True)  # of equals the first stays first
    return [nodes[place] for place in places]


def _words_in(text: str) -> list[str]:
    """The words of a text, small: also those of `customer_orders` and `customerOrders`."""
    return [word.lower() for word in _WORD.findall(text)]


def _weights_of(node: AnyNode) -> Counter[str]:
    """How much each word tells of a node."""
    spec = spec_of(node)
    parameters = " ".join(spec.parameters.get("properties", {}))
    # The heavier come last: a word may stand in several.
    texts = {
        spec.description: IN_DESCRIPTION,
        parameters: IN_PARAMETER,
        spec.name: IN_NAME,
    }
    weights: Counter[str] = Counter()
    for text, weight in texts.items():
        for word in _words_in(text):
            weights[word] = weight
    return weights


def _weight(word: str, weights: Counter[str]) -> int:
    """How much a word tells of a node whose words have these weights."""
    exact = weights.get(word, 0)
    if exact or len(word) < SHORTEST_STEM:
        return exact
    near = [weight for other, weight in weights.items() if _goes_on(word, other)]
    return max(near, default=0)


def _goes_on(one: str, other: str) -> bool:
    """Whether one of two words begins with the other."""
    if len(other) < SHORTEST_STEM:
        return False
    return one.startswith(other) or other.startswith(one)
