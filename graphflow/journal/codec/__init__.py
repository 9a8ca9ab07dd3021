"""How what a row tells becomes JSON and comes back exactly. Nothing is pickled, and no data names code to import.

Values of messages are written by `codec_of(kind)`. Types decide how: what was written can only be read by the type that
it was written by, and what would not come back as it was is refused.

    str, int, float, bool, None      as they are; NaN and infinities by name
    list, tuple, set                 a list; sets in an order of their own
    dict                             an object where all keys are texts, else pairs
    models, dataclasses, ...         an object of their fields
    enums                            the name of the member
    A | B                            {"arm": n, "value": ...}: n counts the arms as they are declared
    T | None                         null, or a T
    Any                              plain JSON values only
    dates, decimals, bytes, ...      a text
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphflow._faces import face

if TYPE_CHECKING:
    from graphflow.journal.codec.value_codec import ValueCodec as ValueCodec
    from graphflow.journal.codec.value_codec import codec_of as codec_of
    from graphflow.journal.codec.value_codec import json_text as json_text
    from graphflow.journal.codec.value_codec import unstorable as unstorable

__getattr__ = face(__name__, ("value_codec",))
