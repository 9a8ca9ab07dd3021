"""The digest of a question to a model: by it a recorded reply is found again.

Turns are values, so the digest of each is made once and kept beside it: asking costs no more as a conversation grows.
"""

from __future__ import annotations

from dataclasses import fields
from hashlib import sha256

from graphflow.model.seam import Request
from graphflow.model.turns import Turn
from graphflow.places import canonical

_KEPT = "digest"
"""Where a turn keeps its own, beside its encodings."""
_UNREAD = frozenset({"encoded", "model"})
"""What a model is not shown of a turn."""


def digest_of(request: Request) -> str:
    """What tells a question from others: all that the model is shown, and how it is to answer; not which model it is."""
    whole = sha256()
    for turn in request.turns:
        whole.update(_digest_of_turn(turn))
    rest = [
        request.system,
        request.tools,
        request.output_schema,
        request.settings,
        request.json_mode,
        request.top_logprobs,
    ]
    whole.update(canonical(rest).encode(errors="surrogatepass"))
    return whole.hexdigest()


def _digest_of_turn(turn: Turn) -> bytes:
    known = turn.encoded.get(_KEPT)
    if known is None:
        names = [field.name for field in fields(turn) if field.name not in _UNREAD]
        parts = {name: getattr(turn, name) for name in names}
        text = f"{type(turn).__name__} {canonical(parts)}"
        known = turn.encoded[_KEPT] = sha256(text.encode(errors="surrogatepass")).digest()
    return known
